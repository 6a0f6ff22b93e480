// SPDX-License-Identifier: Apache-2.0
// Any bytes as frames. What parse finds lies inside the packet, does not depend on what lies behind it, and a packet
// reads the same when an ICMP error quotes it.
#include <cstddef>
#include <cstdint>
#include <span>

#include "flow.h"
#include "l4lb_testing/fuzz_input.h"
#include "parse.h"
#include "parse_plain.h"
#include "quic.h"

namespace {

using anypop::l4lb_testing::Frame;
using anypop::l4lb_testing::require;
namespace l4lb = anypop::l4lb;

void require_same(const l4lb::IpFinding& a, const l4lb::IpFinding& b) {
  require(a.fault == b.fault && a.destination_known == b.destination_known && a.fragment == b.fragment);
  require(a.fragment_id == b.fragment_id && a.transport_at == b.transport_at && a.end == b.end);
}

template <class F>
void check_whole(const Frame& frame, std::uint32_t ip_offset, const l4lb::IpFinding& found, const l4lb::Flow<F>& flow) {
  const std::size_t header_bytes = flow.protocol == l4lb::wire::IpProtocol::kTcp ? 20 : 8;
  require(flow.protocol == l4lb::wire::IpProtocol::kTcp || flow.protocol == l4lb::wire::IpProtocol::kUdp);
  require(found.transport_at >= ip_offset + sizeof(typename F::Header));
  require(found.transport_at + header_bytes <= found.end && found.end <= frame.size());
  const Frame packet(frame.begin() + ip_offset, frame.begin() + found.end);
  l4lb::Flow<F> quoted;
  require(l4lb::parse_quoted<F>(packet, quoted) && quoted == flow);

  // Neither less padding nor more of it changes anything.
  for (const std::size_t bytes : {std::size_t{found.end}, frame.size() + 9}) {
    Frame other = frame;
    other.resize(bytes, std::byte{0xa5});
    l4lb::Flow<F> again;
    require_same(l4lb::parse_ip<F>(other, ip_offset, again), found);
    require(again == flow);
  }
}

// The short way must find what the long one does, and take every packet that it is meant for.
template <class F>
void check_plain(const Frame& frame) {
  const l4lb::wire::IpProtocol protocol = l4lb::parse_plain<F>(frame);
  const bool is_plain = protocol != l4lb::kNotPlain;
  const l4lb::Layer2 layer2 = l4lb::parse_ethernet(frame);
  const bool v4 = F::kFamily == anypop::Family::kV4;
  if (layer2.next != (v4 ? l4lb::Layer2::Next::kIpv4 : l4lb::Layer2::Next::kIpv6)) return require(!is_plain);
  l4lb::Flow<F> flow;
  const l4lb::IpFinding found = l4lb::parse_ip<F>(frame, layer2.ip_offset, flow);
  const bool meant = layer2.ip_offset == l4lb::kPlainIpOffset && found.fault == l4lb::Verdict::kForward &&
                     found.fragment == l4lb::Fragment::kWhole &&
                     found.transport_at == l4lb::kPlainIpOffset + sizeof(typename F::Header) &&
                     frame.size() >= l4lb::plain::kLeastBytes<typename F::Header>;
  require(is_plain == meant);
  if (!is_plain) return;
  l4lb::Flow<F> plain;
  l4lb::plain_flow(frame.data(), protocol, plain);
  require(plain == flow);
  require(l4lb::plain_key<F>(frame.data(), protocol) == l4lb::pack(flow));
}

template <class F>
void check(const Frame& frame, std::uint32_t ip_offset) {
  l4lb::Flow<F> flow;
  const l4lb::IpFinding found = l4lb::parse_ip<F>(frame, ip_offset, flow);
  if (found.fault == l4lb::Verdict::kForward) check_whole<F>(frame, ip_offset, found, flow);
  if (found.fault == l4lb::Verdict::kDropIcmp)
    require(found.transport_at + 8 <= found.end && found.end <= frame.size());
  const auto datagram = l4lb::udp_payload<F>(frame, ip_offset);
  l4lb::is_quic_initial(datagram);
  if (!datagram.empty()) {
    require(datagram.data() >= frame.data() && datagram.data() + datagram.size() <= frame.data() + frame.size());
  }
  l4lb::Flow<F> quoted;
  l4lb::parse_quoted<F>(std::span(frame).subspan(ip_offset), quoted);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const Frame& frame : anypop::l4lb_testing::split_burst({data, size})) {
    check_plain<l4lb::V4>(frame);
    check_plain<l4lb::V6>(frame);
    const l4lb::Layer2 layer2 = l4lb::parse_ethernet(frame);
    if (layer2.next == l4lb::Layer2::Next::kIpv4) check<l4lb::V4>(frame, layer2.ip_offset);
    if (layer2.next == l4lb::Layer2::Next::kIpv6) check<l4lb::V6>(frame, layer2.ip_offset);
  }
  return 0;
}
