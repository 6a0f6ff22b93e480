// SPDX-License-Identifier: Apache-2.0
#include "base/config_diff.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "base/text.h"

namespace anypop {
namespace {

constexpr std::string_view kNothing = "none";

std::string text_of(const std::string& value) { return value; }
std::string text_of(std::string_view value) { return std::string(value); }
std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(unsigned value) { return std::to_string(value); }
std::string text_of(const IpAddress& value) { return value.to_string(); }
std::string text_of(const std::optional<MacAddress>& mac) { return mac ? mac->to_string() : std::string(kNothing); }
std::string text_of(Polling polling) { return polling == Polling::kBusy ? "busy" : "adaptive"; }
std::string text_of(const std::vector<unsigned>& numbers) {
  return numbers.empty() ? std::string(kNothing) : fmt::format("{}", fmt::join(numbers, " "));
}
std::string text_of(const std::vector<IpPrefix>& prefixes) {
  std::vector<std::string> texts;
  for (const IpPrefix& prefix : prefixes) texts.push_back(prefix.to_string());
  return texts.empty() ? std::string(kNothing) : fmt::format("{}", fmt::join(texts, " "));
}
std::string text_of(HashBy hash) {
  return hash == HashBy::kFlow ? "flow" : hash == HashBy::kSource ? "source" : "source_network";
}
std::string text_of(AnswerEcho echo) {
  return echo == AnswerEcho::kAlways ? "always" : echo == AnswerEcho::kNever ? "never" : "while_serving";
}
std::string text_of(FragmentPolicy policy) { return policy == FragmentPolicy::kFollow ? "follow" : "drop"; }

// "key before -> after", for each that differs.
class Notes {
 public:
  template <typename T>
  void note(std::string_view key, const T& before, const T& after) {
    if (before == after) return;
    add(fmt::format("{} {} -> {}", key, text_of(before), text_of(after)));
  }
  void add(std::string text) { notes_.push_back(std::move(text)); }
  bool empty() const { return notes_.empty(); }
  std::string text() const { return fmt::format("{}", fmt::join(notes_, ", ")); }
  std::vector<std::string> take() { return std::move(notes_); }

 private:
  std::vector<std::string> notes_;
};

std::string vip_text(const ServiceConfig& service) {
  return service.vip_prefix_bits ? service.vip_prefix().to_string() : service.vip.to_string();
}

std::string describe(const BackendConfig& before, const BackendConfig& after) {
  Notes notes;
  notes.note("address", before.address, after.address);
  notes.note("weight", before.weight, after.weight);
  notes.note("mac", before.mac, after.mac);
  if (notes.empty()) notes.add("other keys");
  return notes.text();
}

std::string describe(const ServiceConfig& before, const ServiceConfig& after) {
  Notes notes;
  notes.note("vip", vip_text(before), vip_text(after));
  notes.note("protocol", protocol_name(before.protocol), protocol_name(after.protocol));
  notes.note("port", before.ports(), after.ports());
  notes.note("hash", before.hash, after.hash);
  notes.note("network_bits", before.network_bits, after.network_bits);
  notes.note("forwarding", forwarding_name(before.forwarding), forwarding_name(after.forwarding));
  notes.note("tunnel_source", before.tunnel.sources, after.tunnel.sources);
  notes.note("tunnel_mtu", before.tunnel.mtu_bytes, after.tunnel.mtu_bytes);
  notes.note("table_size", before.table_size, after.table_size);
  if (before.probes != after.probes || before.probes_needed != after.probes_needed) notes.add("probe");
  // A key that nobody taught to this function is still a change.
  ServiceConfig rest = after;
  rest.backends = before.backends;
  if (notes.empty() && rest != before) notes.add("other keys");
  return notes.text();
}

template <typename T>
const T* find_name(const std::vector<T>& things, std::string_view name) {
  const auto at = std::find_if(things.begin(), things.end(), [&](const T& thing) { return thing.name == name; });
  return at == things.end() ? nullptr : &*at;
}

std::vector<BackendDiff> diff_backends(const ServiceConfig& before, const ServiceConfig& after) {
  std::vector<BackendDiff> out;
  for (const BackendConfig& backend : after.backends) {
    const BackendConfig* old = find_name(before.backends, backend.name);
    if (old == nullptr) {
      out.push_back({backend.name, Change::kAdded, {}});
    } else if (*old != backend) {
      out.push_back({backend.name, Change::kChanged, describe(*old, backend)});
    }
  }
  for (const BackendConfig& backend : before.backends) {
    if (find_name(after.backends, backend.name) == nullptr) out.push_back({backend.name, Change::kRemoved, {}});
  }
  return out;
}

std::string text_of(const std::vector<PortConfig>& ports) {
  std::vector<std::string> texts;
  for (const PortConfig& port : ports) texts.push_back(fmt::format("{} ({} x{})", port.name, port.device, port.queues));
  return fmt::format("{}", fmt::join(texts, " "));
}

class Refusals {
 public:
  template <typename T>
  void fixed(std::string_view key, const T& before, const T& after) {
    if (before == after) return;
    const std::string found = text_of(after);
    const std::string expected = text_of(before);
    if (found == expected) return add(fmt::format("{}: found another one, expected it as before", key));
    add(fmt::format("{}: found {}, expected {} as before", key, found, expected));
  }
  void add(std::string text) { out_.push_back(std::move(text)); }
  std::vector<std::string> take() { return std::move(out_); }

 private:
  std::vector<std::string> out_;
};

std::vector<std::string> find_refused(const PopConfig& before, const PopConfig& after) {
  Refusals refusals;
  const DataplaneConfig& was = before.dataplane;
  const DataplaneConfig& is = after.dataplane;
  refusals.fixed("run_dir", before.run_dir.string(), after.run_dir.string());
  refusals.fixed("dataplane.ports", was.ports, is.ports);
  refusals.fixed("dataplane.cores", was.cores, is.cores);
  refusals.fixed("dataplane.polling", was.polling, is.polling);
  refusals.fixed("dataplane.hugepages", was.hugepages, is.hugepages);
  refusals.fixed("dataplane.telemetry", was.telemetry, is.telemetry);
  refusals.fixed("dataplane.memory_mb", was.memory_mb, is.memory_mb);
  refusals.fixed("dataplane.packet_buffers", was.packet_buffers, is.packet_buffers);
  refusals.fixed("dataplane.probe_sources", was.engine.probe_sources, is.engine.probe_sources);
  refusals.fixed("dataplane.probe_interface", was.probe_interface, is.probe_interface);
  refusals.fixed("dataplane.user", was.user, is.user);
  if (was.punt != is.punt) refusals.add("dataplane.punt: found other limits, expected them as before");
  if (was.hash_key != is.hash_key) refusals.add("dataplane.hash_key: found another one, expected it as before");
  // What the engine reads from the snapshot may change; what its tables and limits were made of may not.
  EngineConfig engine = was.engine;
  engine.answer_echo = is.engine.answer_echo;
  engine.fragments = is.engine.fragments;
  if (engine != is.engine) {
    refusals.fixed("dataplane.fragment_records", was.engine.fragment_records, is.engine.fragment_records);
    refusals.fixed("dataplane.echo_per_second", was.engine.echo_per_second, is.engine.echo_per_second);
    refusals.fixed("dataplane.too_big_per_second", was.engine.too_big_per_second, is.engine.too_big_per_second);
  }
  std::vector<std::string> out = refusals.take();
  if (out.empty() && engine != is.engine) {
    out.emplace_back("dataplane: found another size of a table or limit, expected it as before");
  }
  return out;
}

}  // namespace

std::string_view change_name(Change change) {
  return change == Change::kAdded ? "added" : change == Change::kRemoved ? "removed" : "changed";
}

ConfigDiff diff_configs(const PopConfig& before, const PopConfig& after) {
  ConfigDiff diff;
  diff.refused = find_refused(before, after);
  Notes settings;
  settings.note("dataplane.answer_echo", before.dataplane.engine.answer_echo, after.dataplane.engine.answer_echo);
  settings.note("dataplane.fragments", before.dataplane.engine.fragments, after.dataplane.engine.fragments);
  diff.settings = settings.take();
  for (const ServiceConfig& service : after.services) {
    const ServiceConfig* old = find_name(before.services, service.name);
    if (old == nullptr) {
      diff.services.push_back({.name = service.name, .change = Change::kAdded, .what = {}, .backends = {}});
    } else if (*old != service) {
      diff.services.push_back({.name = service.name,
                               .change = Change::kChanged,
                               .what = describe(*old, service),
                               .backends = diff_backends(*old, service)});
    }
  }
  for (const ServiceConfig& service : before.services) {
    if (find_name(after.services, service.name) == nullptr) {
      diff.services.push_back({.name = service.name, .change = Change::kRemoved, .what = {}, .backends = {}});
    }
  }
  return diff;
}

}  // namespace anypop
