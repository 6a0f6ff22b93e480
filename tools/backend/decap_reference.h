// SPDX-License-Identifier: Apache-2.0
// The decapsulation once more, slowly and from the RFCs, to hold against the BPF program. And frames to feed both.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "bpf/verdicts.h"
#include "wish.h"

namespace anypop::backend {

using Frame = std::vector<std::uint8_t>;

struct Outcome {
  unsigned verdict = DECAP_PASS_OTHER;
  Frame frame;  // as it goes on; unchanged unless it is decapsulated
};

Outcome decapsulate(const Frame& frame, const Wish& wish);

// What to_frame() makes: Ethernet, outer header, inner header, `payload_bytes` of inner payload. Lengths and checksums
// are right.
enum class Kind : std::uint8_t { kIpip, kGre, kGue, kPlain };
struct FrameSpec {
  Kind kind = Kind::kIpip;
  std::string_view outer_source = "172.16.0.7";
  std::string_view outer_destination = "10.9.0.11";
  std::string_view inner_source = "203.0.113.5";
  std::string_view inner_destination = "198.51.100.1";
  std::uint8_t outer_class = 0;  // DSCP and ECN
  std::uint8_t inner_class = 0;
  std::uint16_t gue_port = 6080;
  std::size_t payload_bytes = 20;
};
Frame to_frame(const FrameSpec& spec);

// Makes the checksum of the IPv4 header at `offset` right; it must lie inside the frame.
void set_checksum(Frame& frame, std::size_t offset);

}  // namespace anypop::backend
