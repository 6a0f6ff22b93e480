// SPDX-License-Identifier: Apache-2.0
#include "anypop_replay/report.h"

#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "anypop_replay/link_layer.h"
#include "l4lb/explain.h"

namespace anypop::replay {
namespace {

using Page = std::back_insert_iterator<std::string>;

std::string quoted_or_null(std::string_view text) { return text.empty() ? "null" : fmt::format("\"{}\"", text); }

void write_verdicts(Page page, const Replay& replay) {
  const auto all = static_cast<double>(std::max<std::uint64_t>(1, replay.summary().packets));
  fmt::format_to(page, "{:<26} {:>12} {:>8}\n", "verdict", "packets", "share");
  for (const l4lb::VerdictInfo& info : l4lb::kVerdicts) {
    const std::uint64_t packets = replay.counters().verdict(info.verdict);
    if (packets == 0) continue;
    fmt::format_to(page, "{:<26} {:>12} {:>6.1f} %  {}\n", info.name, packets,
                   100.0 * static_cast<double>(packets) / all, info.meaning);
  }
}

bool met(const ServiceConfig& service, std::size_t index, const Replay& replay) {
  for (std::size_t b = 0; b < service.backends.size(); ++b) {
    if (replay.counters().backend(index, b).packets != 0) return true;
  }
  return false;
}

void write_backends(Page page, const PopConfig& config, const Replay& replay) {
  for (std::size_t s = 0; s < config.services.size(); ++s) {
    const ServiceConfig& service = config.services[s];
    if (!met(service, s, replay)) continue;
    fmt::format_to(page, "\n{:<26} {:>12} {:>16}  next hop\n", "service " + service.name, "packets", "bytes");
    for (std::size_t b = 0; b < service.backends.size(); ++b) {
      const auto& traffic = replay.counters().backend(s, b);
      const l4lb::BackendState& state = replay.forwarding().state({s, b});
      fmt::format_to(page, "  {:<24} {:>12} {:>16}  {}{}{}\n", service.backends[b].name, traffic.packets.load(),
                     traffic.bytes.load(), state.next_hop_mac ? state.next_hop_mac->to_string() : "unresolved",
                     !service.backends[b].mac && state.next_hop_mac ? " (stand-in)" : "",
                     state.healthy ? "" : "  down at the end");
    }
  }
}

void write_notes(Page page, const PopConfig& config, const Replay& replay, const OfflineOptions& options) {
  const ReplaySummary& summary = replay.summary();
  const auto& without_mac = replay.forwarding().without_mac();
  if (!without_mac.empty()) {
    const BackendRef first = without_mac.front();
    const ServiceConfig& service = config.services[first.service];
    fmt::format_to(page, "\n{} of the backends have no `mac:` in {} ({}/{} is the first): {}\n", without_mac.size(),
                   config.file.string(), service.name, service.backends[first.backend].name,
                   options.stand_ins ? "a stand-in 02:00 + the last 4 bytes of the address takes its place"
                                     : "they are unresolved");
  }
  if (summary.cut > 0) {
    fmt::format_to(page, "\n{} packets were captured in part and taken as if the rest were zeros\n", summary.cut);
  }
  if (summary.cut_too_short > 0) {
    fmt::format_to(page,
                   "\n{} packets were captured without all of their headers: a larger snapshot length shows more\n",
                   summary.cut_too_short);
  }
  if (summary.unreadable > 0) {
    fmt::format_to(page,
                   "\n{} packets are of link types that are not understood, and count as pass_not_vip; the first: {}\n",
                   summary.unreadable, link_type_text(summary.unreadable_link_type));
  }
  if (summary.without_length > 0) {
    fmt::format_to(page,
                   "\n{} packets had the length 0 and got their frame's: they were captured before the NIC (TSO)\n",
                   summary.without_length);
  }
  if (summary.over_mtu > 0) {
    fmt::format_to(
        page,
        "\n{} packets are larger than the MTU of {}: the machine that captured had joined them (GRO, TSO), a "
        "port would bring them apart\n",
        summary.over_mtu, options.mtu_bytes);
  }
}

}  // namespace

std::string packet_json(const PopConfig& config, const Replayed& packet) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  std::string_view service;
  std::string_view backend;
  if (packet.packet.service != l4lb::kNone) service = config.services[packet.packet.service].name;
  if (packet.packet.backend != l4lb::kNone) {
    backend = config.services[packet.packet.service].backends[packet.packet.backend].name;
  }
  return fmt::format(
      R"({{"index":{},"time":{}.{:09},"bytes":{},"verdict":"{}","service":{},"backend":{},"decision":{}}})",
      packet.index, packet.time_ns / kSecond, packet.time_ns % kSecond, packet.wire_bytes,
      verdict_name(packet.packet.verdict), quoted_or_null(service), quoted_or_null(backend),
      quoted_or_null(backend.empty() ? "" : decision_name(l4lb::decision_of(packet.packet))));
}

std::string summary_text(const PopConfig& config, const Replay& replay, const OfflineOptions& options) {
  std::string out;
  const Page page(out);
  const ReplaySummary& summary = replay.summary();
  fmt::format_to(page, "{} packets in {:.3f} s\n\n", summary.packets, static_cast<double>(summary.span_ns) / 1e9);
  if (summary.packets > 0) write_verdicts(page, replay);
  write_backends(page, config, replay);
  write_notes(page, config, replay, options);
  return out;
}

}  // namespace anypop::replay
