// SPDX-License-Identifier: Apache-2.0
// Each message lists its fields once, in fields(); writing and reading both walk that list.
#include "dataplane_api/messages.h"

#include <concepts>
#include <type_traits>
#include <utility>

#include <absl/status/status.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/text.h"

namespace anypop::dataplane_api {
namespace {

namespace json = boost::json;

// What an older writer does not say keeps its default.
struct Optional {};
constexpr Optional kOptional;

// T is a message, const when it is written.
template <typename T, typename Message>
concept Is = std::same_as<std::remove_const_t<T>, Message>;

void fields(Is<WorkerHeartbeat> auto& m, auto&& visit) {
  visit("worker", m.worker), visit("loops", m.loops), visit("age_ms", m.age_ms);
}
void fields(Is<Heartbeat> auto& m, auto&& visit) {
  visit("instance", m.instance), visit("generation", m.generation), visit("workers", m.workers);
  visit("planned_restart_ms", m.planned_restart_ms, kOptional);
}
void fields(Is<BackendState> auto& m, auto&& visit) {
  visit("name", m.name), visit("address", m.address), visit("weight", m.weight), visit("healthy", m.healthy);
  visit("resolved", m.resolved), visit("mac", m.mac), visit("slots", m.slots);
  visit("next_hop", m.next_hop, kOptional);
  visit("weight_permille", m.weight_permille, kOptional);
  visit("probe_source", m.probe_source, kOptional);
}
void fields(Is<ServiceState> auto& m, auto&& visit) {
  visit("name", m.name), visit("vip", m.vip), visit("protocol", m.protocol), visit("port", m.port);
  visit("backends", m.backends), visit("open_windows", m.open_windows, kOptional);
}
void fields(Is<PuntState> auto& m, auto&& visit) {
  visit("kind", m.kind), visit("sent", m.sent), visit("limited", m.limited), visit("refused", m.refused);
}
void fields(Is<PortState> auto& m, auto&& visit) {
  visit("name", m.name), visit("device", m.device), visit("mac", m.mac), visit("link_up", m.link_up);
  visit("rx_packets", m.rx_packets), visit("tx_packets", m.tx_packets), visit("rx_missed", m.rx_missed);
  visit("tx_dropped", m.tx_dropped);
  visit("link", m.link, kOptional), visit("link_changes", m.link_changes, kOptional);
  visit("queues", m.queues, kOptional), visit("buffers", m.buffers, kOptional);
  visit("rx_waiting", m.rx_waiting, kOptional), visit("rx_ring", m.rx_ring, kOptional);
  visit("buffers_in_use", m.buffers_in_use, kOptional), visit("kernel", m.kernel, kOptional);
  visit("punted", m.punted, kOptional), visit("from_kernel", m.from_kernel, kOptional);
  visit("from_kernel_dropped", m.from_kernel_dropped, kOptional);
}
void fields(Is<State> auto& m, auto&& visit) {
  visit("version", m.version), visit("pop", m.pop), visit("instance", m.instance), visit("pid", m.pid);
  visit("generation", m.generation), visit("hash_engine", m.hash_engine, kOptional);
  visit("ports", m.ports), visit("services", m.services);
}
void fields(Is<VerdictCount> auto& m, auto&& visit) { visit("verdict", m.verdict), visit("packets", m.packets); }
void fields(Is<BackendStats> auto& m, auto&& visit) {
  visit("name", m.name), visit("packets", m.packets), visit("bytes", m.bytes);
}
void fields(Is<ServiceStats> auto& m, auto&& visit) { visit("name", m.name), visit("backends", m.backends); }
void fields(Is<WorkerStats> auto& m, auto&& visit) {
  visit("worker", m.worker), visit("verdicts", m.verdicts), visit("latency", m.latency);
}
void fields(Is<FlowStats> auto& m, auto&& visit) {
  visit("hits", m.hits), visit("inserted", m.inserted), visit("evicted_half_open", m.evicted_half_open);
  visit("evicted_established", m.evicted_established), visit("expired", m.expired);
  visit("half_open", m.half_open), visit("established", m.established);
  visit("capacity", m.capacity, kOptional);
}
void fields(Is<Stats> auto& m, auto&& visit) {
  visit("instance", m.instance), visit("verdicts", m.verdicts), visit("services", m.services);
  visit("workers", m.workers, kOptional), visit("flows", m.flows, kOptional);
}
void fields(Is<BackendHealth> auto& m, auto&& visit) {
  visit("service", m.service), visit("backend", m.backend), visit("healthy", m.healthy);
  visit("weight_permille", m.weight_permille, kOptional);
}
void fields(Is<CaptureRequest> auto& m, auto&& visit) {
  visit("program", m.program, kOptional), visit("verdicts", m.verdicts, kOptional);
  visit("snap_bytes", m.snap_bytes, kOptional), visit("packets", m.packets, kOptional);
  visit("per_second", m.per_second, kOptional);
}
void fields(Is<CapturedPacket> auto& m, auto&& visit) {
  visit("time_ns", m.time_ns), visit("port", m.port), visit("length", m.length), visit("verdict", m.verdict);
  visit("service", m.service), visit("backend", m.backend), visit("data", m.data);
}
void fields(Is<CaptureAnswer> auto& m, auto&& visit) {
  visit("done", m.done), visit("missed", m.missed), visit("packets", m.packets);
}
void fields(Is<HealthUpdate> auto& m, auto&& visit) { visit("backends", m.backends); }
void fields(Is<ExplainRequest> auto& m, auto&& visit) {
  visit("protocol", m.protocol), visit("source", m.source), visit("source_port", m.source_port);
  visit("destination", m.destination), visit("destination_port", m.destination_port);
  visit("opens", m.opens, kOptional), visit("ip_bytes", m.ip_bytes, kOptional);
  visit("payload", m.payload, kOptional);
}
void fields(Is<ExplainRecord> auto& m, auto&& visit) {
  visit("worker", m.worker), visit("backend", m.backend), visit("half_open", m.half_open);
  visit("expires_ms", m.expires_ms), visit("left_over", m.left_over, kOptional);
  visit("closing", m.closing, kOptional);
}
void fields(Is<ExplainAnswer> auto& m, auto&& visit) {
  visit("generation", m.generation), visit("verdict", m.verdict), visit("decision", m.decision);
  visit("service", m.service), visit("backend", m.backend), visit("backend_address", m.backend_address);
  visit("slots", m.slots), visit("slot", m.slot), visit("owner", m.owner), visit("next_hop", m.next_hop);
  visit("outer_header", m.outer_header), visit("sent_bytes", m.sent_bytes);
  visit("window", m.window), visit("previous_owner", m.previous_owner), visit("records", m.records);
  visit("next_hop_way", m.next_hop_way, kOptional);
}
void fields(Is<HealthAnswer> auto& m, auto&& visit) { visit("generation", m.generation), visit("unknown", m.unknown); }
void fields(Is<BackendChange> auto& m, auto&& visit) {
  visit("name", m.name), visit("change", m.change), visit("what", m.what);
}
void fields(Is<ServiceChange> auto& m, auto&& visit) {
  visit("name", m.name), visit("change", m.change), visit("what", m.what), visit("backends", m.backends);
  visit("slots", m.slots), visit("slots_moved", m.slots_moved);
}
void fields(Is<ReloadReport> auto& m, auto&& visit) {
  visit("applied", m.applied), visit("generation", m.generation), visit("refused", m.refused);
  visit("settings", m.settings), visit("services", m.services);
}

template <typename T>
json::value write(const std::vector<T>& values);

template <typename T>
json::value write(const T& value) {
  if constexpr (std::is_arithmetic_v<T> || std::same_as<T, std::string>) {
    return json::value(value);
  } else {
    json::object object;
    fields(value, [&](const char* key, const auto& field, auto...) { object[key] = write(field); });
    return object;
  }
}

template <typename T>
json::value write(const std::vector<T>& values) {
  json::array array;
  for (const T& value : values) array.push_back(write(value));
  return array;
}

class Reader {
 public:
  void read(const json::value& in, std::string& out, const std::string& place) {
    if (!in.is_string()) return fail(place, "a string");
    out = std::string(in.get_string());
  }
  void read(const json::value& in, bool& out, const std::string& place) {
    if (!in.is_bool()) return fail(place, "true or false");
    out = in.get_bool();
  }
  void read(const json::value& in, std::uint64_t& out, const std::string& place) {
    json::error_code error;
    out = in.to_number<std::uint64_t>(error);
    if (error) fail(place, "a whole number from 0");
  }
  void read(const json::value& in, double& out, const std::string& place) {
    json::error_code error;
    out = in.to_number<double>(error);
    if (error) fail(place, "a number");
  }
  template <typename T>
  void read(const json::value& in, std::vector<T>& out, const std::string& place) {
    if (!in.is_array()) return fail(place, "a list");
    for (const json::value& element : in.get_array()) {
      const std::size_t index = out.size();
      read(element, out.emplace_back(), fmt::format("{}[{}]", place, index));
    }
  }
  template <typename T>
  void read(const json::value& in, T& out, const std::string& place) {
    if (!in.is_object()) return fail(place, "an object");
    fields(out, [&](const char* key, auto& field, auto... optional) {
      const std::string inner = place.empty() ? key : fmt::format("{}.{}", place, key);
      const json::value* value = in.get_object().if_contains(key);
      if (value != nullptr) return read(*value, field, inner);
      if (sizeof...(optional) == 0) fail(inner, "a value");
    });
  }
  const absl::Status& status() const { return status_; }

 private:
  void fail(const std::string& place, std::string_view expected) {
    if (status_.ok()) {
      status_ = invalid_argument("{}: expected {}", place.empty() ? "message" : place, expected);
    }
  }
  absl::Status status_;
};

template <typename T>
absl::StatusOr<T> parse(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error) return invalid_argument("not JSON: {}", error.message());
  T message;
  Reader reader;
  reader.read(value, message, "");
  if (!reader.status().ok()) return reader.status();
  return message;
}

}  // namespace

std::string to_json(const Heartbeat& message) { return json::serialize(write(message)); }
std::string to_json(const State& message) { return json::serialize(write(message)); }
std::string to_json(const Stats& message) { return json::serialize(write(message)); }
std::string to_json(const HealthUpdate& message) { return json::serialize(write(message)); }
std::string to_json(const ExplainRequest& message) { return json::serialize(write(message)); }
std::string to_json(const ExplainAnswer& message) { return json::serialize(write(message)); }
std::string to_json(const HealthAnswer& message) { return json::serialize(write(message)); }
std::string to_json(const ReloadReport& message) { return json::serialize(write(message)); }
std::string to_json(const CaptureRequest& message) { return json::serialize(write(message)); }
std::string to_json(const CaptureAnswer& message) { return json::serialize(write(message)); }

absl::StatusOr<Heartbeat> parse_heartbeat(std::string_view text) { return parse<Heartbeat>(text); }
absl::StatusOr<State> parse_state(std::string_view text) { return parse<State>(text); }
absl::StatusOr<Stats> parse_stats(std::string_view text) { return parse<Stats>(text); }
absl::StatusOr<HealthUpdate> parse_health_update(std::string_view text) { return parse<HealthUpdate>(text); }
absl::StatusOr<ExplainRequest> parse_explain_request(std::string_view text) { return parse<ExplainRequest>(text); }
absl::StatusOr<ExplainAnswer> parse_explain_answer(std::string_view text) { return parse<ExplainAnswer>(text); }
absl::StatusOr<ReloadReport> parse_reload_report(std::string_view text) { return parse<ReloadReport>(text); }
absl::StatusOr<CaptureRequest> parse_capture_request(std::string_view text) { return parse<CaptureRequest>(text); }
absl::StatusOr<CaptureAnswer> parse_capture_answer(std::string_view text) { return parse<CaptureAnswer>(text); }

}  // namespace anypop::dataplane_api
