// SPDX-License-Identifier: Apache-2.0
#include "anypop_capture/frame_text.h"

#include <array>
#include <cstdint>
#include <string_view>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace anypop::capture {
namespace {

class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> data) : data_(data) {}
  bool has(std::size_t at, std::size_t count) const { return at + count <= data_.size(); }
  unsigned u8(std::size_t at) const { return std::to_integer<unsigned>(data_[at]); }
  unsigned u16(std::size_t at) const { return u8(at) << 8U | u8(at + 1); }
  std::string address(int family, std::size_t at) const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(family, data_.data() + at, text.data(), text.size());
    return text.data();
  }

 private:
  std::span<const std::byte> data_;
};

std::string tcp_flags(unsigned flags) {
  constexpr std::string_view kLetters = "FSRPAU";
  std::string out;
  for (std::size_t bit = 0; bit < kLetters.size(); ++bit) {
    if ((flags >> bit & 1U) != 0) out += kLetters[bit];
  }
  return out;
}

std::string with_port(const std::string& address, unsigned port) {
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                : fmt::format("[{}]:{}", address, port);
}

std::string transport(const Bytes& bytes, unsigned protocol, std::size_t at, const std::string& from,
                      const std::string& to) {
  const std::string plain = fmt::format("{} > {}", from, to);
  if ((protocol == 6 || protocol == 17) && bytes.has(at, 4)) {
    const std::string ends = fmt::format("{} > {}", with_port(from, bytes.u16(at)), with_port(to, bytes.u16(at + 2)));
    if (protocol == 17) return ends + " udp";
    return bytes.has(at, 14) ? fmt::format("{} tcp {}", ends, tcp_flags(bytes.u8(at + 13))) : ends + " tcp";
  }
  if ((protocol == 1 || protocol == 58) && bytes.has(at, 2)) {
    return fmt::format("{} icmp{} type {} code {}", plain, protocol == 58 ? "6" : "", bytes.u8(at), bytes.u8(at + 1));
  }
  return fmt::format("{} protocol {}", plain, protocol);
}

std::string ipv4(const Bytes& bytes, std::size_t at) {
  if (!bytes.has(at, 20)) return "ipv4, cut";
  const std::string from = bytes.address(AF_INET, at + 12);
  const std::string to = bytes.address(AF_INET, at + 16);
  if ((bytes.u16(at + 6) & 0x1fffU) != 0) return fmt::format("{} > {} later fragment", from, to);
  return transport(bytes, bytes.u8(at + 9), at + 4 * std::size_t{bytes.u8(at) & 15U}, from, to);
}

std::string ipv6(const Bytes& bytes, std::size_t at) {
  if (!bytes.has(at, 40)) return "ipv6, cut";
  return transport(bytes, bytes.u8(at + 6), at + 40, bytes.address(AF_INET6, at + 8), bytes.address(AF_INET6, at + 24));
}

}  // namespace

std::string frame_text(std::span<const std::byte> frame) {
  const Bytes bytes(frame);
  std::size_t at = 12;
  std::string vlans;
  for (int tags = 0; tags < 2 && bytes.has(at, 4) && (bytes.u16(at) == 0x8100 || bytes.u16(at) == 0x88a8); ++tags) {
    vlans += fmt::format("vlan {} ", bytes.u16(at + 2) & 0xfffU);
    at += 4;
  }
  if (!bytes.has(at, 2)) return "no Ethernet header";
  const unsigned type = bytes.u16(at);
  at += 2;
  if (type == 0x0800) return vlans + ipv4(bytes, at);
  if (type == 0x86dd) return vlans + ipv6(bytes, at);
  if (type == 0x0806) return vlans + "arp";
  return fmt::format("{}ethertype {:#06x}", vlans, type);
}

}  // namespace anypop::capture
