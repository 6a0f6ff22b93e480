// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include <algorithm>

#include "base/text.h"

namespace anypop::backend {
namespace {

// The levels are the kernel's (Documentation/networking/ip-sysctl.rst).
constexpr unsigned kSilent = 1;          // arp_ignore: answer only for the receiving interface's own addresses
constexpr unsigned kOwnAddressOnly = 2;  // arp_announce: never name the VIP as sender
constexpr unsigned kStrict = 1;          // rp_filter: the source must be reachable by the same interface
constexpr unsigned kLoose = 2;           // rp_filter: the source must be reachable, by whichever interface

// 2: and only to the same subnet; 3: not for addresses of scope host, as VIPs have; 8: for none. The others are
// reserved, and answer.
constexpr Rule kIgnoreRule{"arp_ignore", [](unsigned level) { return (level >= 1 && level <= 3) || level == 8; },
                           "1, 2, 3 or 8 (else it answers in ARP for the VIPs)"};
constexpr Rule kAnnounceRule{"arp_announce", [](unsigned level) { return level == kOwnAddressOnly; },
                             "2 (else it names a VIP as sender in ARP)"};
constexpr Rule kFilterRule{"rp_filter", [](unsigned level) { return level != kStrict; },
                           "0 or 2 (else clients' packets are dropped that arrive elsewhere than answers leave)"};

std::string conf(std::string_view interface, std::string_view key) {
  return fmt::format("net/ipv4/conf/{}/{}", interface, key);
}

absl::StatusOr<unsigned> read_level(System& system, const std::string& name) {
  const auto text = system.sysctl(name);
  if (!text.ok()) return text.status();
  const auto level = parse_number(*text, 0U, 100U);
  if (!level) return internal_error("{}: found '{}', expected a number", name, escaped(*text));
  return *level;
}

// The interfaces that have the addresses, each once.
absl::StatusOr<std::vector<std::string>> find_interfaces(System& system, const Wish& wish) {
  const auto all = system.addresses();
  if (!all.ok()) return all.status();
  std::vector<std::string> found;
  for (const IpAddress& wanted : wish.addresses) {
    const auto at = std::find_if(all->begin(), all->end(), [&](const auto& a) { return a.address == wanted; });
    if (at == all->end()) {
      return not_found("found no interface with {}, expected this server to have it", wanted.to_string());
    }
    if (std::find(found.begin(), found.end(), at->interface) == found.end()) found.push_back(at->interface);
  }
  return wish.interfaces.empty() ? found : wish.interfaces;
}

// One level of a sysctl that is to be `wanted`. What is recorded as "before" is what was there before the first
// install.
absl::Status plan_sysctl(System& system, const std::string& name, unsigned wanted, const Installed& old,
                         Installed& next) {
  const auto recorded =
      std::find_if(old.sysctls.begin(), old.sysctls.end(), [&](const auto& s) { return s.name == name; });
  if (recorded != old.sysctls.end()) {
    next.sysctls.push_back({name, recorded->before, fmt::format("{}", wanted)});
    return absl::OkStatus();
  }
  const auto now = system.sysctl(name);
  if (!now.ok()) return now.status();
  next.sysctls.push_back({name, *now, fmt::format("{}", wanted)});
  return absl::OkStatus();
}

bool recorded(const Installed& old, const std::string& name) {
  return std::any_of(old.sysctls.begin(), old.sysctls.end(), [&](const auto& s) { return s.name == name; });
}

// The kernel takes the larger of `all` and the interface's own, so a change of `all` holds for every interface.
absl::Status plan_arp(System& system, const Installed& old, Installed& next) {
  const std::string ignore = conf("all", "arp_ignore");
  const auto ignoring = read_level(system, ignore);
  if (!ignoring.ok()) return ignoring.status();
  if (!kIgnoreRule.met(*ignoring) || recorded(old, ignore)) {
    if (absl::Status status = plan_sysctl(system, ignore, kSilent, old, next); !status.ok()) return status;
  }
  const std::string announce = conf("all", "arp_announce");
  const auto announcing = read_level(system, announce);
  if (!announcing.ok()) return announcing.status();
  if (!kAnnounceRule.met(*announcing) || recorded(old, announce)) {
    return plan_sysctl(system, announce, kOwnAddressOnly, old, next);
  }
  return absl::OkStatus();
}

// A client's packet arrives where the balancer is, which need not be where the answer leaves. With a strict filter the
// kernel would drop it.
absl::Status plan_reverse_path(System& system, const std::string& interface, const Installed& old, Installed& next) {
  const auto level = level_in_force(system, interface, kFilterRule.key);
  if (!level.ok()) return level.status();
  const std::string name = conf(interface, kFilterRule.key);
  if (kFilterRule.met(*level) && !recorded(old, name)) return absl::OkStatus();
  return plan_sysctl(system, name, kLoose, old, next);
}

absl::Status plan_attachment(System& system, const std::string& interface, const Installed& old, Installed& next) {
  const auto hook = system.hook(interface);
  if (!hook.ok()) return hook.status();
  if (!hook->other.empty()) {
    return already_exists(
        "'{}' has a tc program of somebody else, '{}', at our place; expected none; remedy: 'tc filter del dev {} "
        "ingress' if nobody needs it",
        interface, escaped(hook->other), interface);
  }
  const auto before = std::find_if(old.attachments.begin(), old.attachments.end(),
                                   [&](const auto& a) { return a.interface == interface; });
  const bool made_before = before != old.attachments.end() && before->made_qdisc;
  next.attachments.push_back({interface, made_before || !hook->has_qdisc});
  return absl::OkStatus();
}

absl::Status plan_vip(System& system, const IpPrefix& prefix, const Installed& old, Installed& next) {
  const Vip vip{prefix, next.wish.device};
  const bool ours = std::find(old.vips.begin(), old.vips.end(), vip) != old.vips.end();
  const auto there = system.has_vip(vip);
  if (!there.ok()) return there.status();
  if (ours || !*there) next.vips.push_back(vip);
  return absl::OkStatus();
}

}  // namespace

std::vector<Rule> rules(const Wish& wish) {
  if (!wish.has_ipv4_vip()) return {kFilterRule};
  return {kFilterRule, kIgnoreRule, kAnnounceRule};
}

absl::StatusOr<unsigned> level_in_force(System& system, const std::string& interface, std::string_view key) {
  const auto everywhere = read_level(system, conf("all", key));
  if (!everywhere.ok()) return everywhere.status();
  const auto here = read_level(system, conf(interface, key));
  if (!here.ok()) return here.status();
  return std::max(*everywhere, *here);
}

absl::StatusOr<Installed> plan(System& system, const Wish& wish, const Installed& old) {
  Installed next{wish, {}, {}, {}};
  auto interfaces = find_interfaces(system, wish);
  if (!interfaces.ok()) return interfaces.status();
  next.wish.interfaces = *std::move(interfaces);
  for (const std::string& interface : next.wish.interfaces) {
    if (interface == wish.device) {
      return invalid_argument(
          "found '{}' as the device of the VIPs and as an interface that packets arrive on, expected another device "
          "such as lo: an address there would be answered for in ARP and ND",
          interface);
    }
  }
  for (const std::string& interface : next.wish.interfaces) {
    if (absl::Status status = plan_reverse_path(system, interface, old, next); !status.ok()) return status;
    if (!wish.tunnels()) continue;
    if (absl::Status status = plan_attachment(system, interface, old, next); !status.ok()) return status;
  }
  if (wish.has_ipv4_vip()) {
    if (absl::Status status = plan_arp(system, old, next); !status.ok()) return status;
  }
  for (const IpPrefix& vip : wish.vips) {
    if (absl::Status status = plan_vip(system, vip, old, next); !status.ok()) return status;
  }
  return next;
}

}  // namespace anypop::backend
