// SPDX-License-Identifier: Apache-2.0
#include "fragments.h"

#include <array>

namespace anypop::l4lb {
namespace {

// What the fragments of one packet share: RFC 791 section 3.2, RFC 8200 section 4.5. In IPv6 the protocol is no part of
// it, and later fragments need not know it. Hashed as a flow that cannot be one: the padding is not zero.
template <class F>
std::uint64_t key_of(const FlowHash& hash, const Flow<F>& flow, std::uint32_t id) {
  std::array<Flow<F>, 1> key{};
  key[0].source = flow.source;
  key[0].destination = flow.destination;
  key[0].source_port = wire::be16(static_cast<std::uint16_t>(id >> 16U));
  key[0].destination_port = wire::be16(static_cast<std::uint16_t>(id));
  key[0].protocol = F::kFamily == Family::kV4 ? flow.protocol : wire::IpProtocol::kFragment;
  key[0].padding[0] = 1;
  std::array<std::uint64_t, 1> value;
  hash.hash(key, value);
  return value[0];
}

}  // namespace

template <class F>
void remember_first(const FlowHash& hash, const Flow<F>& flow, std::uint32_t id, std::uint32_t now_ms,
                    FragmentTable& table) {
  table.insert(key_of(hash, flow, id), {flow.source_port, flow.destination_port, flow.protocol}, now_ms);
}

template <class F>
bool complete_later(const FlowHash& hash, std::uint32_t id, std::uint32_t now_ms, const FragmentTable& table,
                    Flow<F>& flow) {
  const auto record = table.find(key_of(hash, flow, id), now_ms);
  if (!record) return false;
  flow.source_port = record->source_port;
  flow.destination_port = record->destination_port;
  flow.protocol = record->protocol;
  return true;
}

template void remember_first<V4>(const FlowHash&, const Flow<V4>&, std::uint32_t, std::uint32_t, FragmentTable&);
template void remember_first<V6>(const FlowHash&, const Flow<V6>&, std::uint32_t, std::uint32_t, FragmentTable&);
template bool complete_later<V4>(const FlowHash&, std::uint32_t, std::uint32_t, const FragmentTable&, Flow<V4>&);
template bool complete_later<V6>(const FlowHash&, std::uint32_t, std::uint32_t, const FragmentTable&, Flow<V6>&);

}  // namespace anypop::l4lb
