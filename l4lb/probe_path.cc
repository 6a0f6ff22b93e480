// SPDX-License-Identifier: Apache-2.0
#include "probe_path.h"

#include "base/probe_source.h"

namespace anypop::l4lb {

template <class F>
ProbeSources<F>::ProbeSources(const std::vector<IpPrefix>& prefixes, const std::vector<ServiceConfig>& services)
    : services_(services.size()) {
  const IpPrefix* const prefix = find_probe_prefix(prefixes, F::kFamily);
  if (prefix == nullptr) return;
  any_ = true;
  std::array<std::uint8_t, sizeof(typename F::Address)> ones;
  ones.fill(0xff);
  network_ = std::bit_cast<Words>(to_wire<F>(prefix->address()));
  mask_ = std::bit_cast<Words>(first_bits(std::bit_cast<typename F::Address>(ones), prefix->length_bits()));
  for (std::size_t service = 0; service < services.size(); ++service) {
    if (services[service].vip.family() != F::kFamily) continue;
    for (const IpAddress& source : probe_sources(*prefix, services[service].backends)) {
      services_[service].push_back({to_wire<F>(source), static_cast<std::uint16_t>(services_[service].size())});
    }
  }
}

template class ProbeSources<V4>;
template class ProbeSources<V6>;

}  // namespace anypop::l4lb
