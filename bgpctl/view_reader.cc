// SPDX-License-Identifier: Apache-2.0
#include "view_reader.h"

#include <algorithm>
#include <array>
#include <vector>

#include <absl/strings/ascii.h>

#include "base/text.h"
#include "bgpctl/printable.h"

namespace anypop::bgpctl {
namespace {

constexpr std::array<std::string_view, 9> kBgpStates{"Established", "OpenConfirm", "OpenSent", "Connect", "Active",
                                                     "Passive",     "Idle",        "Close",    "Down"};

// The first word, taken off `text`.
std::string_view take_word(std::string_view& text) {
  const std::size_t start = std::min(text.find_first_not_of(" \t"), text.size());
  const std::size_t end = std::min(text.find_first_of(" \t", start), text.size());
  const std::string_view word = text.substr(start, end - start);
  text.remove_prefix(end);
  return word;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t") - start + 1);
}

// What follows "Since", whose number of words `timeformat protocol` decides. For BGP the state's own word is looked
// for; otherwise everything that starts with a digit is taken for date or time.
std::string info_of(std::string_view kind, std::string_view rest) {
  std::string_view scan = rest;
  for (;;) {
    const std::string_view here = trimmed(scan);
    const std::string_view word = take_word(scan);
    if (word.empty()) break;
    if (kind == "BGP" && std::find(kBgpStates.begin(), kBgpStates.end(), word) != kBgpStates.end()) {
      return std::string(here);
    }
    if (kind != "BGP" && !absl::ascii_isdigit(static_cast<unsigned char>(word.front()))) return std::string(here);
  }
  return {};
}

// "anypop_web_v4" of "  blackhole [anypop_web_v4 2026-11-20 14:26:17.047300] * (200)"
std::string protocol_of(std::string_view route) {
  const std::size_t start = route.find('[');
  if (start == std::string_view::npos) return {};
  const std::string_view rest = route.substr(start + 1);
  return std::string(rest.substr(0, rest.find_first_of(" ]")));
}

// "\tBGP.community: (65535,0)" of BIRD 2, "\tbgp_community: (65535, 0)" of BIRD 3.
bool is_graceful_shutdown(std::string_view attribute) {
  std::string plain = absl::AsciiStrToLower({attribute.data(), attribute.size()});
  std::erase(plain, ' ');
  const std::size_t colon = plain.find(':');
  if (colon == std::string::npos || !std::string_view(plain).substr(0, colon).ends_with("community")) return false;
  if (plain.find("ext_community") != std::string::npos || plain.find("large_community") != std::string::npos) {
    return false;
  }
  return plain.find("(65535,0)", colon) != std::string::npos;
}

absl::Status refused(const Reply& reply, std::string_view command) {
  const ReplyLine* error = reply.error();
  if (error == nullptr) return absl::OkStatus();
  return failed_precondition("BIRD answers '{}' with {:04} {}", command, error->code, printable(error->text));
}

}  // namespace

std::string parse_version(std::string_view text) {
  if (take_word(text) != "BIRD") return {};
  return std::string(take_word(text));
}

absl::Status read_status(const Reply& reply, BirdView& view) {
  if (absl::Status status = refused(reply, "show status"); !status.ok()) return status;
  constexpr std::string_view kServerTime = "Current server time is ";
  constexpr std::string_view kReboot = "Last reboot on ";
  constexpr std::string_view kReconfiguration = "Last reconfiguration on ";
  for (const ReplyLine& line : reply.lines) {
    const std::string_view text = line.text;
    if (line.code == kReplyVersion) view.version = parse_version(text);
    if (line.code != kReplyStatus) continue;
    if (text.starts_with(kServerTime)) view.server_time = text.substr(kServerTime.size());
    if (text.starts_with(kReboot)) view.last_reboot = text.substr(kReboot.size());
    if (text.starts_with(kReconfiguration)) view.last_reconfiguration = text.substr(kReconfiguration.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, BirdProtocol>> read_protocols(const Reply& reply) {
  if (absl::Status status = refused(reply, "show protocols"); !status.ok()) return status;
  std::map<std::string, BirdProtocol> protocols;
  for (const ReplyLine& line : reply.lines) {
    if (line.code != kReplyProtocols) continue;
    std::string_view rest = line.text;
    const std::string_view name = take_word(rest);
    const std::string_view kind = take_word(rest);
    take_word(rest);  // table
    const std::string_view state = take_word(rest);
    if (state.empty()) continue;
    protocols[std::string(name)] = {std::string(kind), std::string(state), info_of(kind, rest)};
  }
  return protocols;
}

absl::StatusOr<BirdSessionExport> read_exports(const Reply& reply) {
  BirdSessionExport exported;
  if (const ReplyLine* error = reply.error(); error != nullptr) {
    if (error->code == kReplyParseError) return exported;
    if (error->code == kReplyStoppedByReconfiguration) return absl::AbortedError("stopped by a reconfiguration");
    if (error->code != kReplyNoRoute) return refused(reply, "show route export");
  }
  exported.established = true;
  for (const ReplyLine& line : reply.lines) {
    // Further routes of the same prefix stand indented below it.
    if (line.code != kReplyRoutes || line.text.empty() || line.text.front() == ' ') continue;
    std::string_view rest = line.text;
    if (const absl::StatusOr<IpPrefix> prefix = IpPrefix::parse(take_word(rest)); prefix.ok()) {
      exported.prefixes.emplace(*prefix, protocol_of(rest));
    }
  }
  return exported;
}

absl::StatusOr<std::size_t> count_others(const Reply& reply, const std::map<std::string, BirdProtocol>& protocols) {
  if (const ReplyLine* error = reply.error(); error != nullptr) {
    if (error->code == kReplyNoRoute) return 0;
    if (error->code == kReplyStoppedByReconfiguration) return absl::AbortedError("stopped by a reconfiguration");
    return refused(reply, "show route");
  }
  std::size_t others = 0;
  bool counted = false;  // the route that the lines are about
  for (const ReplyLine& line : reply.lines) {
    if (line.code == kReplyRoutes && line.text.find('[') != std::string::npos) {
      const auto protocol = protocols.find(protocol_of(line.text));
      counted = protocol != protocols.end() && protocol->second.kind == "BGP";
      if (counted) ++others;
    }
    if (line.code == kReplyAttributes && counted && is_graceful_shutdown(line.text)) {
      counted = false;
      --others;
    }
  }
  return others;
}

bool is_established(const BirdProtocol& protocol) {
  return protocol.kind == "BGP" && protocol.state == "up" && protocol.info.starts_with("Established");
}

std::string symbol_text(std::string_view name) {
  const auto plain = [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; };
  const auto quotable = [&](unsigned char c) { return plain(c) || c == '-' || c == '.' || c == ':'; };
  if (name.empty() || !std::all_of(name.begin(), name.end(), quotable)) return {};
  if (std::all_of(name.begin(), name.end(), plain) && !absl::ascii_isdigit(static_cast<unsigned char>(name.front()))) {
    return std::string(name);
  }
  return fmt::format("'{}'", name);
}

}  // namespace anypop::bgpctl
