// SPDX-License-Identifier: Apache-2.0
#include "pcapng_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/text.h"

namespace anypop::replay {
namespace {

enum BlockType : std::uint32_t {
  kSection = 0x0a0d0d0a,
  kInterface = 1,
  kObsoletePacket = 2,
  kSimplePacket = 3,
  kEnhancedPacket = 6,
};
constexpr std::uint32_t kByteOrder = 0x1a2b3c4d;
constexpr std::uint32_t kBlockOverhead = 12;    // type, length, and the length again at the end
constexpr std::size_t kInterfacesMax = 65536;   // of a section
constexpr std::uint16_t kOptionResolution = 9;  // if_tsresol
constexpr std::uint16_t kOptionOffset = 14;     // if_tsoffset
constexpr std::uint64_t kNanoseconds = 1'000'000'000;

bool is_read(std::uint32_t type) {
  constexpr std::array kRead = {std::uint32_t{kSection}, std::uint32_t{kInterface}, std::uint32_t{kObsoletePacket},
                                std::uint32_t{kSimplePacket}, std::uint32_t{kEnhancedPacket}};
  return std::ranges::find(kRead, type) != kRead.end();
}

std::uint32_t load32(const std::byte* at, bool big_endian) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) {
    value |= std::to_integer<std::uint32_t>(at[i]) << (8U * (big_endian ? 3 - i : i));
  }
  return value;
}

std::uint64_t ticks_per_second(std::uint8_t resolution) {
  const unsigned exponent = resolution & 0x7fU;
  if ((resolution & 0x80U) != 0) return std::uint64_t{1} << std::min(exponent, 63U);
  std::uint64_t ticks = 1;
  for (unsigned i = 0; i < std::min(exponent, 19U); ++i) ticks *= 10;
  return ticks;
}

std::int64_t nanoseconds(std::uint64_t ticks, std::uint64_t per_second, std::int64_t offset_s) {
  constexpr std::int64_t kSecondsMax = 9'000'000'000;  // an int64_t of nanoseconds ends in 2262
  const auto whole = static_cast<std::int64_t>(std::min<std::uint64_t>(ticks / per_second, kSecondsMax));
  // A file has no time before 1970.
  const std::int64_t seconds =
      std::clamp(whole + std::clamp(offset_s, -kSecondsMax, kSecondsMax), std::int64_t{0}, kSecondsMax);
  const std::uint64_t rest = ticks % per_second;
  const std::uint64_t fraction =
      per_second <= kNanoseconds && kNanoseconds % per_second == 0
          ? rest * (kNanoseconds / per_second)
          : static_cast<std::uint64_t>(static_cast<double>(rest) / static_cast<double>(per_second) * 1e9);
  return seconds * static_cast<std::int64_t>(kNanoseconds) + static_cast<std::int64_t>(fraction);
}

std::size_t padded(std::size_t bytes) { return (bytes + 3) & ~std::size_t{3}; }

}  // namespace

absl::StatusOr<std::unique_ptr<CaptureReader>> PcapngReader::open(std::shared_ptr<std::FILE> file, std::string name) {
  std::unique_ptr<PcapngReader> reader(new PcapngReader(std::move(file), std::move(name)));
  const auto first = reader->read_block();
  if (!first.ok()) return first.status();
  if (!*first || reader->type_ != kSection) return reader->damaged("no section header");
  return reader;
}

std::uint16_t PcapngReader::u16(std::size_t at) const {
  const auto first = std::to_integer<unsigned>(body_[at]);
  const auto second = std::to_integer<unsigned>(body_[at + 1]);
  return static_cast<std::uint16_t>(big_endian_ ? (first << 8U) | second : (second << 8U) | first);
}
std::uint32_t PcapngReader::u32(std::size_t at) const { return load32(&body_[at], big_endian_); }

absl::Status PcapngReader::damaged(std::string_view what) const {
  return invalid_argument("{}: found a damaged pcapng file: {}", name_, what);
}

// A section decides the byte order of everything in it, its own length included.
absl::Status PcapngReader::read_section_head(std::array<std::byte, 12>& head) {
  if (std::fread(&head[8], 1, 4, file_.get()) != 4) return damaged("it ends in a section header");
  big_endian_ = load32(&head[8], true) == kByteOrder;
  if (!big_endian_ && load32(&head[8], false) != kByteOrder) return damaged("a section of unknown byte order");
  interfaces_.clear();
  return absl::OkStatus();
}

// The same unread: secrets of TLS, statistics, whatever others have added.
absl::Status PcapngReader::skip_body(std::uint32_t total_bytes) {
  std::size_t left = total_bytes - kBlockOverhead;
  body_.resize(std::size_t{64} << 10U);
  while (left > 0) {
    const std::size_t read = std::fread(body_.data(), 1, std::min(left, body_.size()), file_.get());
    if (read == 0) return damaged("it ends inside a block");
    left -= read;
  }
  std::array<std::byte, 4> again{};
  if (std::fread(again.data(), 1, again.size(), file_.get()) != again.size()) return damaged("it ends inside a block");
  if (load32(again.data(), big_endian_) != total_bytes) return damaged("a block whose two lengths differ");
  return absl::OkStatus();
}

// What follows the block's head, without the second length.
absl::Status PcapngReader::read_body(std::uint32_t total_bytes) {
  const std::size_t already = type_ == kSection ? 4 : 0;
  if (total_bytes < kBlockOverhead + already || total_bytes % 4 != 0) return damaged("a block of impossible length");
  if (total_bytes > kBlockMaxBytes) {
    if (is_read(type_)) return damaged(fmt::format("a block of {} bytes", total_bytes));
    return skip_body(total_bytes);
  }
  body_.resize(total_bytes - kBlockOverhead + 4 - already);
  if (std::fread(body_.data(), 1, body_.size(), file_.get()) != body_.size()) return damaged("it ends inside a block");
  if (u32(body_.size() - 4) != total_bytes) return damaged("a block whose two lengths differ");
  body_.resize(body_.size() - 4);
  return absl::OkStatus();
}

// False: the end of the file.
absl::StatusOr<bool> PcapngReader::read_block() {
  std::array<std::byte, 12> head{};
  const std::size_t read = std::fread(head.data(), 1, 8, file_.get());
  if (read == 0 && std::feof(file_.get()) != 0) return false;
  if (read != 8) return damaged("it ends inside a block");
  type_ = load32(head.data(), big_endian_);
  if (type_ == kSection) {
    if (absl::Status status = read_section_head(head); !status.ok()) return status;
  }
  if (absl::Status status = read_body(load32(&head[4], big_endian_)); !status.ok()) return status;
  return true;
}

void PcapngReader::read_options(std::size_t at, Interface& interface) const {
  while (at + 4 <= body_.size()) {
    const std::uint16_t code = u16(at);
    const std::uint16_t bytes = u16(at + 2);
    at += 4;
    if (code == 0 || at + bytes > body_.size()) return;
    if (code == kOptionResolution && bytes == 1) {
      interface.ticks_per_second = ticks_per_second(std::to_integer<std::uint8_t>(body_[at]));
    }
    if (code == kOptionOffset && bytes == 8) {
      const std::uint64_t high = u32(big_endian_ ? at : at + 4);
      const std::uint64_t low = u32(big_endian_ ? at + 4 : at);
      interface.offset_s = static_cast<std::int64_t>((high << 32U) | low);
    }
    at += padded(bytes);
  }
}

absl::Status PcapngReader::read_interface() {
  if (body_.size() < 8) return damaged("an interface description that is too short");
  if (interfaces_.size() >= kInterfacesMax) return damaged("too many interfaces");
  Interface interface { .link_type = u16(0), .snap_bytes = u32(4) };
  read_options(8, interface);
  interfaces_.push_back(interface);
  return absl::OkStatus();
}

absl::Status PcapngReader::read_packet(CapturedPacket& packet) const {
  constexpr std::size_t kFixed = 20;
  if (body_.size() < kFixed) return damaged("a packet block that is too short");
  const std::size_t number = type_ == kEnhancedPacket ? u32(0) : u16(0);
  if (number >= interfaces_.size()) return damaged("a packet of an interface that is not described");
  const std::uint32_t bytes = u32(12);
  if (bytes > body_.size() - kFixed) return damaged("a packet that is longer than its block");
  const Interface& interface = interfaces_[number];
  const std::uint64_t ticks = (std::uint64_t{u32(4)} << 32U) | u32(8);
  packet = {.time_ns = nanoseconds(ticks, interface.ticks_per_second, interface.offset_s),
            .wire_bytes = std::max(u32(16), bytes),
            .link_type = interface.link_type,
            .bytes = std::span(body_).subspan(kFixed, bytes)};
  return absl::OkStatus();
}

// Has no time: it is that of the packet before.
absl::Status PcapngReader::read_simple_packet(CapturedPacket& packet) const {
  if (body_.size() < 4) return damaged("a packet block that is too short");
  if (interfaces_.empty()) return damaged("a packet of an interface that is not described");
  const Interface& interface = interfaces_.front();
  const std::uint32_t wire_bytes = u32(0);
  std::size_t bytes = std::min<std::size_t>(wire_bytes, body_.size() - 4);
  if (interface.snap_bytes != 0) bytes = std::min<std::size_t>(bytes, interface.snap_bytes);
  packet.wire_bytes = wire_bytes;
  packet.link_type = interface.link_type;
  packet.bytes = std::span(body_).subspan(4, bytes);
  return absl::OkStatus();
}

absl::StatusOr<bool> PcapngReader::next(CapturedPacket& packet) {
  while (true) {
    const auto block = read_block();
    if (!block.ok() || !*block) return block;
    absl::Status status;
    switch (type_) {
      case kInterface: status = read_interface(); break;
      case kEnhancedPacket:
      case kObsoletePacket:
        status = read_packet(packet);
        if (status.ok()) return true;
        break;
      case kSimplePacket:
        status = read_simple_packet(packet);
        if (status.ok()) return true;
        break;
      default: break;  // names, statistics, secrets, what others have added
    }
    if (!status.ok()) return status;
  }
}

}  // namespace anypop::replay
