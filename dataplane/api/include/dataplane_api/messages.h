// SPDX-License-Identifier: Apache-2.0
// What the dataplane's control socket (run_dir/dataplane.sock) says and hears, as JSON objects whose keys are the field
// names below. Used by the dataplane, the monitor, the tools and the tests.
//
//   GET /v1/heartbeat → Heartbeat     asked many times a second; touches no lock that a worker takes
//   GET /v1/state     → State         configuration in force, backends with health and next hop, ports
//   GET /v1/stats     → Stats         counters since start; monotone within one `instance`
//   PUT /v1/health    ← HealthUpdate  → 200 HealthAnswer once every worker forwards by it
//   POST /v1/reload   → ReloadReport  reads the configuration's file again and puts it in force; 400 says what is wrong
//                                     with it, 409 what cannot change while the dataplane runs: then nothing changed.
//                                     With ?dry_run=1 nothing changes either way, and a body is the text to judge
//   POST /v1/restart                  → 200 {}; as SIGUSR1: leaves soon, for a process that takes over (--replace)
//   POST /v1/capture  ← CaptureRequest → 200 {}; 409 while another capture runs
//   GET /v1/capture   → CaptureAnswer what was seen since the last time; a capture that nobody asks for 3 s is over
//   DELETE /v1/capture                → 200 {}
//   POST /v1/explain  ← ExplainRequest → ExplainAnswer: what becomes of a flow's packet, by the snapshot in force and
//                                     the workers' records. Nothing changes, and no worker waits
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace anypop::dataplane_api {

inline constexpr std::string_view kHeartbeatPath = "/v1/heartbeat";
inline constexpr std::string_view kStatePath = "/v1/state";
inline constexpr std::string_view kStatsPath = "/v1/stats";
inline constexpr std::string_view kHealthPath = "/v1/health";
inline constexpr std::string_view kExplainPath = "/v1/explain";
inline constexpr std::string_view kReloadPath = "/v1/reload";
inline constexpr std::string_view kRestartPath = "/v1/restart";
inline constexpr std::string_view kCapturePath = "/v1/capture";

struct WorkerHeartbeat {
  std::uint64_t worker = 0;
  std::uint64_t loops = 0;  // passes through the poll loop since start
  double age_ms = 0;        // since the last pass, when the answer was written
};

struct Heartbeat {
  std::string instance;          // differs after every restart
  std::uint64_t generation = 0;  // of the snapshot in force; grows with every change
  std::vector<WorkerHeartbeat> workers;
  // From this answer on it may be silent for so long, because it is about to be restarted. 0: it may not.
  std::uint64_t planned_restart_ms = 0;
};

struct BackendState {
  std::string name;
  std::string address;
  std::uint64_t weight = 1;
  bool healthy = true;      // as last told by PUT /v1/health; true after a start
  bool resolved = false;    // is there a MAC to send to?
  std::string mac;          // of the next hop; empty while unresolved
  std::string next_hop;     // "10.1.0.1 on eth0", or why there is none; empty if the configuration has a `mac:`
  std::uint64_t slots = 0;  // of the service's Maglev table
  std::uint64_t weight_permille = 1000;  // as last told by PUT /v1/health
  std::string probe_source;              // that names it to the data path; empty: none is configured
};

struct ServiceState {
  std::string name;
  std::string vip;
  std::string protocol;
  std::uint64_t port = 0;
  std::vector<BackendState> backends;
  // Slots whose flows are remembered because of a change. Another balancer of the PoP may not agree on these: one that
  // is to get its users back waits for 0. May be missing in the JSON.
  std::uint64_t open_windows = 0;
};

// A kind of packets on their way from a port to the kernel's interface for it.
struct PuntState {
  std::string kind;
  std::uint64_t sent = 0;
  std::uint64_t limited = 0;  // more than the kind's limit
  std::uint64_t refused = 0;  // the kernel's interface took no more
};

struct PortState {
  std::string name;
  std::string device;
  std::string mac;
  bool link_up = false;
  std::uint64_t rx_packets = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t rx_missed = 0;   // lost before the dataplane saw them
  std::uint64_t tx_dropped = 0;  // forwarded, but the port took no more
  // What follows may be missing in the JSON.
  std::string link;  // "up", "down", "gone": the interface was removed
  std::uint64_t link_changes = 0;
  std::uint64_t queues = 0;
  std::uint64_t buffers = 0;         // packet buffers of the port
  std::uint64_t buffers_in_use = 0;  // in queues, in the caches of the cores, on their way
  std::vector<std::uint64_t>
      rx_waiting;             // by queue: packets in the device's receive ring. Empty: the driver cannot say
  std::uint64_t rx_ring = 0;  // how many fit there
  std::string kernel;         // the kernel's interface for the port; empty: none
  std::vector<PuntState> punted;
  std::uint64_t from_kernel = 0;
  std::uint64_t from_kernel_dropped = 0;
};

struct State {
  std::string version;
  std::string pop;
  std::string instance;
  std::uint64_t pid = 0;
  std::uint64_t generation = 0;
  std::string hash_engine;  // vaes, aes-ni or portable: what this processor can. May be missing in the JSON
  std::vector<PortState> ports;
  std::vector<ServiceState> services;
};

struct VerdictCount {
  std::string verdict;
  std::uint64_t packets = 0;
};

struct BackendStats {
  std::string name;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

struct ServiceStats {
  std::string name;
  std::vector<BackendStats> backends;
};

struct WorkerStats {
  std::uint64_t worker = 0;
  std::vector<VerdictCount> verdicts;
  std::vector<std::uint64_t>
      latency;  // sampled bursts, by time from reception to transmission: [n] took less than 2^n ns
};

// Of the flow tables of all workers: l4lb::FlowTableStats.
struct FlowStats {
  std::uint64_t hits = 0;  // packets that a record decided about
  std::uint64_t inserted = 0;
  std::uint64_t evicted_half_open = 0;
  std::uint64_t evicted_established = 0;  // the tables are too small
  std::uint64_t expired = 0;
  std::uint64_t half_open = 0;    // now in the tables
  std::uint64_t established = 0;  // now in the tables
  std::uint64_t capacity = 0;     // records that the tables have room for. May be missing in the JSON
};

struct Stats {
  std::string instance;
  std::vector<VerdictCount> verdicts;  // every Verdict, also those at 0; their sum is the number of packets seen
  std::vector<ServiceStats> services;
  std::vector<WorkerStats> workers;  // may be missing in the JSON
  FlowStats flows;                   // may be missing in the JSON
};

struct BackendHealth {
  std::string service;
  std::string backend;
  bool healthy = true;
  // Of the configured weight, 0 to 1000: less for a backend that has just come back. A healthy one with 0 is draining:
  // its flows stay, new ones go elsewhere, unless no backend of the service has any weight. May be missing in the JSON.
  std::uint64_t weight_permille = 1000;
};

// A level, not an edge: what is not named keeps its health, and sending it twice changes nothing.
struct HealthUpdate {
  std::vector<BackendHealth> backends;
};

struct HealthAnswer {
  std::uint64_t generation = 0;
  // "service/backend": not of the configuration in force, and passed over. While a new configuration is brought in, the
  // monitor and the dataplane know different ones for a moment, in either order.
  std::vector<std::string> unknown;
};

struct BackendChange {
  std::string name;
  std::string change;  // "added", "removed", "changed"
  std::string what;    // "weight 1 -> 2"; empty unless changed
};

struct ServiceChange {
  std::string name;
  std::string change;
  std::string what;
  std::vector<BackendChange> backends;
  std::uint64_t slots = 0;        // of the Maglev table of a changed service
  std::uint64_t slots_moved = 0;  // whose new flows go to another backend than before
};

struct ReloadReport {
  bool applied = false;
  std::uint64_t generation = 0;       // of the snapshot in force now
  std::vector<std::string> refused;   // what cannot change while the dataplane runs; if any, nothing was applied
  std::vector<std::string> settings;  // changed outside of services
  std::vector<ServiceChange> services;
};

struct CaptureRequest {
  std::vector<std::uint64_t> program;  // the filter, four numbers an instruction, as tcpdump -ddd prints; empty: all
  std::vector<std::string> verdicts;   // to be shown; empty: all
  std::uint64_t snap_bytes = 256;      // of each packet, 256 at most
  std::uint64_t packets = 1000;        // then it is done
  std::uint64_t per_second = 1000;     // of each worker
};

struct CapturedPacket {
  std::uint64_t time_ns = 0;  // since 1970
  std::string port;
  std::uint64_t length = 0;  // of the frame as it came
  std::string verdict;
  std::string service;  // empty: none
  std::string backend;
  std::string data;  // its beginning, in hexadecimal
};

struct CaptureAnswer {
  bool done = false;         // all packets that were asked for have been handed over
  std::uint64_t missed = 0;  // over the rate, or not fetched in time
  std::vector<CapturedPacket> packets;
};

// A packet of a flow.
struct ExplainRequest {
  std::string protocol;  // "tcp" or "udp"
  std::string source;    // an address
  std::uint64_t source_port = 0;
  std::string destination;
  std::uint64_t destination_port = 0;
  bool opens = false;          // tcp: a SYN
  std::uint64_t ip_bytes = 0;  // of the IP packet; 0: as small as can be
  std::string payload;         // udp, in hexadecimal: a QUIC packet may name its backend
};

// A record of the flow in a worker's table.
struct ExplainRecord {
  std::uint64_t worker = 0;
  bool left_over = false;  // of a former process, which had more workers: `worker` counts these tables from 0
  std::string backend;     // empty: it does not live any more
  bool half_open = false;
  bool closing = false;          // a FIN has been seen
  std::uint64_t expires_ms = 0;  // from now, if the flow stays silent
};

// Names are empty, and addresses too, where there is nothing to name.
struct ExplainAnswer {
  std::uint64_t generation = 0;  // of the snapshot in force
  std::string verdict;
  std::string decision;  // what chose the backend; see l4lb::decision_name()
  std::string service;
  std::string backend;
  std::string backend_address;
  std::uint64_t slots = 0;       // of the service's table; 0: nobody serves
  std::uint64_t slot = 0;        // of the flow
  std::string owner;             // of the slot
  std::string next_hop;          // a MAC
  std::string next_hop_way;      // "10.1.0.1 on eth0", or why there is none; empty if the configuration has a `mac:`
  std::string outer_header;      // in hexadecimal, the outer IP header first; empty: no tunnel
  std::uint64_t sent_bytes = 0;  // of the IP packet that leaves
  bool window = false;           // are the slot's flows remembered, because it has changed its owner of late?
  std::string previous_owner;    // of the slot, while they are, and if it lives
  std::vector<ExplainRecord> records;
};

std::string to_json(const Heartbeat& message);
std::string to_json(const State& message);
std::string to_json(const Stats& message);
std::string to_json(const HealthUpdate& message);
std::string to_json(const ExplainRequest& message);
std::string to_json(const ExplainAnswer& message);
std::string to_json(const HealthAnswer& message);
std::string to_json(const ReloadReport& message);
std::string to_json(const CaptureRequest& message);
std::string to_json(const CaptureAnswer& message);

// InvalidArgument names the key that is missing or of the wrong type. Unknown keys are ignored, so that an older reader
// understands a newer writer.
absl::StatusOr<Heartbeat> parse_heartbeat(std::string_view json);
absl::StatusOr<State> parse_state(std::string_view json);
absl::StatusOr<Stats> parse_stats(std::string_view json);
absl::StatusOr<HealthUpdate> parse_health_update(std::string_view json);
absl::StatusOr<ExplainRequest> parse_explain_request(std::string_view json);
absl::StatusOr<ExplainAnswer> parse_explain_answer(std::string_view json);
absl::StatusOr<ReloadReport> parse_reload_report(std::string_view json);
absl::StatusOr<CaptureRequest> parse_capture_request(std::string_view json);
absl::StatusOr<CaptureAnswer> parse_capture_answer(std::string_view json);

}  // namespace anypop::dataplane_api
