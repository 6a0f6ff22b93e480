// SPDX-License-Identifier: Apache-2.0
// The engine over a capture, packet by packet: what the dataplane would have done with it. The times of the packets are
// the engine's clock. One thread, no privileges; memory does not grow with the capture.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "anypop_replay/capture.h"
#include "anypop_replay/offline.h"
#include "l4lb/pipeline.h"

namespace anypop::replay {

// A backend that fails or returns while the capture runs.
struct HealthChange {
  std::int64_t after_ms = 0;  // since the first packet
  BackendRef backend;
  bool healthy = false;
};

// "web4/b1" or "web4/b1@12.5": seconds since the first packet. InvalidArgument says what is wrong with it.
absl::StatusOr<HealthChange> parse_health_change(const PopConfig& config, std::string_view text, bool healthy);

// What became of one packet.
struct Replayed {
  std::uint64_t index = 0;  // in the capture, from 0
  std::int64_t time_ns = 0;
  std::uint32_t wire_bytes = 0;  // as it came
  bool cut = false;              // the capture holds less of it than was on the wire
  l4lb::Packet packet;           // as it left
};

struct ReplaySinks {
  CaptureWriter* out = nullptr;                         // frames that leave
  CaptureWriter* punt = nullptr;                        // frames for the kernel; nullptr: nobody wants them
  std::function<void(const Replayed&)> each = nullptr;  // may be empty
};

struct ReplaySummary {
  std::uint64_t packets = 0;
  std::uint64_t cut = 0;             // captured in part, decided about as a whole
  std::uint64_t cut_too_short = 0;   // not even their headers are there
  std::uint64_t unreadable = 0;      // of link types that nobody here understands: kPassNotVip, and to no sink
  int unreadable_link_type = 0;      // of the first of these
  std::uint64_t without_length = 0;  // captured before the NIC had filled in the length: it is the frame's
  std::uint64_t over_mtu = 0;        // larger than the port takes: joined by the machine that captured
  std::int64_t span_ns = 0;          // from the first packet to the last
};

class Replay {
 public:
  Replay(const PopConfig& config, const OfflineOptions& options, std::vector<HealthChange> changes);

  // All of `capture`. An error is about the capture; what came before it has been replayed. Also if there are packets,
  // but not one of a readable link type.
  absl::Status run(CaptureReader& capture, const ReplaySinks& sinks);

  const ReplaySummary& summary() const { return summary_; }
  const l4lb::Counters& counters() const { return counters_; }
  const OfflineForwarding& forwarding() const { return forwarding_; }

 private:
  void load(const CapturedPacket& captured);
  void advance(std::int64_t time_ns);
  void fill_up(const l4lb::Snapshot& snapshot, std::uint32_t missing_bytes);
  void one(const CapturedPacket& captured, const ReplaySinks& sinks);

  OfflineForwarding forwarding_;
  OfflineOptions options_;
  std::vector<HealthChange> changes_;  // in the order of their times
  std::size_t next_change_ = 0;
  l4lb::WorkerState state_;
  l4lb::Counters counters_;
  ReplaySummary summary_;
  std::int64_t first_ns_ = 0;
  std::int64_t now_ms_ = 0;
  std::vector<std::byte> frame_;  // with the engine's headroom before it
};

}  // namespace anypop::replay
