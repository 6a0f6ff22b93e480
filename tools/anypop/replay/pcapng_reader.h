// SPDX-License-Identifier: Apache-2.0
// pcapng (draft-ietf-opsawg-pcapng). libpcap reads it too, but only if all interfaces of a file have one link type and
// one snapshot length, which a capture of several interfaces by Wireshark does not.
#pragma once

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "anypop_replay/capture.h"

namespace anypop::replay {

class PcapngReader : public CaptureReader {
 public:
  // A block that is read, and so a packet, may be this large; a hostile length must not grow us.
  static constexpr std::uint32_t kBlockMaxBytes = 4U << 20U;

  // `name`: for messages.
  static absl::StatusOr<std::unique_ptr<CaptureReader>> open(std::shared_ptr<std::FILE> file, std::string name);

  absl::StatusOr<bool> next(CapturedPacket& packet) override;

 private:
  struct Interface {
    int link_type = 0;
    std::uint32_t snap_bytes = 0;                // 0: no limit
    std::uint64_t ticks_per_second = 1'000'000;  // of its times
    std::int64_t offset_s = 0;
  };

  PcapngReader(std::shared_ptr<std::FILE> file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}

  absl::StatusOr<bool> read_block();
  absl::Status read_section_head(std::array<std::byte, 12>& head);
  absl::Status skip_body(std::uint32_t total_bytes);
  absl::Status read_body(std::uint32_t total_bytes);
  absl::Status read_interface();
  absl::Status read_packet(CapturedPacket& packet) const;
  absl::Status read_simple_packet(CapturedPacket& packet) const;
  void read_options(std::size_t at, Interface& interface) const;
  std::uint16_t u16(std::size_t at) const;
  std::uint32_t u32(std::size_t at) const;
  absl::Status damaged(std::string_view what) const;

  std::shared_ptr<std::FILE> file_;
  std::string name_;
  bool big_endian_ = false;
  std::vector<Interface> interfaces_;  // of this section
  std::uint32_t type_ = 0;             // of the block in body_
  std::vector<std::byte> body_;
};

}  // namespace anypop::replay
