// SPDX-License-Identifier: Apache-2.0
// Packets as pcapng (draft-ietf-opsawg-pcapng): one interface block per port, the verdict as comment of the packet,
// which Wireshark shows and filters by (frame.comment contains "drop").
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace anypop::capture {

struct PcapngPacket {
  std::uint64_t time_ns = 0;
  std::string_view interface;
  std::uint32_t length_bytes = 0;  // on the wire
  std::span<const std::byte> data;
  std::string_view comment;
};

// Makes the bytes; writing them is the caller's.
class PcapngWriter {
 public:
  static std::string header();
  // With the interface's block before it when it is the first packet of that interface.
  std::string packet(const PcapngPacket& packet);

 private:
  std::map<std::string, std::uint32_t, std::less<>> interfaces_;
};

}  // namespace anypop::capture
