// SPDX-License-Identifier: Apache-2.0
// /etc/anypop/pop.yaml, the one file that configures every process, as a checked structure. Whoever holds a PopConfig
// may rely on every rule of load_config(): names unique, families matching, each VIP inside an announcement.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "base/address.h"
#include "base/probe_config.h"

namespace anypop {

inline constexpr std::string_view kDefaultConfigPath = "/etc/anypop/pop.yaml";

enum class Protocol : std::uint8_t { kTcp = 6, kUdp = 17 };  // IANA protocol numbers
std::string_view protocol_name(Protocol protocol);           // "tcp", "udp"

// How a packet reaches its backend, which owns the VIP and answers the client by itself. l2: with the backend's MAC, on
// the same link. The others: in a tunnel to the backend's address, over any number of routers.
enum class Forwarding : std::uint8_t { kL2, kIpip, kGre, kGue };
std::string_view forwarding_name(Forwarding forwarding);

enum class PortKind : std::uint8_t { kAfXdp, kVdev, kPci };
std::string_view port_kind_name(PortKind kind);  // the key in the file: "af_xdp", "vdev", "pci"
enum class Polling : std::uint8_t { kBusy, kAdaptive };

// One way in which the servers of a QUIC service may write their name into connection IDs: the plaintext scheme of
// draft-ietf-quic-load-balancers. Bytes of such an ID: first the three bits of `config_id` and five that mean nothing
// here, then the server ID, then at least four of the server's choice.
struct QuicConfig {
  static constexpr unsigned kConfigs = 7;  // 0 to 6; 7 says that the ID names no server
  static constexpr unsigned kServerIdBytesMax = 15;
  static constexpr unsigned kNonceBytesMin = 4;
  unsigned config_id = 0;
  unsigned server_id_bytes = 0;
  friend bool operator==(const QuicConfig&, const QuicConfig&) = default;
};

struct BackendConfig {
  std::string name;
  IpAddress address;
  unsigned weight = 1;                  // share of new flows, 1 to 1000
  std::optional<MacAddress> mac;        // overrides the kernel's neighbour table
  std::vector<std::string> server_ids;  // of its QUIC server, as bytes; one of each length in the service's `quic`
  friend bool operator==(const BackendConfig&, const BackendConfig&) = default;
};

// Which packets go to the same backend: those of a flow (the 5-tuple); of a source address, whatever the service, as
// long as its backends are the same; or of a source's network.
enum class HashBy : std::uint8_t { kFlow, kSource, kSourceNetwork };

// Which flows are remembered one by one. changes: those that a change of the backends would move, from the change on;
// always: all, never: none.
enum class Track : std::uint8_t { kChanges, kAlways, kNever };

// What the tunnels of a service look like; nothing of it matters to l2.
struct TunnelConfig {
  // Outer source addresses, one prefix per family of the backends. The host bits follow the flow.
  std::vector<IpPrefix> sources;
  unsigned mtu_bytes = 0;          // the largest outer IP packet; 0: what the port takes
  std::uint16_t gue_port = 6080;   // UDP destination port
  bool gue_zero_checksum = false;  // no UDP checksum over IPv6 (RFC 6935)
  friend bool operator==(const TunnelConfig&, const TunnelConfig&) = default;
};

struct ServiceConfig {
  std::string name;
  IpAddress vip;
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;
  std::uint16_t last_port = 0;              // of the range that begins with `port`; 0: `port` alone
  std::optional<unsigned> vip_prefix_bits;  // the VIP is every address of this prefix; nullopt: `vip` alone
  HashBy hash = HashBy::kFlow;
  unsigned network_bits = 0;  // of a source's network; 0: 24 in IPv4, 56 in IPv6
  Track track = Track::kChanges;
  Forwarding forwarding = Forwarding::kL2;
  TunnelConfig tunnel;
  std::vector<QuicConfig> quic;  // empty: packets follow their flows only
  unsigned table_size = 65537;   // Maglev slots: a prime, at least 100 times the backends is advisable
  std::vector<BackendConfig> backends;
  std::vector<ProbeConfig> probes;     // one or more
  unsigned probes_needed = 0;          // how many of them must be good; 0: all
  unsigned panic_percent = 0;          // of the weight: with less of it healthy every backend is used; 0: never
  unsigned max_ejected_percent = 100;  // of the weight: no more of it is out for bad health
  unsigned slow_start_ms = 0;          // in which a returning backend's weight grows

  bool any_port() const { return port == 0 && last_port == 65535; }
  std::uint16_t end_port() const { return last_port == 0 ? port : last_port; }  // the last one
  IpPrefix vip_prefix() const;
  std::string ports() const;  // as in the file: "80", "8000-8099", "any"
  friend bool operator==(const ServiceConfig&, const ServiceConfig&) = default;
};

// How an announcement is made unattractive before it is withdrawn, and when it counts as left by its traffic.
struct DrainConfig {
  unsigned prepend = 2;     // how often bird.local_as is put before the path, besides GRACEFUL_SHUTDOWN
  unsigned quiet_pps = 10;  // packets a second of its services, at most,
  unsigned quiet_s = 10;    // for so long
  friend bool operator==(const DrainConfig&, const DrainConfig&) = default;
};

// Repeated withdrawals, counted as routers that damp count them (RFC 2439): each adds a penalty of 1000, a drain by
// health half of that, and the sum halves in every half-life.
struct FlapConfig {
  unsigned half_life_s = 900;
  unsigned latch_penalty = 3000;        // at this sum it stays down (routers suppress at 2000 to 6000); 0: never
  unsigned reuse_penalty = 750;         // until the sum has decayed to this; 0: until somebody ends it
  unsigned hold_down_max_ms = 900'000;  // hold_down_ms doubles with every flap that counts, up to this
  friend bool operator==(const FlapConfig&, const FlapConfig&) = default;
};

// What becomes of an announcement when the monitor is dead for good and `bgpctl withdraw --monitor-lost` is run.
enum class MonitorLost : std::uint8_t { kWithdraw, kKeep };
std::string_view monitor_lost_name(MonitorLost choice);  // "withdraw", "keep"

struct AnnouncementConfig {
  std::string name;
  std::vector<IpPrefix> prefixes;
  std::vector<std::string> services;   // empty in the file: every service inside the prefixes
  unsigned required_services = 0;      // how many of them must work; 0: all
  unsigned min_healthy_percent = 50;   // of a service's backend weight: below it the service does not work
  unsigned drain_below_percent = 0;    // below this share it is drained, as long as min_healthy_percent holds it in
  unsigned return_margin_percent = 0;  // a level that was lost returns only at so much more than its limit
  unsigned min_sessions = 0;           // BGP sessions that must be established
  unsigned hold_down_ms = 60000;       // after a loss health must have been good this long before the level returns
  FlapConfig flaps;
  bool keep_last = false;  // faults do not withdraw it while BIRD knows nobody else who announces it
  bool canary = false;     // announced always, whatever health says: shows that BGP itself works
  MonitorLost if_monitor_lost = MonitorLost::kWithdraw;
  DrainConfig drain;
  friend bool operator==(const AnnouncementConfig&, const AnnouncementConfig&) = default;
};

struct PortConfig {
  std::string name;
  PortKind kind = PortKind::kAfXdp;
  // af_xdp: the kernel's interface; vdev: a DPDK device string such as "net_pcap0,rx_pcap=in.pcap"; pci: 0000:3b:00.0
  std::string device;
  unsigned queues = 1;
  // pci, vdev: the interface that the kernel gets for it, with the port's MAC and MTU; what is for no service goes
  // there, and what the kernel sends there leaves by the port. Empty: none.
  std::string kernel;
  friend bool operator==(const PortConfig&, const PortConfig&) = default;
};

// Is an echo request (ping) to a VIP answered? while_serving: if a service of the VIP has a healthy backend.
enum class AnswerEcho : std::uint8_t { kAlways, kWhileServing, kNever };
// follow: to the backend of the first fragment.
enum class FragmentPolicy : std::uint8_t { kFollow, kDrop };

// Choices of the packet engine that are no service's.
struct EngineConfig {
  AnswerEcho answer_echo = AnswerEcho::kWhileServing;
  FragmentPolicy fragments = FragmentPolicy::kFollow;
  unsigned fragment_records = 8192;    // fragmented packets that one worker remembers, 16 bytes each
  unsigned echo_per_second = 1000;     // echo requests that one worker answers
  unsigned too_big_per_second = 1000;  // ICMP errors that one worker sends because a packet does not fit a tunnel
  unsigned flow_records = 1U << 20U;   // flows that one worker remembers, 8 bytes each
  unsigned flow_window_ms = 120'000;   // how long after a change a flow may be silent and is still known
  unsigned tcp_idle_ms = 900'000;      // a remembered flow that is silent for longer is forgotten
  unsigned udp_idle_ms = 180'000;
  std::vector<IpPrefix> probe_sources;  // reserved for probes through the data path: one of each family at most
  friend bool operator==(const EngineConfig&, const EngineConfig&) = default;
};

// Packets a second that each worker hands to the kernel, by what they are. Every class has its own limit and its own
// place in line, in this order, so that a flood of one cannot starve another.
struct PuntConfig {
  unsigned routing_per_second = 20'000;    // BGP and BFD
  unsigned probes_per_second = 20'000;     // answers to the monitor's probes through the data path
  unsigned neighbours_per_second = 2'000;  // ARP, IPv6 neighbour and router discovery
  unsigned icmp_per_second = 1'000;
  unsigned other_per_second = 20'000;
  friend bool operator==(const PuntConfig&, const PuntConfig&) = default;
};

struct DataplaneConfig {
  std::vector<PortConfig> ports;
  std::vector<unsigned> cores;  // one worker each; empty: one worker, wherever the scheduler puts it
  Polling polling = Polling::kAdaptive;
  bool hugepages = true;
  bool telemetry = false;                   // DPDK's own socket, for dpdk-telemetry.py: /var/run/dpdk/anypop
  unsigned memory_mb = 128;                 // of hugepages, or of plain memory without them
  unsigned packet_buffers = 8192;           // per port
  std::array<std::uint8_t, 16> hash_key{};  // 32 hexadecimal digits, secret, the same on every server of the PoP
  EngineConfig engine;
  PuntConfig punt;
  // The kernel's interface by which probes enter the data path, if there are engine.probe_sources.
  std::string probe_interface = "anypop-probe";
  std::string user;  // to become once the ports are open; empty: stay who started it
  friend bool operator==(const DataplaneConfig&, const DataplaneConfig&) = default;
};

struct MonitorConfig {
  unsigned heartbeat_interval_ms = 50;  // how often the dataplane is asked
  unsigned heartbeat_timeout_ms = 200;  // a worker whose heartbeat is older counts as dead
  unsigned restart_grace_ms = 3000;     // how long a planned restart of it may take before prefixes go; 0: no time
  std::string http_listen;              // address:port of the status page and /metrics; empty: only the Unix socket
  bool second_opinion = true;           // when every backend falls silent at once, ask again before it is believed
  friend bool operator==(const MonitorConfig&, const MonitorConfig&) = default;
};

struct BirdConfig {
  std::string socket = "/run/bird/bird.ctl";
  std::uint32_t local_as = 0;  // of this PoP's BGP sessions, for the prepends of a drain; 0: a drain has none
  std::vector<Family> families{Family::kV4, Family::kV6};  // whose protocols it runs
  friend bool operator==(const BirdConfig&, const BirdConfig&) = default;
};

struct PopConfig {
  std::string pop;                                      // name of this PoP
  std::filesystem::path run_dir = "/run/anypop";        // sockets and BIRD state files; forgotten at a reboot
  std::filesystem::path state_dir = "/var/lib/anypop";  // holds and the event log; survives a reboot
  std::vector<BirdConfig> birds{BirdConfig{}};          // one, or one for each family
  DataplaneConfig dataplane;
  MonitorConfig monitor;
  std::vector<ServiceConfig> services;
  std::vector<AnnouncementConfig> announcements;
  std::filesystem::path file;  // where it was read from, for messages

  // Where the processes find each other.
  std::filesystem::path dataplane_socket() const { return run_dir / "dataplane.sock"; }
  std::filesystem::path monitor_socket() const { return run_dir / "healthmon.sock"; }
  std::filesystem::path bird_state_dir() const { return run_dir / "bird"; }
  std::filesystem::path holds_dir() const { return state_dir / "holds"; }
  std::filesystem::path flaps_dir() const { return state_dir / "flaps"; }
  std::filesystem::path event_log() const { return state_dir / "events.jsonl"; }

  const BirdConfig& bird_of(Family family) const;                  // the one that runs it; the first one if none does
  const ServiceConfig* find_service(std::string_view name) const;  // nullptr: none of that name
  const AnnouncementConfig* find_announcement(std::string_view name) const;  // nullptr: none of that name
};

// Reads and checks a configuration. The error is one line: file:line: key: found X, expected Y.
absl::StatusOr<PopConfig> load_config(const std::filesystem::path& path);
// The same for text that is already in memory; `path` is only for messages.
absl::StatusOr<PopConfig> parse_config(std::string_view text, const std::filesystem::path& path);

}  // namespace anypop
