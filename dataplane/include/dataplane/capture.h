// SPDX-License-Identifier: Apache-2.0
// A look at single packets and what became of them, for `anypop capture` and `anypop trace`. Workers copy the packets
// that a filter accepts before the engine changes them, and hand over those whose verdict is asked for. Bounded in
// every direction: bytes of a packet, packets a second and altogether, memory. When nobody looks there is no Capture,
// and a worker pays one branch a burst.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <pcap/bpf.h>

#include "dataplane_api/messages.h"
#include "l4lb/pipeline.h"

namespace anypop::dataplane {

inline constexpr std::size_t kCaptureSnapMaxBytes = 256;
inline constexpr std::size_t kCaptureRecords = 1024;  // that may wait to be fetched, of each worker
inline constexpr std::size_t kCaptureProgramMax = 512;

struct CaptureRecord {
  std::uint64_t tsc = 0;
  std::uint32_t length_bytes = 0;  // of the frame as it came
  std::uint16_t snap_bytes = 0;    // of it in `bytes`
  std::uint16_t port = 0;          // in the configuration
  std::uint16_t service = l4lb::kNone;
  std::uint16_t backend = l4lb::kNone;
  l4lb::Verdict verdict = l4lb::Verdict::kDropTruncated;
  std::array<std::byte, kCaptureSnapMaxBytes> bytes;
};

class Capture {
 public:
  // InvalidArgument: an unknown verdict, a filter program that is none.
  static absl::StatusOr<std::shared_ptr<Capture>> make(const dataplane_api::CaptureRequest& request, unsigned workers);

  // Worker `number`, around process_burst(). `now_tsc` and `tsc_hz` limit the rate.
  void before(unsigned number, std::span<const l4lb::Packet> packets);
  void after(unsigned number, std::uint16_t port, std::span<const l4lb::Packet> packets, std::uint64_t now_tsc,
             std::uint64_t tsc_hz);

  // Control thread.
  std::vector<CaptureRecord> take(std::size_t most);
  std::uint64_t missed() const;  // wanted, but over the rate or with no room
  bool done() const;             // all packets that were asked for were handed over and taken

 private:
  struct Lane;
  Capture() = default;

  std::vector<bpf_insn> program_;  // empty: everything
  std::bitset<l4lb::kVerdictCount> verdicts_;
  std::size_t snap_bytes_ = kCaptureSnapMaxBytes;
  std::uint64_t per_second_ = 0;
  std::atomic<std::int64_t> left_{0};  // to be handed over by all workers together
  std::vector<std::unique_ptr<Lane>> lanes_;

 public:
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
};

}  // namespace anypop::dataplane
