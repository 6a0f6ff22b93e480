// SPDX-License-Identifier: Apache-2.0
#include "l4lb_testing/packet_builder.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <fmt/format.h>

#include "base/address.h"

namespace anypop::l4lb_testing {
namespace {

void put8(Frame& frame, unsigned value) { frame.push_back(static_cast<std::byte>(value)); }
void put16(Frame& frame, unsigned value) {
  put8(frame, (value >> 8U) & 0xffU);
  put8(frame, value & 0xffU);
}
void put32(Frame& frame, std::uint32_t value) {
  put16(frame, value >> 16U);
  put16(frame, value & 0xffffU);
}
void put_zeros(Frame& frame, std::size_t count) { frame.insert(frame.end(), count, std::byte{0}); }
void set16(Frame& frame, std::size_t at, unsigned value) {
  frame[at] = static_cast<std::byte>(value >> 8U);
  frame[at + 1] = static_cast<std::byte>(value & 0xffU);
}

void put_mac(Frame& frame, std::string_view text) {
  const auto mac = MacAddress::parse(text);
  if (!mac.ok()) throw std::invalid_argument(std::string(text) + " is no MAC address");
  for (const std::uint8_t byte : mac->bytes()) put8(frame, byte);
}

void put_address(Frame& frame, std::string_view text, Family family) {
  const auto address = IpAddress::parse(text);
  if (!address.ok() || address->family() != family) throw std::invalid_argument(std::string(text) + ": wrong address");
  for (const std::uint8_t byte : address->bytes()) put8(frame, byte);
}

constexpr std::size_t kIpv6HeaderBytes = 40;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kIcmpV6 = 58;

std::size_t checksum_at(std::uint8_t transport) { return transport == kTcp ? 16 : transport == kUdp ? 6 : 2; }

}  // namespace

PacketBuilder::PacketBuilder(const EthFields& fields) {
  put_mac(bytes_, fields.destination);
  put_mac(bytes_, fields.source);
  type_at_ = bytes_.size();
  put16(bytes_, 0xffff);
}

PacketBuilder& PacketBuilder::vlan(std::uint16_t id, std::uint16_t tag_type) {
  set16(bytes_, type_at_, tag_type);
  put16(bytes_, id);
  type_at_ = bytes_.size();
  put16(bytes_, 0xffff);
  return *this;
}

PacketBuilder& PacketBuilder::ether_type(std::uint16_t type) {
  set16(bytes_, type_at_, type);
  return *this;
}

PacketBuilder& PacketBuilder::ip(const IpFields& fields) {
  const auto destination = IpAddress::parse(fields.destination);
  if (!destination.ok()) throw std::invalid_argument(std::string(fields.destination) + " is no address");
  ip_fields_ = fields;
  ip_at_ = bytes_.size();
  v4_ = destination->family() == Family::kV4;
  return v4_ ? ipv4(fields) : ipv6(fields);
}

PacketBuilder& PacketBuilder::ipv4(const IpFields& fields) {
  ether_type(0x0800);
  const unsigned ihl = fields.ihl.value_or(static_cast<std::uint8_t>(5 + fields.option_bytes / 4));
  put8(bytes_, (unsigned{fields.version.value_or(4)} << 4U) | ihl);
  put8(bytes_, fields.traffic_class);
  put16(bytes_, 0);  // total length: build()
  put16(bytes_, fields.identification);
  put16(bytes_,
        (fields.dont_fragment ? 0x4000U : 0U) | (fields.more_fragments ? 0x2000U : 0U) | fields.fragment_offset);
  put8(bytes_, fields.ttl);
  next_at_ = bytes_.size();
  put8(bytes_, fields.protocol.value_or(255));
  put16(bytes_, 0);  // checksum: build()
  put_address(bytes_, fields.source.empty() ? "192.0.2.10" : fields.source, Family::kV4);
  put_address(bytes_, fields.destination, Family::kV4);
  for (unsigned i = 0; i < fields.option_bytes; ++i) put8(bytes_, 1);  // "no operation"
  return *this;
}

PacketBuilder& PacketBuilder::ipv6(const IpFields& fields) {
  ether_type(0x86dd);
  put32(bytes_, (std::uint32_t{fields.version.value_or(6)} << 28U) | (std::uint32_t{fields.traffic_class} << 20U) |
                    fields.flow_label);
  put16(bytes_, 0);  // payload length: build()
  next_at_ = bytes_.size();
  put8(bytes_, fields.protocol.value_or(59));
  put8(bytes_, fields.ttl);
  put_address(bytes_, fields.source.empty() ? "2001:db8:c::10" : fields.source, Family::kV6);
  put_address(bytes_, fields.destination, Family::kV6);
  return *this;
}

PacketBuilder& PacketBuilder::next_header(std::uint8_t protocol) {
  if (ip_at_ == 0) throw std::invalid_argument("an IP header must come first");
  if (!(ip_fields_.protocol && next_at_ == ip_at_ + (v4_ ? 9U : 6U))) bytes_[next_at_] = std::byte{protocol};
  return *this;
}

PacketBuilder& PacketBuilder::extension(std::uint8_t protocol, std::size_t bytes) {
  next_header(protocol);
  next_at_ = bytes_.size();
  put8(bytes_, 59);
  put8(bytes_, static_cast<unsigned>(bytes / 8 - 1));
  put8(bytes_, 1);  // PadN of the rest; in a routing header an unknown type, with no segments left
  put8(bytes_, protocol == 43 ? 0U : static_cast<unsigned>(bytes - 4) & 0xffU);
  put_zeros(bytes_, bytes - 4);
  return *this;
}

PacketBuilder& PacketBuilder::fragment(const FragmentFields& fields) {
  next_header(44);
  next_at_ = bytes_.size();
  put16(bytes_, 59U << 8U);
  put16(bytes_, (unsigned{fields.offset} << 3U) | (fields.more ? 1U : 0U));
  put32(bytes_, fields.identification);
  return *this;
}

PacketBuilder& PacketBuilder::tcp(const TcpFields& fields) {
  next_header(kTcp);
  transport_ = kTcp;
  transport_at_ = bytes_.size();
  put16(bytes_, fields.source);
  put16(bytes_, fields.destination);
  put32(bytes_, fields.sequence);
  put32(bytes_, fields.acknowledgment);
  put8(bytes_, 5U << 4U);
  put8(bytes_, fields.flags);
  put16(bytes_, 65535);
  put32(bytes_, 0);  // checksum: build(); no urgent data
  return *this;
}

PacketBuilder& PacketBuilder::udp(const UdpFields& fields) {
  next_header(kUdp);
  transport_ = kUdp;
  transport_at_ = bytes_.size();
  put16(bytes_, fields.source);
  put16(bytes_, fields.destination);
  put32(bytes_, 0);  // length and checksum: build()
  zero_checksum_ = fields.zero_checksum;
  return *this;
}

PacketBuilder& PacketBuilder::icmp(const IcmpFields& fields) {
  transport_ = v4_ ? kIcmp : kIcmpV6;
  next_header(transport_);
  transport_at_ = bytes_.size();
  put8(bytes_, fields.type);
  put8(bytes_, fields.code);
  put16(bytes_, 0);  // checksum: build()
  put32(bytes_, fields.rest);
  return *this;
}

PacketBuilder& PacketBuilder::payload(std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) put8(bytes_, static_cast<unsigned>('a' + i % 26));
  return *this;
}

PacketBuilder& PacketBuilder::raw(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

PacketBuilder& PacketBuilder::pad_to(std::size_t bytes) {
  padded_bytes_ = bytes;
  return *this;
}

PacketBuilder& PacketBuilder::cut_to(std::size_t bytes) {
  cut_bytes_ = bytes;
  return *this;
}

PacketBuilder& PacketBuilder::cut_last(std::size_t bytes) {
  cut_last_bytes_ = bytes;
  return *this;
}

void PacketBuilder::finish_ip(Frame& frame) const {
  if (!v4_) {
    const std::size_t payload_bytes = frame.size() - ip_at_ - kIpv6HeaderBytes;
    set16(frame, ip_at_ + 4, ip_fields_.length.value_or(static_cast<std::uint16_t>(payload_bytes)));
    return;
  }
  set16(frame, ip_at_ + 2, ip_fields_.length.value_or(static_cast<std::uint16_t>(frame.size() - ip_at_)));
  const auto header = std::span(frame).subspan(ip_at_, std::size_t{20} + ip_fields_.option_bytes);
  set16(frame, ip_at_ + 10, checksum_fold(checksum_sum(header)));
}

std::uint32_t PacketBuilder::pseudo_header_sum(const Frame& frame) const {
  const std::size_t addresses_at = ip_at_ + (v4_ ? 12 : 8);
  const std::uint32_t sum = checksum_sum(std::span(frame).subspan(addresses_at, v4_ ? 8 : 32));
  return sum + transport_ + static_cast<std::uint32_t>(frame.size() - transport_at_);
}

void PacketBuilder::finish_transport(Frame& frame) const {
  if (transport_ == kUdp) set16(frame, transport_at_ + 4, static_cast<unsigned>(frame.size() - transport_at_));
  if (zero_checksum_) return;
  const auto segment = std::span(frame).subspan(transport_at_);
  const std::uint16_t sum = checksum_fold(checksum_sum(segment, transport_ == kIcmp ? 0 : pseudo_header_sum(frame)));
  // RFC 768: a UDP checksum that comes out as 0 is sent as all ones.
  const bool udp_zero = transport_ == kUdp && sum == 0;
  set16(frame, transport_at_ + checksum_at(transport_), udp_zero ? 0xffffU : sum);
}

Frame PacketBuilder::build() const {
  Frame frame = bytes_;
  if (ip_at_ != 0) finish_ip(frame);
  if (transport_at_ != 0) finish_transport(frame);
  if (frame.size() < padded_bytes_) put_zeros(frame, padded_bytes_ - frame.size());
  frame.resize(frame.size() - std::min(cut_last_bytes_, frame.size()));
  if (cut_bytes_) frame.resize(std::min(*cut_bytes_, frame.size()));
  return frame;
}

Frame with_macs(Frame frame, std::string_view destination, std::string_view source) {
  Frame macs;
  put_mac(macs, destination);
  put_mac(macs, source);
  std::ranges::copy(macs, frame.begin());
  return frame;
}

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i % 16 == 0) text += fmt::format("{}{:04x} ", i == 0 ? "" : "\n", i);
    text += fmt::format(" {:02x}", static_cast<unsigned>(bytes[i]));
  }
  return text;
}

std::uint32_t checksum_sum(std::span<const std::byte> bytes, std::uint32_t sum) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<std::uint32_t>(bytes[i]);
    sum += i % 2 == 0 ? byte << 8U : byte;
  }
  return sum;
}

std::uint16_t checksum_fold(std::uint32_t sum) {
  while (sum > 0xffffU) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace anypop::l4lb_testing
