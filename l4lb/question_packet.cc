// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/text.h"
#include "flow.h"
#include "l4lb/explain.h"

namespace anypop::l4lb {
namespace {

using wire::be16;
using wire::be32;
using wire::Edit;

constexpr std::uint8_t kTtl = 64;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kNoOptions = 5U << 4U;  // TCP's data offset
// The version, and in IPv4 a header without options.
constexpr std::uint8_t kVersion4 = 0x45;
constexpr std::uint32_t kVersion6 = 0x60000000;

template <class F>
void write_ip(const FlowQuestion& question, std::uint32_t ip_bytes, std::byte* at) {
  const auto protocol = static_cast<wire::IpProtocol>(question.protocol);
  if constexpr (F::kFamily == Family::kV4) {
    Edit<wire::Ipv4>(at)
        .set(&wire::Ipv4::version_and_ihl, {kVersion4})
        .set(&wire::Ipv4::total_length, be16(static_cast<std::uint16_t>(ip_bytes)))
        .set(&wire::Ipv4::flags_and_offset, {be16(wire::FlagsAndOffset::kDontFragment)})
        .set(&wire::Ipv4::ttl, kTtl)
        .set(&wire::Ipv4::protocol, protocol)
        .set(&wire::Ipv4::source, to_wire<V4>(question.source))
        .set(&wire::Ipv4::destination, to_wire<V4>(question.destination));
  } else {
    Edit<wire::Ipv6>(at)
        .set(&wire::Ipv6::version_class_label, {be32(kVersion6)})
        .set(&wire::Ipv6::payload_length, be16(static_cast<std::uint16_t>(ip_bytes - sizeof(wire::Ipv6))))
        .set(&wire::Ipv6::next_header, protocol)
        .set(&wire::Ipv6::hop_limit, kTtl)
        .set(&wire::Ipv6::source, to_wire<V6>(question.source))
        .set(&wire::Ipv6::destination, to_wire<V6>(question.destination));
  }
}

void write_transport(const FlowQuestion& question, std::uint32_t bytes, std::byte* at) {
  const be16 source(question.source_port);
  const be16 destination(question.destination_port);
  if (question.protocol == Protocol::kTcp) {
    Edit<wire::Tcp>(at)
        .set(&wire::Tcp::source_port, source)
        .set(&wire::Tcp::destination_port, destination)
        .set(&wire::Tcp::data_offset, kNoOptions)
        .set(&wire::Tcp::flags, question.opens ? kSyn : kAck);
  } else {
    Edit<wire::Udp>(at)
        .set(&wire::Udp::source_port, source)
        .set(&wire::Udp::destination_port, destination)
        .set(&wire::Udp::length, be16(static_cast<std::uint16_t>(bytes)));
    std::ranges::copy(question.payload, at + sizeof(wire::Udp));
  }
}

template <class F>
std::vector<std::byte> make(const FlowQuestion& question) {
  const bool tcp = question.protocol == Protocol::kTcp;
  const std::size_t transport = tcp ? sizeof(wire::Tcp) : sizeof(wire::Udp) + question.payload.size();
  const std::size_t least = sizeof(typename F::Header) + transport;
  const auto ip_bytes = static_cast<std::uint32_t>(std::max<std::size_t>(least, question.ip_bytes));
  std::vector<std::byte> out(kHeadroomBytes + sizeof(wire::Ethernet) + ip_bytes);
  std::byte* const frame = out.data() + kHeadroomBytes;
  const bool v4 = F::kFamily == Family::kV4;
  Edit<wire::Ethernet>(frame).set(
      &wire::Ethernet::type, be16(static_cast<std::uint16_t>(v4 ? wire::EtherType::kIpv4 : wire::EtherType::kIpv6)));
  std::byte* const ip = frame + sizeof(wire::Ethernet);
  write_ip<F>(question, ip_bytes, ip);
  write_transport(question, ip_bytes - std::uint32_t{sizeof(typename F::Header)}, ip + sizeof(typename F::Header));
  return out;
}

}  // namespace

absl::StatusOr<std::vector<std::byte>> make_packet(const FlowQuestion& question) {
  if (question.source.family() != question.destination.family()) {
    return invalid_argument("found {} and {}, expected two addresses of one family", question.source.to_string(),
                            question.destination.to_string());
  }
  if (question.ip_bytes > kQuestionMaxBytes || question.payload.size() > kQuestionMaxBytes) {
    return invalid_argument("found a packet of {} bytes, expected at most {}",
                            std::max<std::size_t>(question.ip_bytes, question.payload.size()), kQuestionMaxBytes);
  }
  return question.source.family() == Family::kV4 ? make<V4>(question) : make<V6>(question);
}

}  // namespace anypop::l4lb
