// SPDX-License-Identifier: Apache-2.0
#include "quic.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "l4lb/wire.h"

namespace anypop::l4lb {
namespace {

using wire::View;

// RFC 8999 section 5.1, up to the destination connection ID.
struct LongHeader {
  std::uint8_t form_and_type;
  std::array<std::uint8_t, 4> version;  // not aligned, so no be32
  std::uint8_t destination_id_bytes;
};
static_assert(sizeof(LongHeader) == 6);
static_assert(sizeof(LongHeader) + 20 == kQuicHeaderBytes);

constexpr std::uint8_t kLong = 0x80;
constexpr std::uint8_t kTypeMask = 0x30;
constexpr std::size_t kIdBytesMax = 20;  // of versions 1 and 2, and so of all IDs that a server here makes

bool is_long(std::span<const std::byte> datagram) {
  return datagram.size() >= sizeof(LongHeader) && (std::to_integer<std::uint8_t>(datagram[0]) & kLong) != 0;
}

}  // namespace

bool is_quic_initial(std::span<const std::byte> datagram) {
  if (datagram.size() < kQuicInitialBytes || !is_long(datagram)) return false;
  const View<LongHeader> header(datagram.data());
  const unsigned type = header[&LongHeader::form_and_type] & kTypeMask;
  const std::uint32_t version = std::bit_cast<wire::be32>(header[&LongHeader::version]).host();
  if (version == 1 || version >> 8U == 0xff0000U) return type == 0x00;
  return version == 0x6b3343cfU && type == 0x10;
}

std::span<const std::byte> quic_destination_id(std::span<const std::byte> datagram) {
  if (datagram.empty()) return {};
  if ((std::to_integer<std::uint8_t>(datagram[0]) & kLong) == 0) {
    return datagram.subspan(1, std::min(datagram.size() - 1, kIdBytesMax));
  }
  if (!is_long(datagram)) return {};
  const std::size_t bytes = View<LongHeader>(datagram.data())[&LongHeader::destination_id_bytes];
  if (datagram.size() - sizeof(LongHeader) < bytes) return {};
  return datagram.subspan(sizeof(LongHeader), bytes);
}

}  // namespace anypop::l4lb
