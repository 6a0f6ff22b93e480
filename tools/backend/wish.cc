// SPDX-License-Identifier: Apache-2.0
#include "wish.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace anypop::backend {
namespace {

void add_forwarding(const ServiceConfig& service, Wish& wish) {
  switch (service.forwarding) {
    case Forwarding::kL2: return;
    case Forwarding::kIpip: wish.ipip = true; break;
    case Forwarding::kGre: wish.gre = true; break;
    case Forwarding::kGue:
      wish.gue = true;
      wish.gue_ports.push_back(service.tunnel.gue_port);
      break;
  }
  wish.sources.insert(wish.sources.end(), service.tunnel.sources.begin(), service.tunnel.sources.end());
}

template <typename T>
void sort_and_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

bool Wish::has_ipv4_vip() const {
  return std::any_of(vips.begin(), vips.end(), [](const IpPrefix& vip) { return vip.family() == Family::kV4; });
}

absl::StatusOr<Wish> wish_from_config(const PopConfig& config, std::string_view backend) {
  Wish wish;
  std::set<std::string> known;
  for (const ServiceConfig& service : config.services) {
    for (const BackendConfig& candidate : service.backends) {
      known.insert(candidate.name);
      if (candidate.name != backend) continue;
      wish.vips.push_back(service.vip_prefix());
      wish.addresses.push_back(candidate.address);
      add_forwarding(service, wish);
    }
  }
  if (wish.vips.empty()) {
    return invalid_argument("{}: found no backend '{}', expected one of {}", config.file.string(), escaped(backend),
                            fmt::join(known, ", "));
  }
  return wish;
}

absl::Status add_encapsulations(std::string_view text, Wish& wish) {
  for (const std::string_view word : split(text, ',')) {
    if (word == "ipip") {
      wish.ipip = true;
    } else if (word == "gre") {
      wish.gre = true;
    } else if (word == "gue") {
      wish.gue = true;
    } else if (word != "l2") {
      return invalid_argument("found encapsulation '{}', expected ipip, gre, gue or l2", escaped(word));
    }
  }
  return absl::OkStatus();
}

absl::Status finish(Wish& wish) {
  if (wish.vips.empty()) return invalid_argument("found no VIP, expected --config and --backend, or --vip");
  if (wish.addresses.empty()) return invalid_argument("found no address of this server, expected --address");
  if (wish.gue && wish.gue_ports.empty()) wish.gue_ports.push_back(TunnelConfig{}.gue_port);
  for (const IpPrefix& vip : wish.vips) {
    for (const IpAddress& address : wish.addresses) {
      if (!vip.contains(address)) continue;
      return invalid_argument("found {} as an address of this server inside the VIP {}, expected another one",
                              address.to_string(), vip.to_string());
    }
  }
  sort_and_unique(wish.vips);
  sort_and_unique(wish.addresses);
  sort_and_unique(wish.interfaces);
  sort_and_unique(wish.sources);
  sort_and_unique(wish.gue_ports);
  return absl::OkStatus();
}

std::string encapsulation_names(const Wish& wish) {
  std::vector<std::string_view> names;
  if (wish.ipip) names.push_back("ipip");
  if (wish.gre) names.push_back("gre");
  if (wish.gue) names.push_back("gue");
  return names.empty() ? "l2" : fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace anypop::backend
