// SPDX-License-Identifier: Apache-2.0
// Frames as the engine takes them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "l4lb/pipeline.h"
#include "l4lb_testing/packet_builder.h"

namespace anypop::l4lb_testing {

// Copies of frames, each in memory that ends where the frame does, and begins `headroom_bytes` before it, so that
// AddressSanitizer sees the first byte read or written outside.
class Burst {
 public:
  explicit Burst(std::span<const Frame> frames, std::size_t headroom_bytes = l4lb::kHeadroomBytes) {
    for (const Frame& frame : frames) {
      std::vector<std::byte>& buffer = buffers_.emplace_back(headroom_bytes + frame.size());
      std::copy(frame.begin(), frame.end(), buffer.begin() + static_cast<std::ptrdiff_t>(headroom_bytes));
      packets_.push_back({.data = buffer.data() + headroom_bytes,
                          .length_bytes = static_cast<std::uint32_t>(frame.size()),
                          .headroom_bytes = static_cast<std::uint32_t>(headroom_bytes)});
    }
  }
  Burst(const Burst&) = delete;
  Burst& operator=(const Burst&) = delete;

  std::span<l4lb::Packet> packets() { return packets_; }
  l4lb::Packet& operator[](std::size_t index) { return packets_[index]; }
  std::size_t size() const { return packets_.size(); }
  // What the packet is now.
  Frame frame(std::size_t index) const {
    const l4lb::Packet& packet = packets_[index];
    return {packet.data, packet.data + packet.length_bytes};
  }

 private:
  std::vector<std::vector<std::byte>> buffers_;
  std::vector<l4lb::Packet> packets_;
};

}  // namespace anypop::l4lb_testing
