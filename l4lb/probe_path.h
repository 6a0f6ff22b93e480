// SPDX-License-Identifier: Apache-2.0
// The monitor's probes through the data path. Their source address, of a reserved prefix, names the backend that they
// are for; all else about them is a client's packet. Only packets that the caller of process_probes() vouches for are
// taken so: the port they came in by decides, never the packet. In process_burst() a reserved source address is a
// forgery, and dropped.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "base/config.h"
#include "flow.h"

namespace anypop::l4lb {

template <class F>
class ProbeSources {
 public:
  ProbeSources() = default;
  ProbeSources(const std::vector<IpPrefix>& prefixes, const std::vector<ServiceConfig>& services);

  bool any() const { return any_; }
  // Is the address reserved? Precondition: any().
  bool contains(const typename F::Address& address) const {
    const Words words = std::bit_cast<Words>(address);
    std::uint32_t differs = 0;
    for (std::size_t i = 0; i < words.size(); ++i) differs |= (words[i] ^ network_[i]) & mask_[i];
    return differs == 0;
  }
  // The backend within `service` that the address names; nullptr: none.
  const std::uint16_t* find(std::uint16_t service, const typename F::Address& address) const {
    const auto& sources = services_[service];
    const auto at = std::ranges::find(sources, address, &Source::address);
    return at == sources.end() ? nullptr : &at->backend;
  }

 private:
  using Words = std::array<std::uint32_t, sizeof(typename F::Address) / sizeof(std::uint32_t)>;
  struct Source {
    typename F::Address address;
    std::uint16_t backend = 0;
  };
  bool any_ = false;
  Words network_{};
  Words mask_{};
  std::vector<std::vector<Source>> services_;
};

// Of both families, made once for a configuration.
struct ProbePath {
  ProbePath(const std::vector<IpPrefix>& prefixes, const std::vector<ServiceConfig>& services)
      : v4(prefixes, services), v6(prefixes, services) {}
  template <class F>
  const ProbeSources<F>& of() const {
    if constexpr (F::kFamily == Family::kV4) return v4;
    if constexpr (F::kFamily == Family::kV6) return v6;
  }

  ProbeSources<V4> v4;
  ProbeSources<V6> v6;
};

}  // namespace anypop::l4lb
