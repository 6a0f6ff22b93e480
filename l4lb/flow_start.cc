// SPDX-License-Identifier: Apache-2.0
#include "flow_start.h"

#include "parse.h"
#include "quic.h"

namespace anypop::l4lb {

template <class F>
bool opens_flow(std::span<const std::byte> frame, std::uint32_t ip_offset) {
  constexpr std::uint8_t kFin = 0x01;
  constexpr std::uint8_t kSyn = 0x02;
  constexpr std::uint8_t kRst = 0x04;
  constexpr std::uint8_t kAck = 0x10;
  Flow<F> flow;
  const IpFinding found = parse_ip<F>(frame, ip_offset, flow);
  if (found.fault != Verdict::kForward) return false;
  if (flow.protocol == wire::IpProtocol::kTcp) {
    const std::uint8_t flags = wire::View<wire::Tcp>(frame.data() + found.transport_at)[&wire::Tcp::flags];
    return (flags & (kFin | kSyn | kRst | kAck)) == kSyn;
  }
  return is_quic_initial(frame.first(found.end).subspan(found.transport_at + sizeof(wire::Udp)));
}

template bool opens_flow<V4>(std::span<const std::byte> frame, std::uint32_t ip_offset);
template bool opens_flow<V6>(std::span<const std::byte> frame, std::uint32_t ip_offset);

}  // namespace anypop::l4lb
