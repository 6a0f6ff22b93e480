// SPDX-License-Identifier: Apache-2.0
// The engine: a burst of frames in, a Verdict for each and rewritten headers out. Pure: no clock, no allocation, no
// system call, no lock. The same code runs in the workers, over a capture, in the fuzzers and in the tests.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "l4lb/snapshot.h"
#include "l4lb/verdict.h"

namespace anypop::l4lb {

inline constexpr std::size_t kBurstMax = 64;
inline constexpr std::uint16_t kNone = 0xffff;

// One frame, from the Ethernet header on, in memory that the caller owns and the engine may rewrite.
struct Packet {
  std::byte* data = nullptr;
  std::uint32_t length_bytes = 0;
  Verdict verdict = Verdict::kDropTruncated;  // out
  std::uint16_t service = kNone;              // out: index in the configuration, once known
  std::uint16_t backend = kNone;              // out: index within the service, once known
};

// What one worker counted. One writer; any thread may read, and sees each counter whole. `backends[service][backend]`.
class Counters {
 public:
  explicit Counters(const std::vector<ServiceConfig>& services);

  struct Traffic {
    std::atomic<std::uint64_t> packets{0};
    std::atomic<std::uint64_t> bytes{0};
  };
  std::uint64_t verdict(Verdict verdict) const;
  const Traffic& backend(std::size_t service, std::size_t backend) const;

  // Writer's side.
  void count(std::span<const Packet> packets);
  void count(const Packet& packet) { count(std::span(&packet, 1)); }

 private:
  std::array<std::atomic<std::uint64_t>, kVerdictCount> verdicts_{};
  std::vector<std::size_t> first_backend_;  // of each service, in backends_
  std::vector<Traffic> backends_;
};

// Decides about each packet, rewrites those with Verdict::kForward in place, and counts all. Packets are taken
// kBurstMax at a time; a burst of that size costs least per packet.
void process_burst(const Snapshot& snapshot, std::span<Packet> packets, Counters& counters);

}  // namespace anypop::l4lb
