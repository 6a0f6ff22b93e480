// SPDX-License-Identifier: Apache-2.0
// Frames as the engine takes them.
#pragma once

#include <cstdint>
#include <vector>

#include "l4lb/pipeline.h"
#include "l4lb_testing/packet_builder.h"

namespace anypop::l4lb_testing {

// One Packet per frame, pointing into it: the frames must outlive them and not be resized.
inline std::vector<l4lb::Packet> packets_of(std::vector<Frame>& frames) {
  std::vector<l4lb::Packet> packets(frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    packets[i].data = frames[i].data();
    packets[i].length_bytes = static_cast<std::uint32_t>(frames[i].size());
  }
  return packets;
}

}  // namespace anypop::l4lb_testing
