// SPDX-License-Identifier: Apache-2.0
#include "flow.h"

#include <cassert>
#include <cstring>

namespace anypop::l4lb {

template <class F>
typename F::Address to_wire(const IpAddress& address) {
  assert(address.family() == F::kFamily);
  typename F::Address result;
  std::memcpy(&result, address.bytes().data(), sizeof(result));
  return result;
}

template V4::Address to_wire<V4>(const IpAddress& address);
template V6::Address to_wire<V6>(const IpAddress& address);

}  // namespace anypop::l4lb
