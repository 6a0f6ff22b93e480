// SPDX-License-Identifier: Apache-2.0
#include "anypop_capture/pcapng_writer.h"

#include <utility>

namespace anypop::capture {
namespace {

// In this machine's byte order, which the section header tells.
template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_padded(std::string& out, std::string_view bytes) {
  out += bytes;
  out.append((4 - bytes.size() % 4) % 4, '\0');
}

void put_option(std::string& out, std::uint16_t code, std::string_view value) {
  put(out, code);
  put(out, static_cast<std::uint16_t>(value.size()));
  put_padded(out, value);
}

std::string block(std::uint32_t type, std::string_view body) {
  const auto length = static_cast<std::uint32_t>(body.size() + 12);
  std::string out;
  put(out, type);
  put(out, length);
  out += body;
  put(out, length);
  return out;
}

constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr std::uint32_t kInterface = 1;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint16_t kLinkEthernet = 1;
constexpr std::uint16_t kEndOfOptions = 0;
constexpr std::uint16_t kComment = 1;
constexpr std::uint16_t kInterfaceName = 2;
constexpr std::uint16_t kTimeResolution = 9;

std::string interface_block(std::string_view name) {
  std::string body;
  put(body, kLinkEthernet);
  put(body, std::uint16_t{0});
  put(body, std::uint32_t{0});  // no limit on the length
  put_option(body, kInterfaceName, name);
  put_option(body, kTimeResolution, "\x09");  // nanoseconds
  put_option(body, kEndOfOptions, "");
  return block(kInterface, body);
}

}  // namespace

std::string PcapngWriter::header() {
  std::string body;
  put(body, std::uint32_t{0x1a2b3c4d});
  put(body, std::uint16_t{1});
  put(body, std::uint16_t{0});
  put(body, ~std::uint64_t{0});  // a section of unknown length
  return block(kSectionHeader, body);
}

std::string PcapngWriter::packet(const PcapngPacket& packet) {
  std::string out;
  const auto number = static_cast<std::uint32_t>(interfaces_.size());
  const auto [at, added] = interfaces_.emplace(packet.interface, number);
  if (added) out += interface_block(packet.interface);
  std::string body;
  put(body, at->second);
  put(body, static_cast<std::uint32_t>(packet.time_ns >> 32U));
  put(body, static_cast<std::uint32_t>(packet.time_ns));
  put(body, static_cast<std::uint32_t>(packet.data.size()));
  put(body, packet.length_bytes);
  put_padded(body, {reinterpret_cast<const char*>(packet.data.data()), packet.data.size()});
  put_option(body, kComment, packet.comment);
  put_option(body, kEndOfOptions, "");
  return out + block(kEnhancedPacket, body);
}

}  // namespace anypop::capture
