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
    std::vector<std::size_t> counts = {1, kThousand, kMillion};
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
    for (const Family family : {Family::kV4, Family::kV6})
      add("forwarding", fmt::format("ipip, {}, a VLAN tag", short_name(family)), family).traffic.vlan_tag = true;
  }

  void backends() {
    const std::vector<std::size_t> counts =
        full_ ? std::vector<std::size_t>{1, 10, 100, kThousand, 4096} : std::vector<std::size_t>{1, 100, 4096};
    for (const Family family : families()) {
      for (const std::size_t count : counts) {
        add("backends", fmt::format("{} {} backend{}", short_name(family), count, count == 1 ? "" : "s"), family)
            .services.backends = count;
      }
    }
  }

  void services() {
    const std::vector<std::size_t> counts =
        full_ ? std::vector<std::size_t>{1, 10, 100, 500, kThousand} : std::vector<std::size_t>{1, 500};
    for (const Family family : families()) {
      for (const std::size_t count : counts) {
        for (const bool own : {false, true}) {
          if (count == 1 && own) continue;
          Case& one = add("services",
                          count == 1 ? fmt::format("{} 1 service", short_name(family))
                                     : fmt::format("{} {} services, {}", short_name(family), count,
                                                   own ? "a pool each" : "one pool"),
                          family);
          one.traffic.services = one.services.services = count;
          one.services.own_pools = own;
        }
      }
    }
  }

  void stages() {
    for (const Family family : {Family::kV4, Family::kV6}) {
      const auto stage = [&](const char* name) -> Case& {
        Case& one = add("stages", fmt::format("{} {}", short_name(family), name), family);
        one.by_stage = true;
        return one;
      };
      stage("l2").services.forwarding = Forwarding::kL2;
      stage("ipip");
      stage("ipip, always").services.track = Track::kAlways;
      stage("ipip, every slot moved").change = Change::kEveryone;
    }
  }

  void others() {
    for (const Family family : {Family::kV4, Family::kV6}) {
      const auto way = [&](const char* name, Situation situation) -> Case& {
        Case& one = add("other ways out", fmt::format("{} {}", short_name(family), name), family);
        one.situation = situation;
        return one;
      };
      way("for no VIP", Situation::kNoVip).traffic.to_vips = false;
      way("no healthy backend", Situation::kNobody);
      way("no next hop", Situation::kNoMac);
    }
  }

  void tracking(Family family) {
    std::vector<std::size_t> counts = {kThousand, kMillion};
    if (full_ && family == Family::kV4) counts = {1, kThousand, 100 * kThousand, kMillion, 10 * kMillion};
    for (const std::size_t count : counts) {
      const auto add_tracking = [&](std::string_view name, Track track, Change change) {
        Case& one = add(family == Family::kV4 ? "tracking" : "tracking in IPv6",
                        fmt::format("{}, {} flow{}", name, count_text(count), count == 1 ? "" : "s"), family);
        one.traffic.flows = count;
        one.services.track = track;
        one.change = change;
      };
      add_tracking("never", Track::kNever, Change::kNone);
      add_tracking("always", Track::kAlways, Change::kNone);
      for (const Change change : {Change::kFailure, Change::kReturn, Change::kEveryone})
        add_tracking(change_name(change), Track::kChanges, change);
    }
  }

  void new_flows() {
    for (const Family family : families()) {
      for (const l4lb_bench::Kind kind : {l4lb_bench::Kind::kSyn, l4lb_bench::Kind::kUdp}) {
        Case one = add("new flows",
                       fmt::format("{} {}", short_name(family),
                                   kind == l4lb_bench::Kind::kSyn ? "SYN flood" : "UDP, a flow a packet"),
                       family);
        one.traffic.kind = kind;
        one.situation = Situation::kFresh;
        if (kind == l4lb_bench::Kind::kUdp) one.services.protocol = Protocol::kUdp;
        cases_.back() = one;
        Case& always = cases_.emplace_back(one);
        always.name += ", always";
        always.services.track = Track::kAlways;
        Case& change = cases_.emplace_back(one);
        change.name += fmt::format(", {}", change_name(Change::kEveryone));
        change.change = Change::kEveryone;
      }
    }
  }

 private:
  Case& add(std::string group, std::string name, Family family) {
    Case one{.group = std::move(group), .name = std::move(name)};
    one.traffic = {.family = family, .flows = full_ ? kMillion : 100 * kThousand};
    one.services = {.family = family, .forwarding = Forwarding::kIpip, .outer = family};
    return cases_.emplace_back(std::move(one));
  }

  std::vector<Family> families() const {
    return full_ ? std::vector<Family>{Family::kV4, Family::kV6} : std::vector<Family>{Family::kV4};
  }

  bool full_;
  std::vector<Case> cases_;
};

}  // namespace

std::string_view change_name(Change change) {
  switch (change) {
    case Change::kNone: return "no change";
    case Change::kFailure: return "one of ten failed";
    case Change::kReturn: return "one of ten came back";
    case Change::kEveryone: return "every slot moved";
  }
  return "";
}

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

bool same_but_name(const Case& a, const Case& b) {
  return a.traffic == b.traffic && a.services == b.services && a.situation == b.situation && a.change == b.change &&
         a.by_stage == b.by_stage;
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
