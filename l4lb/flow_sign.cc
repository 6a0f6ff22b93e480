// SPDX-License-Identifier: Apache-2.0
#include "flow_sign.h"

#include "parse.h"
#include "quic.h"

namespace anypop::l4lb {

template <class F>
FlowSign flow_sign(std::span<const std::byte> frame, std::uint32_t ip_offset) {
  Flow<F> flow;
  const IpFinding found = parse_ip<F>(frame, ip_offset, flow);
  if (found.fault != Verdict::kForward) return FlowSign::kGoesOn;
  if (flow.protocol == wire::IpProtocol::kTcp) {
    return sign_of_flags(signs_of_tcp(frame.data() + found.transport_at));
  }
  const auto datagram = frame.first(found.end).subspan(found.transport_at + sizeof(wire::Udp));
  return is_quic_initial(datagram) ? FlowSign::kOpens : FlowSign::kGoesOn;
}

template FlowSign flow_sign<V4>(std::span<const std::byte> frame, std::uint32_t ip_offset);
template FlowSign flow_sign<V6>(std::span<const std::byte> frame, std::uint32_t ip_offset);

}  // namespace anypop::l4lb
