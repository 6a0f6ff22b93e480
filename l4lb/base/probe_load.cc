// SPDX-License-Identifier: Apache-2.0
#include "probe_load.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <re2/re2.h>

#include "base/probe_source.h"
#include "base/text.h"

namespace anypop {
namespace {

constexpr unsigned kDayMs = 86'400'000;
constexpr std::size_t kPayloadMaxBytes = 512;

constexpr std::pair<std::string_view, std::uint16_t> kDnsTypes[] = {
    {"A", 1}, {"NS", 2}, {"CNAME", 5}, {"SOA", 6}, {"PTR", 12}, {"MX", 15}, {"TXT", 16}, {"AAAA", 28}};
constexpr std::pair<std::string_view, std::uint16_t> kDnsRcodes[] = {{"NOERROR", 0},  {"FORMERR", 1}, {"SERVFAIL", 2},
                                                                     {"NXDOMAIN", 3}, {"NOTIMP", 4},  {"REFUSED", 5}};

template <std::size_t N>
std::string name_of(const std::pair<std::string_view, std::uint16_t> (&table)[N], std::string_view other,
                    std::uint16_t value) {
  for (const auto& [name, number] : table) {
    if (number == value) return std::string(name);
  }
  return fmt::format("{}{}", other, value);
}

template <std::size_t N>
auto parse_word(const std::pair<std::string_view, std::uint16_t> (&table)[N], std::uint16_t& out) {
  return [&table, &out](const std::string& found) {
    std::string words;
    for (const auto& [name, number] : table) {
      if (name == found) {
        out = number;
        return absl::OkStatus();
      }
      words += fmt::format("{}{}", words.empty() ? "" : ", ", name);
    }
    return invalid_argument("found '{}', expected one of {}", escaped(found), words);
  };
}

absl::Status parse_status(const std::string& found, std::vector<StatusRange>& out) {
  const std::vector<std::string_view> ends = split(found, '-');
  const auto first = parse_number(ends[0], 100U, 599U);
  const auto last = ends.size() == 2 ? parse_number(ends[1], 100U, 599U) : first;
  if (!first || !last || ends.size() > 2 || *last < *first) {
    return invalid_argument("found '{}', expected a status from 100 to 599, or a range such as 200-299",
                            escaped(found));
  }
  out.push_back({*first, *last});
  return absl::OkStatus();
}

bool is_token(std::string_view text) {  // RFC 9110, section 5.6.2
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string::npos;
  });
}

absl::Status parse_header(const std::string& found, std::vector<std::string>& out) {
  const auto colon = found.find(": ");
  const bool printable = std::all_of(found.begin(), found.end(), absl::ascii_isprint);
  if (colon == std::string::npos || !is_token(std::string_view(found).substr(0, colon)) || !printable) {
    // It may hold a password, and this message goes to logs.
    return invalid_argument("found {} characters, expected a header such as 'Accept: text/plain'", found.size());
  }
  out.push_back(found);
  return absl::OkStatus();
}

absl::Status parse_expression(const std::string& found, std::string& out) {
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 expression(found, options);
  if (!expression.ok()) {
    return invalid_argument("found '{}' ({}), expected an RE2 expression", escaped(found), escaped(expression.error()));
  }
  out = found;
  return absl::OkStatus();
}

void read_http(YamlMap& map, HttpProbeConfig& http) {
  constexpr std::array<std::string_view, 3> kMethods = {"GET", "HEAD", "OPTIONS"};
  std::size_t method = 0;
  map.choice("method", {kMethods[0], kMethods[1], kMethods[2]}, method);
  http.method = kMethods[method];
  map.text("path", http.path);
  if (!http.path.starts_with('/') || http.path.find(' ') != std::string::npos) {
    map.error("path", fmt::format("found '{}', expected a path that begins with /, without blanks", http.path));
  }
  map.text("host", http.host);
  map.values("headers", [&](const std::string& found) { return parse_header(found, http.headers); });
  std::vector<StatusRange> expected;
  map.one_or_more("expected_status", [&](const std::string& found) { return parse_status(found, expected); });
  if (!expected.empty()) http.expected_status = std::move(expected);
  map.value("expected_body", [&](const std::string& found) { return parse_expression(found, http.expected_body); });
  if (http.method == "HEAD" && !http.expected_body.empty()) {
    map.error("expected_body", "found it with method: HEAD, which has no body; expected GET");
  }
}

void read_tls(YamlMap& map, TlsProbeConfig& tls) {
  map.flag("tls_verify", tls.verify);
  map.text("tls_ca_file", tls.ca_file);
  map.text("tls_server_name", tls.server_name);
  if (!tls.ca_file.empty() && !tls.ca_file.starts_with('/')) {
    map.error("tls_ca_file", fmt::format("found '{}', expected an absolute path", tls.ca_file));
  }
}

// Labels of 1 to 63 characters, 253 together (RFC 1035, section 2.3.4).
absl::Status parse_dns_name(const std::string& found, std::string& out) {
  out = found == "." || !found.ends_with('.') ? found : found.substr(0, found.size() - 1);
  if (out == ".") return absl::OkStatus();
  const std::vector<std::string_view> labels = split(out, '.');
  const bool good = out.size() <= 253 && std::all_of(labels.begin(), labels.end(), [](std::string_view label) {
                      return !label.empty() && label.size() <= 63 &&
                             std::all_of(label.begin(), label.end(),
                                         [](unsigned char c) { return absl::ascii_isgraph(c) && c != '\\'; });
                    });
  if (good) return absl::OkStatus();
  return invalid_argument("found '{}', expected a domain name", escaped(found));
}

void read_dns(YamlMap& map, DnsProbeConfig& dns) {
  map.value("query", [&](const std::string& found) { return parse_dns_name(found, dns.name); });
  map.value("query_type", parse_word(kDnsTypes, dns.type));
  map.value("expected_rcode", parse_word(kDnsRcodes, dns.rcode));
  map.text("expected_answer", dns.expected_answer);
}

// KEY as text, or KEY_hex as hexadecimal digits.
void read_bytes(YamlMap& map, const std::string& key, std::string& out) {
  const auto bounded = [](const std::string& bytes) {
    return bytes.size() <= kPayloadMaxBytes
               ? absl::OkStatus()
               : invalid_argument("found {} bytes, expected at most {}", bytes.size(), kPayloadMaxBytes);
  };
  if (map.has(key) && map.has(key + "_hex")) {
    map.error(key, fmt::format("found it and {}_hex, expected one of them", key));
  }
  map.value(key, [&](const std::string& found) { return bounded(out = found); });
  map.value(key + "_hex", [&](const std::string& found) {
    if (found.size() % 2 != 0 || !std::all_of(found.begin(), found.end(), absl::ascii_isxdigit)) {
      return invalid_argument("found '{}', expected pairs of hexadecimal digits", escaped(found));
    }
    return bounded(out = absl::HexStringToBytes(found));
  });
}

void read_exec(YamlMap& map, ExecProbeConfig& exec) {
  map.values(
      "command",
      [&](const std::string& found) {
        if (found.find('\0') != std::string::npos) return invalid_argument("found a zero byte, expected text");
        exec.command.push_back(found);
        return absl::OkStatus();
      },
      true);
  if (!exec.command.empty() && !exec.command[0].starts_with('/')) {
    map.error("command", fmt::format("found '{}', expected an absolute path first", escaped(exec.command[0])));
  }
}

void read_schedule(YamlMap& map, ProbeConfig& probe) {
  map.number("interval_ms", probe.interval_ms, 10U, kDayMs);
  map.number("fast_interval_ms", probe.fast_interval_ms, 10U, kDayMs);
  map.number("down_interval_ms", probe.down_interval_ms, 10U, kDayMs);
  map.number("jitter_percent", probe.jitter_percent, 0U, 50U);
  map.number("timeout_ms", probe.timeout_ms, 1U, kDayMs);
  map.number("rise", probe.rise, 1U, 1000U);
  map.number("fall", probe.fall, 1U, 1000U);
  if (probe.fast_interval_ms > probe.interval_ms) {
    map.error("fast_interval_ms",
              fmt::format("found {}, expected at most interval_ms, {}", probe.fast_interval_ms, probe.interval_ms));
  }
  const std::uint64_t patience_ms = std::uint64_t{probe.interval_ms} * probe.fall;
  if (probe.timeout_ms > patience_ms) {
    map.error("timeout_ms",
              fmt::format("found {}, expected at most interval_ms x fall, {}", probe.timeout_ms, patience_ms));
  }
}

void read_probe(YamlMap& map, ProbeConfig& probe) {
  std::size_t type = 0;
  map.choice("type", {"tcp", "http", "https", "dns", "udp", "exec", "grpc"}, type, true);
  probe.type = static_cast<ProbeType>(type);
  if (map.has("name")) map.name("name", probe.name);
  std::size_t via = 0;
  map.choice("via", {"direct", "dataplane"}, via);
  probe.via = static_cast<ProbeVia>(via);
  map.number<std::uint16_t>("port", probe.port, 1, 65535);
  switch (probe.type) {
    case ProbeType::kTcp: break;
    case ProbeType::kHttps: probe.tls.enabled = true; [[fallthrough]];
    case ProbeType::kHttp: read_http(map, probe.http); break;
    case ProbeType::kDns: read_dns(map, probe.dns); break;
    case ProbeType::kUdp:
      read_bytes(map, "payload", probe.udp.payload);
      read_bytes(map, "expected_prefix", probe.udp.expected_prefix);
      break;
    case ProbeType::kExec: read_exec(map, probe.exec); break;
    case ProbeType::kGrpc:
      map.text("grpc_service", probe.grpc.service);
      map.text("host", probe.http.host);
      map.flag("tls", probe.tls.enabled);
  }
  if (probe.tls.enabled) read_tls(map, probe.tls);
  read_schedule(map, probe);
}

void read_combine(YamlMap& map, ServiceConfig& service) {
  const auto count = static_cast<unsigned>(service.probes.size());
  map.value("combine", [&](const std::string& found) {
    const auto number = parse_number(found, 1U, count);
    if (found != "all" && found != "any" && !number) {
      return invalid_argument("found '{}', expected all, any, or how many of the {} probes must be good",
                              escaped(found), count);
    }
    service.probes_needed = found == "all" ? count : found == "any" ? 1 : *number;
    return absl::OkStatus();
  });
}

// What the dataplane needs to know whose probe it is.
void check_via_dataplane(const ServiceConfig& service, const ProbeConfig& probe, const std::string& place,
                         const std::vector<IpPrefix>& sources, const YAML::Mark& mark, ConfigErrors& errors) {
  const Family family = service.vip.family();
  if (find_probe_prefix(sources, family) == nullptr) {
    errors.add(mark, place + ".via",
               fmt::format("found dataplane without an {} prefix in dataplane.probe_sources, expected one",
                           family_name(family)));
  }
  if (probe.port < service.port || probe.port > service.end_port()) {
    errors.add(
        mark, place + ".port",
        fmt::format("found {} with via: dataplane, expected a port of the service: {}", probe.port, service.ports()));
  }
  const bool datagrams = probe.type == ProbeType::kUdp || probe.type == ProbeType::kDns;
  const Protocol protocol = datagrams ? Protocol::kUdp : Protocol::kTcp;
  if (probe.type != ProbeType::kExec && protocol != service.protocol) {
    errors.add(mark, place + ".via",
               fmt::format("found dataplane with a probe by {}, expected {}, the service's protocol",
                           protocol_name(protocol), protocol_name(service.protocol)));
  }
}

}  // namespace

std::string_view probe_type_name(ProbeType type) {
  constexpr std::array<std::string_view, 7> kNames = {"tcp", "http", "https", "dns", "udp", "exec", "grpc"};
  return kNames[static_cast<std::size_t>(type)];
}

std::string_view probe_via_name(ProbeVia via) { return via == ProbeVia::kDataplane ? "dataplane" : "direct"; }

std::string dns_type_name(std::uint16_t type) { return name_of(kDnsTypes, "TYPE", type); }
std::string dns_rcode_name(std::uint16_t rcode) { return name_of(kDnsRcodes, "RCODE", rcode); }

void read_probes(YamlMap& map, ServiceConfig& service) {
  if (!map.has("probes")) {
    map.map(
        "probe", [&](YamlMap& entry) { read_probe(entry, service.probes.emplace_back()); }, true);
    if (map.has("combine")) map.error("combine", "found it with one probe, expected it only with a list of probes");
    service.probes_needed = 1;
    return;
  }
  if (map.has("probe")) map.error("probe", "found it and probes, expected one of them");
  map.list("probes", [&](YamlMap& entry) { read_probe(entry, service.probes.emplace_back()); });
  service.probes_needed = static_cast<unsigned>(service.probes.size());
  read_combine(map, service);
}

void check_probes(ServiceConfig& service, std::size_t index, const std::vector<IpPrefix>& sources,
                  const YAML::Mark& mark, ConfigErrors& errors) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < service.probes.size(); ++i) {
    ProbeConfig& probe = service.probes[i];
    const std::string place = service.probes.size() == 1 ? fmt::format("services[{}].probe", index)
                                                         : fmt::format("services[{}].probes[{}]", index, i);
    const std::string wanted = probe.name.empty() ? std::string(probe_type_name(probe.type)) : probe.name;
    if (const bool taken = !names.insert(wanted).second; taken && probe.name.empty()) {
      for (unsigned n = 2; probe.name.empty(); ++n) {
        if (names.insert(fmt::format("{}-{}", wanted, n)).second) probe.name = fmt::format("{}-{}", wanted, n);
      }
    } else if (taken) {
      errors.add(mark, place + ".name", fmt::format("found '{}' a second time, expected unique names", wanted));
    } else {
      probe.name = wanted;
    }
    if (probe.port == 0 && service.any_port() && probe.type != ProbeType::kExec) {
      errors.add(mark, place + ".port", "found nothing, expected a port, because port is any");
    }
    if (probe.port == 0) probe.port = service.port;
    if (probe.via == ProbeVia::kDataplane) check_via_dataplane(service, probe, place, sources, mark, errors);
  }
}

}  // namespace anypop
