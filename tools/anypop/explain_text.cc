// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/explain_text.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include "base/text.h"
#include "l4lb/verdict.h"

namespace anypop::cli {
namespace {

using Page = std::back_insert_iterator<std::string>;

std::string_view meaning_of(std::string_view verdict) {
  const auto* const at = std::ranges::find(l4lb::kVerdicts, verdict, &l4lb::VerdictInfo::name);
  return at == l4lb::kVerdicts.end() ? "" : at->meaning;
}

std::string_view decision_text(std::string_view decision) {
  if (decision == "hashed") return "owner of the flow's slot";
  if (decision == "tracked") return "by a record of the flow";
  if (decision == "previous_owner") return "previous owner of the flow's slot, which has changed of late";
  if (decision == "connection_id") return "named by the QUIC connection ID";
  return decision;
}

std::string endpoint_text(const std::string& address, std::uint64_t port) {
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                : fmt::format("[{}]:{}", address, port);
}

std::string record_text(const dataplane_api::ExplainRecord& record) {
  return fmt::format("{} {}: {}{}{}, for {:.0f} s more", record.left_over ? "left over, table" : "worker",
                     record.worker, record.backend.empty() ? "a backend that is dead" : record.backend,
                     record.half_open ? ", half-open" : "", record.closing ? ", closing" : "",
                     static_cast<double>(record.expires_ms) / 1000);
}

std::string next_hop_text(const dataplane_api::ExplainAnswer& answer) {
  if (answer.next_hop_way.empty()) return answer.next_hop;
  if (answer.next_hop.empty()) return fmt::format("none: {}", answer.next_hop_way);
  return fmt::format("{}, {}", answer.next_hop, answer.next_hop_way);
}

// The bytes of an outer header, read field by field.
class Outer {
 public:
  explicit Outer(std::string bytes) : bytes_(std::move(bytes)) {}
  bool v4() const { return !bytes_.empty() && byte(0) >> 4U == 4; }
  bool v6() const { return !bytes_.empty() && byte(0) >> 4U == 6; }
  std::size_t ip_bytes() const { return v4() ? 20 : 40; }
  bool whole() const { return (v4() || v6()) && bytes_.size() >= ip_bytes(); }
  unsigned protocol() const { return byte(v4() ? 9 : 6); }
  IpAddress source() const { return address(v4() ? 12 : 8); }
  IpAddress destination() const { return address(v4() ? 16 : 24); }
  bool udp() const { return protocol() == 17 && bytes_.size() >= ip_bytes() + 8; }
  unsigned port(std::size_t index) const {
    return (byte(ip_bytes() + 2 * index) << 8U) | byte(ip_bytes() + 2 * index + 1);
  }

 private:
  unsigned byte(std::size_t at) const { return static_cast<unsigned char>(bytes_[at]); }
  IpAddress address(std::size_t at) const {
    const auto* const first = reinterpret_cast<const std::uint8_t*>(bytes_.data()) + at;
    return IpAddress::from_bytes({first, v4() ? 4U : 16U});
  }
  std::string bytes_;
};

std::string_view tunnel_name(unsigned protocol) {
  switch (protocol) {
    case 4:
    case 41: return "ipip";
    case 47: return "gre";
    case 17: return "gue";
    default: return "";
  }
}

}  // namespace

absl::StatusOr<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, std::min(colon, text.size()));
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (colon != std::string_view::npos && colon + 1 < text.size()) {
    const auto port = parse_number<std::uint16_t>(text.substr(colon + 1), 0, 65535);
    const auto address = IpAddress::parse(host);
    // Without brackets nobody knows where an IPv6 address ends.
    if (port && address.ok() && bracketed == (address->family() == Family::kV6)) return Endpoint{*address, *port};
  }
  return invalid_argument("found '{}', expected an address and a port such as 198.51.100.7:4242 or [2001:db8::7]:4242",
                          escaped(text));
}

std::string outer_header_text(std::string_view hex) {
  if (hex.empty()) return {};
  const bool is_hex = hex.size() % 2 == 0 && std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit);
  const Outer outer(is_hex ? absl::HexStringToBytes({hex.data(), hex.size()}) : std::string());
  if (!outer.whole() || tunnel_name(outer.protocol()).empty()) return escaped(hex);
  std::string text = fmt::format("{} {} -> {}", tunnel_name(outer.protocol()), outer.source().to_string(),
                                 outer.destination().to_string());
  if (outer.udp()) text += fmt::format(", UDP {} -> {}", outer.port(0), outer.port(1));
  return text;
}

std::string explain_text(const dataplane_api::ExplainRequest& request, const dataplane_api::ExplainAnswer& answer,
                         std::string_view source) {
  std::string out;
  const Page page(out);
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) fmt::format_to(page, "  {:<14} {}\n", name, value);
  };
  fmt::format_to(page, "{} {} -> {}{}, by {}\n", request.protocol, endpoint_text(request.source, request.source_port),
                 endpoint_text(request.destination, request.destination_port), request.opens ? " (SYN)" : "", source);
  line("verdict", fmt::format("{}: {}", answer.verdict, meaning_of(answer.verdict)));
  line("service", answer.service);
  if (answer.slots > 0) line("slot", fmt::format("{} of {}", answer.slot, answer.slots));
  line("owner", answer.owner);
  if (answer.window) line("previous owner", answer.previous_owner.empty() ? "dead" : answer.previous_owner);
  for (const auto& record : answer.records) line("record", record_text(record));
  if (!answer.backend.empty()) {
    line("backend",
         fmt::format("{} at {}, {}", answer.backend, answer.backend_address, decision_text(answer.decision)));
  }
  line("outer header", outer_header_text(answer.outer_header));
  line("next hop", next_hop_text(answer));
  if (answer.sent_bytes > 0) line("sent", fmt::format("{} bytes of IP", answer.sent_bytes));
  return out;
}

}  // namespace anypop::cli
