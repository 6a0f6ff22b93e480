// SPDX-License-Identifier: Apache-2.0
#include "anypop_bench/cases.h"

#include <utility>

#include <fmt/format.h>

namespace anypop::bench {
namespace {

constexpr std::size_t kThousand = 1000;
constexpr std::size_t kMillion = 1'000'000;

std::string count_text(std::size_t count) {
  if (count >= kMillion) return fmt::format("{}M", count / kMillion);
  if (count >= kThousand) return fmt::format("{}k", count / kThousand);
  return fmt::format("{}", count);
}

std::string_view short_name(Family family) { return family == Family::kV4 ? "v4" : "v6"; }

// Where nothing else is said: ipip to ten backends of one service, as a PoP of several racks has it.
class Cases {
 public:
  explicit Cases(bool full) : full_(full) {}

  std::vector<Case> take() { return std::move(cases_); }

  void flows() {
    std::vector<std::size_t> counts = {kThousand, 100 * kThousand, kMillion};
    if (full_) counts = {1, kThousand, 100 * kThousand, kMillion, 10 * kMillion};
    for (const std::size_t count : counts) {
      for (const Family family : {Family::kV4, Family::kV6}) {
        for (const bool zipf : {false, true}) {
          if (zipf && count == 1) continue;
          if (zipf && !full_ && (family == Family::kV6 || count != kMillion)) continue;
          Case& one = add("flows",
                          fmt::format("{} {} flow{}{}", short_name(family), count_text(count), count == 1 ? "" : "s",
                                      zipf ? ", Zipf" : ""),
                          family);
          one.traffic.flows = count;
          one.traffic.zipf = zipf;
        }
      }
    }
  }

  void encapsulations() {
    for (const Forwarding forwarding : {Forwarding::kL2, Forwarding::kIpip, Forwarding::kGre, Forwarding::kGue}) {
      for (const Family inner : {Family::kV4, Family::kV6}) {
        for (const Family outer : {Family::kV4, Family::kV6}) {
          const bool direct = forwarding == Forwarding::kL2;
          if (inner != outer && (direct || !full_)) continue;
          Case& one = add(
              "forwarding",
              direct ? fmt::format("l2, {}", short_name(inner))
                     : fmt::format("{}, {} in {}", forwarding_name(forwarding), short_name(inner), short_name(outer)),
              inner);
          one.services.forwarding = forwarding;
          one.services.outer = outer;
        }
      }
    }
  }

  void backends() {
    const std::vector<std::size_t> counts =
        full_ ? std::vector<std::size_t>{1, 10, 100, kThousand, 4096} : std::vector<std::size_t>{1, 100, 4096};
    for (const std::size_t count : counts)
      add("backends", fmt::format("{} backend{}", count, count == 1 ? "" : "s"), Family::kV4).services.backends = count;
  }

  void services() {
    const std::vector<std::size_t> counts =
        full_ ? std::vector<std::size_t>{1, 10, 100, 500, kThousand} : std::vector<std::size_t>{1, 500};
    for (const std::size_t count : counts) {
      for (const bool own : {false, true}) {
        if (count == 1 && own) continue;
        Case& one =
            add("services",
                count == 1 ? "1 service" : fmt::format("{} services, {}", count, own ? "a pool each" : "one pool"),
                Family::kV4);
        one.traffic.services = one.services.services = count;
        one.services.own_pools = own;
      }
    }
  }

  // Packets that leave the pipeline one stage later each.
  void stages() {
    for (const Family family : {Family::kV4, Family::kV6}) {
      const auto stage = [&](const char* name, Situation situation) -> Case& {
        Case& one = add("stages", fmt::format("{} {}", short_name(family), name), family);
        one.situation = situation;
        return one;
      };
      stage("to find the service", Situation::kNobody);
      stage("to find the backend", Situation::kNoMac);
      stage("to write the MACs", Situation::kSteady).services.forwarding = Forwarding::kL2;
      stage("to write an outer header", Situation::kSteady);
    }
  }

  void others() {
    for (const Family family : {Family::kV4, Family::kV6}) {
      Case& one = add("other ways out", fmt::format("{} for no VIP", short_name(family)), family);
      one.situation = Situation::kNoVip;
      one.traffic.to_vips = false;
    }
  }

  void tracking(Family family) {
    std::vector<std::size_t> counts = {kThousand, kMillion};
    if (full_ && family == Family::kV4) counts = {1, kThousand, 100 * kThousand, kMillion, 10 * kMillion};
    for (const std::size_t count : counts) {
      for (const Track track : {Track::kNever, Track::kAlways, Track::kChanges}) {
        const bool change = track == Track::kChanges;
        Case& one = add(
            family == Family::kV4 ? "tracking" : "tracking in IPv6",
            fmt::format("{}, {} flow{}", change ? "during a change" : (track == Track::kAlways ? "always" : "never"),
                        count_text(count), count == 1 ? "" : "s"),
            family);
        one.traffic.flows = count;
        one.services.track = track;
        one.change = change;
      }
    }
  }

  void new_flows() {
    for (const l4lb_bench::Kind kind : {l4lb_bench::Kind::kSyn, l4lb_bench::Kind::kUdp}) {
      Case& one = add("new flows", kind == l4lb_bench::Kind::kSyn ? "SYN flood" : "UDP, a flow a packet", Family::kV4);
      one.traffic.kind = kind;
      one.situation = Situation::kFresh;
      if (kind == l4lb_bench::Kind::kUdp) one.services.protocol = Protocol::kUdp;
      Case always = one;
      always.name = "always: " + one.name;
      always.services.track = Track::kAlways;
      Case change = one;
      change.name = "during a change: " + one.name;
      change.change = true;
      cases_.push_back(std::move(always));
      cases_.push_back(std::move(change));
    }
  }

 private:
  Case& add(std::string group, std::string name, Family family) {
    Case one{.group = std::move(group), .name = std::move(name)};
    one.traffic = {.family = family, .flows = full_ ? kMillion : 100 * kThousand};
    one.services = {.family = family, .forwarding = Forwarding::kIpip, .outer = family};
    return cases_.emplace_back(std::move(one));
  }

  bool full_;
  std::vector<Case> cases_;
};

}  // namespace

std::string_view situation_name(Situation situation) {
  switch (situation) {
    case Situation::kSteady: return "steady";
    case Situation::kFresh: return "fresh";
    case Situation::kNoVip: return "no_vip";
    case Situation::kNobody: return "nobody";
    case Situation::kNoMac: return "no_mac";
  }
  return "";
}

l4lb::Verdict expected_verdict(const Case& one) {
  switch (one.situation) {
    case Situation::kNoVip: return l4lb::Verdict::kPassNotVip;
    case Situation::kNobody: return l4lb::Verdict::kDropNoBackend;
    case Situation::kNoMac: return l4lb::Verdict::kDropNextHopUnresolved;
    case Situation::kSteady:
    case Situation::kFresh: break;
  }
  return l4lb::Verdict::kForward;
}

std::vector<Case> make_cases(bool full) {
  Cases cases(full);
  cases.flows();
  cases.tracking(Family::kV4);
  if (full) cases.tracking(Family::kV6);
  cases.encapsulations();
  cases.backends();
  cases.services();
  cases.stages();
  cases.new_flows();
  cases.others();
  return cases.take();
}

}  // namespace anypop::bench
