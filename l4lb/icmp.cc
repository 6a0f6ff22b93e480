// SPDX-License-Identifier: Apache-2.0
#include "icmp.h"

#include <utility>

namespace anypop::l4lb {
namespace {

// Source quench (4) is deprecated (RFC 6633), a redirect (5) is for hosts on the link.
template <class F>
constexpr bool is_error(std::uint8_t type) {
  if constexpr (F::kFamily == Family::kV4) return type == 3 || type == 11 || type == 12;
  return type >= 1 && type <= 4;
}

template <class F>
constexpr std::uint8_t kEchoRequestType = F::kFamily == Family::kV4 ? 8 : 128;

std::uint8_t type_of(std::span<const std::byte> frame, const IpFinding& found) {
  return wire::View<wire::Icmp>(frame.data() + found.transport_at)[&wire::Icmp::type];
}

std::span<const std::byte> quoted_by(std::span<const std::byte> frame, const IpFinding& found) {
  return frame.first(found.end).subspan(found.transport_at + sizeof(wire::Icmp));
}

}  // namespace

template <class F>
IcmpKind parse_icmp(std::span<const std::byte> frame, const IpFinding& found, Flow<F>& flow) {
  const std::uint8_t type = type_of(frame, found);
  if (type == kEchoRequestType<F>) return IcmpKind::kEchoRequest;
  if (!is_error<F>(type)) return IcmpKind::kOther;
  Flow<F> quoted;
  if (!parse_quoted<F>(quoted_by(frame, found), quoted)) return IcmpKind::kOther;
  if (quoted.source != flow.destination) return IcmpKind::kOther;
  std::swap(quoted.source, quoted.destination);
  std::swap(quoted.source_port, quoted.destination_port);
  flow = quoted;
  return IcmpKind::kError;
}

template IcmpKind parse_icmp<V4>(std::span<const std::byte>, const IpFinding&, Flow<V4>&);
template IcmpKind parse_icmp<V6>(std::span<const std::byte>, const IpFinding&, Flow<V6>&);

template <class F>
std::uint32_t icmp_header_bytes(std::span<const std::byte> frame, const IpFinding& found) {
  constexpr std::uint32_t kOwn = sizeof(wire::Icmp);
  return is_error<F>(type_of(frame, found)) ? kOwn + quoted_header_bytes<F>(quoted_by(frame, found)) : kOwn;
}

template std::uint32_t icmp_header_bytes<V4>(std::span<const std::byte>, const IpFinding&);
template std::uint32_t icmp_header_bytes<V6>(std::span<const std::byte>, const IpFinding&);

}  // namespace anypop::l4lb
