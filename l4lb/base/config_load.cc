// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <yaml-cpp/eventhandler.h>

#include "base/atomic_file.h"
#include "base/config.h"
#include "base/text.h"
#include "config_announcement.h"
#include "config_check.h"
#include "config_quic.h"
#include "probe_load.h"
#include "yaml_reader.h"

namespace anypop {
namespace {

constexpr unsigned kDayMs = 86'400'000;
constexpr unsigned kIdleMaxMs = kDayMs / 3;  // what a flow record's clock can tell apart

// Adapters from the parsers of addresses to YamlMap::value().
template <typename T>
auto parse_into(T& out) {
  return [&out](const std::string& found) {
    auto parsed = T::parse(found);
    if (parsed.ok()) out = *std::move(parsed);
    return parsed.status();
  };
}

void read_backend(YamlMap& map, BackendConfig& backend) {
  map.name("name", backend.name);
  map.value("address", parse_into(backend.address), true);
  map.number("weight", backend.weight, 1U, 1000U);
  if (map.has("mac")) map.value("mac", parse_into(backend.mac.emplace()));
  read_server_ids(map, backend);
}

// A bare address stands for the prefix that holds nothing else.
absl::Status parse_source(const std::string& found, IpPrefix& out) {
  const auto address = IpAddress::parse(found);
  return parse_into(out)(address.ok() ? fmt::format("{}/{}", found, address->bytes().size() * 8) : found);
}

void read_forwarding(YamlMap& map, ServiceConfig& service) {
  std::size_t forwarding = 0;
  map.choice("forwarding", {"l2", "ipip", "gre", "gue"}, forwarding);
  service.forwarding = static_cast<Forwarding>(forwarding);
  map.values("tunnel_source",
             [&](const std::string& found) { return parse_source(found, service.tunnel.sources.emplace_back()); });
  map.number("tunnel_mtu", service.tunnel.mtu_bytes, 1332U, 65535U);
  map.number<std::uint16_t>("gue_port", service.tunnel.gue_port, 1, 65535);
  map.flag("gue_zero_checksum", service.tunnel.gue_zero_checksum);
  for (const char* key : {"tunnel_source", "tunnel_mtu", "gue_port", "gue_zero_checksum"}) {
    const bool of_gue = std::string_view(key).starts_with("gue");
    const bool fits = of_gue ? service.forwarding == Forwarding::kGue : service.forwarding != Forwarding::kL2;
    if (!fits && map.has(key)) {
      map.error(key, fmt::format("found it with forwarding: {}, expected it only with {}",
                                 forwarding_name(service.forwarding), of_gue ? "gue" : "ipip, gre or gue"));
    }
  }
}

absl::Status parse_vip(const std::string& found, ServiceConfig& service) {
  if (found.find('/') == std::string::npos) return parse_into(service.vip)(found);
  const auto prefix = IpPrefix::parse(found);
  if (!prefix.ok()) return prefix.status();
  service.vip = prefix->address();
  service.vip_prefix_bits = prefix->length_bits();
  return absl::OkStatus();
}

// One port, a range such as 8000-8099, or any.
absl::Status parse_ports(const std::string& found, ServiceConfig& service) {
  if (found == "any") {
    service.last_port = 65535;
    return absl::OkStatus();
  }
  const std::vector<std::string_view> ends = split(found, '-');
  const auto first = parse_number<std::uint16_t>(ends[0], 1, 65535);
  const auto last = ends.size() == 2 ? parse_number<std::uint16_t>(ends[1], 1, 65535) : first;
  if (!first || !last || ends.size() > 2 || *last < *first) {
    return invalid_argument("found '{}', expected a whole number from 1 to 65535, a range such as 8000-8099, or any",
                            escaped(found));
  }
  service.port = *first;
  service.last_port = *last == *first ? std::uint16_t{0} : *last;
  return absl::OkStatus();
}

void read_hash(YamlMap& map, ServiceConfig& service) {
  std::size_t hash = 0;
  map.choice("hash", {"flow", "source", "source_network"}, hash);
  service.hash = static_cast<HashBy>(hash);
  map.number("network_bits", service.network_bits, 1U, service.vip.family() == Family::kV4 ? 32U : 128U);
  if (service.hash != HashBy::kSourceNetwork && map.has("network_bits")) {
    map.error("network_bits", "found it without hash: source_network, expected it only with that");
  }
}

void read_service(YamlMap& map, ServiceConfig& service, ConfigMarks::Service& marks) {
  marks.mark = map.mark();
  map.name("name", service.name);
  map.value(
      "vip", [&](const std::string& found) { return parse_vip(found, service); }, true);
  std::size_t protocol = 0;
  map.choice("protocol", {"tcp", "udp"}, protocol, true);
  service.protocol = protocol == 0 ? Protocol::kTcp : Protocol::kUdp;
  map.value(
      "port", [&](const std::string& found) { return parse_ports(found, service); }, true);
  read_hash(map, service);
  auto track = static_cast<std::size_t>(service.track);
  map.choice("track", {"changes", "always", "never"}, track);
  service.track = static_cast<Track>(track);
  read_forwarding(map, service);
  read_quic(map, service);
  map.number("table_size", service.table_size, 2U, 16'777'213U);
  map.list(
      "backends",
      [&](YamlMap& entry) {
        marks.backends.push_back(entry.mark());
        read_backend(entry, service.backends.emplace_back());
      },
      true);
  read_probes(map, service);
  map.number("panic_percent", service.panic_percent, 0U, 100U);
  map.number("max_ejected_percent", service.max_ejected_percent, 0U, 100U);
  map.number("slow_start_ms", service.slow_start_ms, 0U, kDayMs);
}

// Domain, bus, device, function, as the kernel writes them.
bool is_pci_address(std::string_view text) {
  constexpr std::string_view kForm = "xxxx:xx:xx.x";
  return std::equal(text.begin(), text.end(), kForm.begin(), kForm.end(), [](char found, char form) {
    return form == 'x' ? (found >= '0' && found <= '9') || (found >= 'a' && found <= 'f') : found == form;
  });
}

constexpr std::string_view kInterfaceNameExpected = "the name of an interface, of 1 to 15 letters, digits, . _ or -";
bool is_interface_name(std::string_view text) {
  const bool plain = std::ranges::all_of(text, [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
  return plain && !text.empty() && text.size() <= 15 && text != "." && text != "..";
}

void read_punt(YamlMap& map, PuntConfig& punt) {
  constexpr unsigned kMost = 10'000'000;
  map.number("routing_per_second", punt.routing_per_second, 1U, kMost);
  map.number("probes_per_second", punt.probes_per_second, 1U, kMost);
  map.number("neighbours_per_second", punt.neighbours_per_second, 1U, kMost);
  map.number("icmp_per_second", punt.icmp_per_second, 0U, kMost);
  map.number("other_per_second", punt.other_per_second, 0U, kMost);
}

void read_port(YamlMap& map, PortConfig& port) {
  map.name("name", port.name);
  unsigned kinds = 0;
  for (const PortKind kind : {PortKind::kAfXdp, PortKind::kVdev, PortKind::kPci}) {
    if (!map.has(port_kind_name(kind))) continue;
    ++kinds;
    port.kind = kind;
  }
  if (kinds != 1) {
    map.error("name", fmt::format("found a port with {} of af_xdp, vdev and pci, expected one of them", kinds));
  }
  map.text(port_kind_name(port.kind), port.device);
  if (port.kind == PortKind::kPci && !is_pci_address(port.device)) {
    map.error("pci", fmt::format("found '{}', expected an address such as 0000:3b:00.0", escaped(port.device)));
  }
  map.number("queues", port.queues, 1U, 64U);
  map.text("kernel", port.kernel);
  if (map.has("kernel") && port.kind == PortKind::kAfXdp) {
    map.error("kernel",
              "found it with af_xdp, where the kernel keeps its interface, expected it only with pci or vdev");
  } else if (map.has("kernel") && !is_interface_name(port.kernel)) {
    map.error("kernel", fmt::format("found '{}', expected {}", escaped(port.kernel), kInterfaceNameExpected));
  }
}

absl::Status parse_hash_key(const std::string& found, std::array<std::uint8_t, 16>& out) {
  if (found.size() != 32 || !std::all_of(found.begin(), found.end(), absl::ascii_isxdigit)) {
    // The value is a secret and is not repeated.
    return invalid_argument("found {} characters, expected 32 hexadecimal digits (openssl rand -hex 16)", found.size());
  }
  const std::string bytes = absl::HexStringToBytes(found);
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return absl::OkStatus();
}

void read_engine(YamlMap& map, EngineConfig& engine) {
  auto answer_echo = static_cast<std::size_t>(engine.answer_echo);
  map.choice("answer_echo", {"always", "while_serving", "never"}, answer_echo);
  engine.answer_echo = static_cast<AnswerEcho>(answer_echo);
  auto fragments = static_cast<std::size_t>(engine.fragments);
  map.choice("fragments", {"follow", "drop"}, fragments);
  engine.fragments = static_cast<FragmentPolicy>(fragments);
  map.number("fragment_records", engine.fragment_records, 4U, 16'777'216U);
  map.number("echo_per_second", engine.echo_per_second, 0U, 1'000'000U);
  map.number("too_big_per_second", engine.too_big_per_second, 0U, 1'000'000U);
  map.number("flow_records", engine.flow_records, 1024U, 67'108'864U);
  map.number("flow_window_ms", engine.flow_window_ms, 1000U, kIdleMaxMs);
  map.number("tcp_idle_ms", engine.tcp_idle_ms, 1000U, kIdleMaxMs);
  map.number("udp_idle_ms", engine.udp_idle_ms, 1000U, kIdleMaxMs);
}

void read_dataplane(YamlMap& map, DataplaneConfig& dataplane, ConfigMarks& marks) {
  map.list(
      "ports",
      [&](YamlMap& entry) {
        marks.ports.push_back(entry.mark());
        read_port(entry, dataplane.ports.emplace_back());
      },
      true);
  map.values("cores", [&](const std::string& found) {
    unsigned core = 0;
    if (const auto number = parse_number<unsigned>(found, 0, 1023)) {
      core = *number;
    } else {
      return invalid_argument("found '{}', expected a core number from 0 to 1023", escaped(found));
    }
    dataplane.cores.push_back(core);
    return absl::OkStatus();
  });
  std::size_t polling = dataplane.polling == Polling::kBusy ? 0 : 1;
  map.choice("polling", {"busy", "adaptive"}, polling);
  dataplane.polling = polling == 0 ? Polling::kBusy : Polling::kAdaptive;
  map.flag("hugepages", dataplane.hugepages);
  map.flag("telemetry", dataplane.telemetry);
  map.number("memory_mb", dataplane.memory_mb, 32U, 1'048'576U);
  map.number("packet_buffers", dataplane.packet_buffers, 1024U, 16'777'216U);
  if (map.has("probe_sources")) marks.probe_sources = map.mark();
  map.values("probe_sources", [&](const std::string& found) {
    return parse_into(dataplane.engine.probe_sources.emplace_back())(found);
  });
  map.text("probe_interface", dataplane.probe_interface);
  if (!is_interface_name(dataplane.probe_interface)) {
    map.error("probe_interface",
              fmt::format("found '{}', expected {}", escaped(dataplane.probe_interface), kInterfaceNameExpected));
  }
  map.map("punt", [&](YamlMap& entry) { read_punt(entry, dataplane.punt); });
  map.text("user", dataplane.user);
  read_engine(map, dataplane.engine);
  map.value(
      "hash_key", [&](const std::string& found) { return parse_hash_key(found, dataplane.hash_key); }, true);
}

void read_directory(YamlMap& map, std::string_view key, std::filesystem::path& out) {
  std::string text = out;
  map.text(key, text);
  if (!text.starts_with('/')) map.error(key, fmt::format("found '{}', expected an absolute path", text));
  out = text;
}

void read_pop(YamlMap& map, PopConfig& config, ConfigMarks& marks) {
  map.name("pop", config.pop);
  read_directory(map, "run_dir", config.run_dir);
  read_directory(map, "state_dir", config.state_dir);
  read_birds(map, config, marks);
  map.map(
      "dataplane", [&](YamlMap& entry) { read_dataplane(entry, config.dataplane, marks); }, true);
  map.map("monitor", [&](YamlMap& entry) {
    entry.number("heartbeat_interval_ms", config.monitor.heartbeat_interval_ms, 10U, kDayMs);
    entry.number("heartbeat_timeout_ms", config.monitor.heartbeat_timeout_ms, 10U, kDayMs);
    entry.number("restart_grace_ms", config.monitor.restart_grace_ms, 0U, 60'000U);
    entry.text("http_listen", config.monitor.http_listen);
    entry.flag("second_opinion", config.monitor.second_opinion);
  });
  map.list(
      "services",
      [&](YamlMap& entry) { read_service(entry, config.services.emplace_back(), marks.services.emplace_back()); },
      true);
  map.list(
      "announcements",
      [&](YamlMap& entry) {
        marks.announcements.push_back(entry.mark());
        read_announcement(entry, config.announcements.emplace_back());
      },
      true);
  map.finish();
}

// Where the content of a document begins.
class ContentStart final : public YAML::EventHandler {
 public:
  std::optional<YAML::Mark> mark;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& at, YAML::anchor_t) override { note(at); }
  void OnAlias(const YAML::Mark& at, YAML::anchor_t) override { note(at); }
  void OnScalar(const YAML::Mark& at, const std::string&, YAML::anchor_t, const std::string&) override { note(at); }
  void OnSequenceStart(const YAML::Mark& at, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    note(at);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& at, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    note(at);
  }
  void OnMapEnd() override {}

 private:
  void note(const YAML::Mark& at) {
    if (!mark) mark = at;
  }
};

// Where the second document begins. No more than two are asked for: of a lone comma yaml-cpp would make documents
// without an end.
std::optional<YAML::Mark> second_document(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  ContentStart first;
  ContentStart second;
  if (!parser.HandleNextDocument(first) || !parser.HandleNextDocument(second)) return std::nullopt;
  return second.mark.value_or(YAML::Mark());
}

}  // namespace

absl::StatusOr<PopConfig> parse_config(std::string_view text, const std::filesystem::path& path) {
  ConfigErrors errors(path.string());
  PopConfig config;
  config.file = path;
  // yaml-cpp reports by exception; nothing of it leaves this function.
  try {
    // Whatever stands there was meant for something, and nobody would read it.
    if (const auto second = second_document(std::string(text))) {
      errors.add(*second, "", "found a second YAML document, expected the file to end with the first");
    }
    ConfigMarks marks;
    YamlMap map(YAML::Load(std::string(text)), "", errors);
    read_pop(map, config, marks);
    if (errors.ok()) check_config(config, marks, errors);
  } catch (const YAML::Exception& problem) {
    errors.add(problem.mark, "", fmt::format("found text that is not YAML ({}), expected a mapping", problem.msg));
  }
  if (!errors.ok()) return errors.status();
  return config;
}

absl::StatusOr<PopConfig> load_config(const std::filesystem::path& path) {
  const auto text = read_file(path);
  if (!text.ok()) {
    return absl::Status(text.status().code(),
                        fmt::format("{}; expected the PoP's configuration", message(text.status())));
  }
  return parse_config(*text, path);
}

}  // namespace anypop
