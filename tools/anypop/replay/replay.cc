// SPDX-License-Identifier: Apache-2.0
#include "anypop_replay/replay.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>

#include "anypop_replay/link_layer.h"
#include "base/text.h"
#include "l4lb/header_bytes.h"

namespace anypop::replay {
namespace {

// A frame that claims to have been larger than this is not filled up: a hostile length must not grow us. Larger than
// any that Linux joins (512 KiB).
constexpr std::uint32_t kFrameMaxBytes = 1U << 20U;
constexpr std::size_t kMacsBytes = 12;

}  // namespace

absl::StatusOr<HealthChange> parse_health_change(const PopConfig& config, std::string_view text, bool healthy) {
  const std::size_t at = text.find('@');
  const auto backend = find_backend(config, text.substr(0, at));
  if (!backend.ok()) return backend.status();
  double seconds = 0;
  if (at != std::string_view::npos) {
    const std::string_view time = text.substr(at + 1);
    const auto [end, error] = std::from_chars(time.data(), time.data() + time.size(), seconds);
    constexpr double kSecondsMax = 1e9;
    if (error != std::errc() || end != time.data() + time.size() || !(seconds >= 0 && seconds <= kSecondsMax)) {
      return invalid_argument("found '{}', expected seconds since the first packet after the @", escaped(text));
    }
  }
  return HealthChange{std::llround(seconds * 1e3), *backend, healthy};
}

Replay::Replay(const PopConfig& config, const OfflineOptions& options, std::vector<HealthChange> changes)
    : forwarding_(config, options),
      options_(options),
      changes_(std::move(changes)),
      state_(config.dataplane.engine),
      counters_(config.services) {
  std::ranges::stable_sort(changes_, {}, &HealthChange::after_ms);
}

absl::Status Replay::run(CaptureReader& capture, const ReplaySinks& sinks) {
  CapturedPacket captured;
  while (true) {
    const auto more = capture.next(captured);
    if (!more.ok()) return more.status();
    if (!*more) break;
    load(captured);
    advance(captured.time_ns);
    one(captured, sinks);
  }
  if (summary_.packets == 0 || summary_.unreadable < summary_.packets) return absl::OkStatus();
  return invalid_argument(
      "found only packets of link type {}, expected Ethernet, Linux cooked, raw IP, BSD loopback, PPP, PPPoE, Cisco "
      "HDLC, MPLS or NFLOG",
      link_type_text(summary_.unreadable_link_type));
}

// The frame as the port would have received it, as far as it is there: frame_ from kHeadroomBytes on.
void Replay::load(const CapturedPacket& captured) {
  const LinkHeader link = link_header(captured.link_type, captured.bytes);
  const auto rest = captured.bytes.subspan(link.replaced_bytes);
  frame_.assign(l4lb::kHeadroomBytes, std::byte{});
  frame_.insert(frame_.end(), link.header.begin(), link.header.begin() + link.header_bytes);
  frame_.insert(frame_.end(), rest.begin(), rest.end());
}

// The engine's clock does not go back, whatever a capture's does; nor does it say when the last packet came.
void Replay::advance(std::int64_t time_ns) {
  if (summary_.packets == 0) first_ns_ = time_ns;
  const std::int64_t since_ns = std::max<std::int64_t>(0, time_ns / 2 - first_ns_ / 2) * 2;
  summary_.span_ns = std::max(summary_.span_ns, since_ns);
  now_ms_ = std::max(now_ms_, since_ns / 1'000'000);
  for (; next_change_ < changes_.size() && changes_[next_change_].after_ms <= now_ms_; ++next_change_) {
    // Flows before the change are on what was in force then.
    if (summary_.packets == 0 && changes_[next_change_].after_ms > 0) forwarding_.snapshot(0);
    forwarding_.set_healthy(changes_[next_change_].backend, changes_[next_change_].healthy);
  }
}

// The frame gets its length on the wire, if all is there that decides about it.
void Replay::fill_up(const l4lb::Snapshot& snapshot, std::uint32_t missing_bytes) {
  const std::size_t held = frame_.size();
  frame_.resize(held + missing_bytes);
  const std::uint32_t needed = l4lb::header_bytes(snapshot, std::span(frame_).subspan(l4lb::kHeadroomBytes));
  const bool there = needed <= held - l4lb::kHeadroomBytes;
  if (!there) frame_.resize(held);
  ++(there ? summary_.cut : summary_.cut_too_short);
}

void Replay::one(const CapturedPacket& captured, const ReplaySinks& sinks) {
  const l4lb::Snapshot& snapshot = forwarding_.snapshot(static_cast<std::uint64_t>(now_ms_));
  const auto held = static_cast<std::uint32_t>(frame_.size()) - l4lb::kHeadroomBytes;
  const std::uint32_t missing =
      std::min(captured.wire_bytes - static_cast<std::uint32_t>(captured.bytes.size()), kFrameMaxBytes);
  const std::uint32_t wire_bytes = held + missing;
  const bool readable = is_readable(captured.link_type);
  if (!readable && ++summary_.unreadable == 1) summary_.unreadable_link_type = captured.link_type;
  if (fill_in_length(std::span(frame_).subspan(l4lb::kHeadroomBytes), wire_bytes)) ++summary_.without_length;
  if (readable && missing > 0) fill_up(snapshot, missing);
  if (readable && wire_bytes > options_.mtu_bytes + kEthernetBytes + 8) ++summary_.over_mtu;
  std::byte* const start = frame_.data() + l4lb::kHeadroomBytes;
  Replayed done{.index = summary_.packets++,
                .time_ns = captured.time_ns,
                .wire_bytes = wire_bytes,
                .cut = missing > 0,
                .packet = {.data = start,
                           .length_bytes = static_cast<std::uint32_t>(frame_.size()) - l4lb::kHeadroomBytes,
                           .headroom_bytes = l4lb::kHeadroomBytes}};
  std::array<std::byte, kMacsBytes> macs{};
  std::copy_n(start, std::min<std::size_t>(held, kMacsBytes), macs.begin());
  process_burst(snapshot, std::span(&done.packet, 1), static_cast<std::uint32_t>(now_ms_), state_, counters_);
  const l4lb::Packet& packet = done.packet;
  // A frame leaves with the address of the port it came to, which is where it was sent, as far as is known here.
  const bool stamped = packet.verdict == l4lb::Verdict::kForward && !options_.port_mac;
  if (stamped) std::copy_n(macs.begin(), 6, packet.data + 6);
  const auto grown = static_cast<std::uint32_t>(start - packet.data);
  const std::uint32_t kept = std::min(packet.length_bytes, held + grown);
  CaptureWriter* const sink = l4lb::leaves(packet.verdict)                   ? sinks.out
                              : packet.verdict == l4lb::Verdict::kPassNotVip ? sinks.punt
                                                                             : nullptr;
  if (sink != nullptr && readable) sink->write(captured.time_ns, packet.length_bytes, {packet.data, kept});
  if (sinks.each) sinks.each(done);
}

}  // namespace anypop::replay
