// SPDX-License-Identifier: Apache-2.0
#include "consistency.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include <fmt/format.h>

#include "l4lb/pipeline.h"
#include "l4lb_testing/packet_builder.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;

constexpr std::uint64_t kStepMs = 50;
constexpr std::uint64_t kLongest = 1U << 14U;  // steps that a flow may be silent: the size of the calendar
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kFin = 0x11;
constexpr std::array<std::uint8_t, 16> kKey{7};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::uint64_t around(std::uint64_t mean) {
    return static_cast<std::uint64_t>(std::exponential_distribution<>(1.0 / static_cast<double>(mean))(engine_));
  }
  std::uint64_t word() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

struct Backend {
  std::size_t number = 0;  // never used again
  bool lives = true;
  unsigned permille = kWholeWeight;
  unsigned weight = 1;
  bool ramps = false;
};

// What a client sends: an Initial as RFC 9000 sections 14.1 and 17.2.2 want it, or something with a short header.
Frame quic_datagram(bool initial) {
  if (!initial) return Frame(40, std::byte{0x40});
  Frame datagram(1200);
  datagram[0] = std::byte{0xc0};
  datagram[4] = std::byte{1};
  return datagram;
}

// The PoP: who is there, and what happens to them.
class Pop {
 public:
  Pop(const ConsistencyPlan& plan, Dice& dice) : plan_(plan), dice_(dice) {
    for (std::uint32_t i = 0; i < plan.backends; ++i) add();
  }

  // What is due at `now`. Has anything changed?
  bool step(std::uint64_t now_ms) {
    const std::uint64_t before = changes_;
    if (now_ms >= next_change_) {
      change();
      // A third of the changes come close upon another.
      next_change_ = now_ms + (dice_.one_in(3) ? dice_.below(3000) : dice_.around(plan_.mean_change_ms));
    }
    if (now_ms >= next_ramp_) {
      next_ramp_ = now_ms + 3000;
      ramp();
    }
    return changes_ != before;
  }

  std::vector<ServiceConfig> services() const {
    std::vector<ServiceConfig> services;
    for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
      for (const char* vip : {"198.51.100.1", "2001:db8:53::1"}) {
        services.push_back({.name = fmt::format("{}{}", vip, protocol == Protocol::kTcp ? "" : " quic"),
                            .vip = *IpAddress::parse(vip),
                            .protocol = protocol,
                            .port = 80,
                            .table_size = plan_.table_size});
        for (const Backend& backend : backends_) {
          services.back().backends.push_back({.name = fmt::format("b{}", backend.number),
                                              .address = *IpAddress::parse("10.0.0.1"),
                                              .weight = backend.weight});
        }
      }
    }
    return services;
  }
  SnapshotInput input(std::uint64_t now_ms) const {
    SnapshotInput input{.now_ms = now_ms};
    std::vector<BackendState> states;
    for (const Backend& backend : backends_) {
      states.push_back({.healthy = backend.lives,
                        .next_hop_mac = MacAddress({2, 0, 0, 0, 0, 1}),
                        .weight_permille = backend.permille});
    }
    input.backends = {states, states, states, states};
    return input;
  }
  std::size_t number_of(std::uint16_t backend) const { return backends_[backend].number; }
  std::uint32_t deaths(std::size_t number) const { return deaths_[number]; }
  bool lives(std::size_t number) const {
    return std::ranges::any_of(backends_, [&](const Backend& b) { return b.number == number && b.lives; });
  }
  std::uint64_t changes() const { return changes_; }

 private:
  void add() {
    const auto at = backends_.begin() + static_cast<std::ptrdiff_t>(dice_.below(backends_.size() + 1));
    backends_.insert(at, {.number = deaths_.size()});
    deaths_.push_back(0);
  }
  bool serves(const Backend& backend) const { return backend.lives && backend.permille > 0; }

  void change() {
    Backend& backend = backends_[dice_.below(backends_.size())];
    const auto serving =
        static_cast<std::size_t>(std::ranges::count_if(backends_, [&](const auto& b) { return serves(b); }));
    const bool spare = serving > plan_.backends / 2 || !serves(backend);
    ++changes_;
    switch (dice_.below(8)) {
      case 0: return add();
      case 1:
        if (!spare || backends_.size() <= plan_.backends / 2) return;
        ++deaths_[backend.number];
        backends_.erase(backends_.begin() + (&backend - backends_.data()));
        return;
      case 2: backend.weight = static_cast<unsigned>(1 + dice_.below(4)); return;
      case 3:
      case 4:
        if (!backend.lives || !spare) return;
        backend.permille = backend.permille == 0 ? kWholeWeight : 0;
        return;
      default: return fail_or_return(backend, spare);
    }
  }

  void fail_or_return(Backend& backend, bool spare) {
    if (backend.lives && !spare) return;
    if (backend.lives) ++deaths_[backend.number];
    backend.lives = !backend.lives;
    backend.ramps = backend.lives && dice_.one_in(2);
    backend.permille = backend.ramps ? 100 : kWholeWeight;
  }

  void ramp() {
    for (Backend& backend : backends_) {
      if (!backend.ramps || !backend.lives || backend.permille == 0) continue;
      backend.permille = std::min(backend.permille + 100, kWholeWeight);
      backend.ramps = backend.permille < kWholeWeight;
      ++changes_;
    }
  }

  const ConsistencyPlan& plan_;
  Dice& dice_;
  std::vector<Backend> backends_;      // in the order of the configuration
  std::vector<std::uint32_t> deaths_;  // of each number
  std::uint64_t next_change_ = 30'000;
  std::uint64_t next_ramp_ = 0;
  std::uint64_t changes_ = 0;
};

// The real engine.
class RealBalancer {
 public:
  RealBalancer(const ConsistencyPlan& plan, Track track)
      : track_(track), engine_{.flow_records = plan.flow_records}, builder_({}, kKey, engine_), state_(engine_) {}

  void follow(const Pop& pop, std::uint64_t now_ms) {
    std::vector<ServiceConfig> services = pop.services();
    for (ServiceConfig& service : services) service.track = track_;
    builder_.update_config(services, kKey, engine_);
    snapshot_ = builder_.build(pop.input(now_ms));
    counters_ = std::make_unique<Counters>(services);
  }
  bool due(std::uint64_t now_ms) const { return builder_.next_change_ms().value_or(now_ms + 1) <= now_ms; }
  void process(std::span<Packet> packets, std::uint64_t now_ms) {
    process_burst(*snapshot_, packets, static_cast<std::uint32_t>(now_ms), state_, *counters_);
  }
  FlowTableStats stats() const { return state_.flows.stats(); }
  std::uint32_t window_ms() const { return engine_.flow_window_ms; }

 private:
  Track track_;
  EngineConfig engine_;
  SnapshotBuilder builder_;
  std::shared_ptr<const Snapshot> snapshot_;
  WorkerState state_;
  std::unique_ptr<Counters> counters_;
};

// A record for every flow, bounded.
class FullTable {
 public:
  explicit FullTable(std::uint32_t records) : buckets_(std::max(records / 8, 1U)) {}

  // The backend that is recorded if it lives; else `hashed` is recorded.
  std::size_t choose(std::uint64_t flow, std::size_t hashed, const Pop& pop) {
    auto& bucket = buckets_[flow * 0x9e3779b97f4a7c15ULL % buckets_.size()];
    ++clock_;
    auto place = std::ranges::find(bucket, flow, &Entry::flow);
    if (place != bucket.end() && pop.lives(place->backend)) {
      place->used = clock_;
      return place->backend;
    }
    if (place == bucket.end()) place = std::ranges::min_element(bucket, {}, &Entry::used);
    *place = {flow, hashed, clock_};
    return hashed;
  }

 private:
  struct Entry {
    std::uint64_t flow = 0;
    std::size_t backend = 0;
    std::uint64_t used = 0;
  };
  std::vector<std::array<Entry, 8>> buckets_;
  std::uint64_t clock_ = 0;
};

struct Flow {
  std::uint64_t source = 0;  // tells flows apart: address and port
  bool v4 = true;
  bool quic = false;
  std::uint64_t ends_ms = 0;
  unsigned packets = 0;
  unsigned last = 0;  // of its two last packets: the FIN, and the ACK of the server's
  std::array<std::size_t, 3> home{};
  std::array<std::uint32_t, 3> deaths{};  // of the home, when the flow began
  std::array<bool, 3> over{};             // broken, or its backend has died
};

class Simulation {
 public:
  explicit Simulation(const ConsistencyPlan& plan)
      : plan_(plan),
        dice_(plan.seed),
        pop_(plan, dice_),
        engine_(plan, Track::kChanges),
        maglev_(plan, Track::kNever),
        full_(plan.flow_records),
        calendar_(kLongest) {
    const std::array<const char*, 2> vips = {"198.51.100.1", "2001:db8:53::1"};
    for (const std::uint8_t flags : {kSyn, kAck, kFin}) {
      for (const char* vip : vips) {
        templates_.push_back(eth().ip({.destination = vip}).tcp({.destination = 80, .flags = flags}).build());
      }
    }
    for (const bool opens : {true, false, false}) {
      for (const char* vip : vips) {
        templates_.push_back(eth().ip({.destination = vip}).udp({.destination = 80}).raw(quic_datagram(opens)).build());
      }
    }
    follow();
  }

  ConsistencyResult run() {
    for (; now_ms_ < std::uint64_t{plan_.seconds} * 1000; now_ms_ += kStepMs) {
      if (pop_.step(now_ms_)) follow();
      if (engine_.due(now_ms_)) engine_.follow(pop_, now_ms_);
      for (std::uint64_t i = due(plan_.flows_per_second); i > 0; --i) begin_flow();
      for (std::uint64_t i = due(plan_.flood_per_second); i > 0; --i) send_packet(nullptr);
      const std::vector<std::size_t> speaking = std::exchange(calendar_[now_ms_ / kStepMs % kLongest], {});
      for (const std::size_t flow : speaking) send_packet(&flows_[flow]);
      flush();
      result_.most_records = std::max(result_.most_records, engine_.stats().half_open + engine_.stats().established);
    }
    result_.changes = pop_.changes();
    result_.evicted_established = engine_.stats().evicted_established;
    return result_;
  }

 private:
  void follow() {
    engine_.follow(pop_, now_ms_);
    maglev_.follow(pop_, now_ms_);
  }

  std::uint64_t due(std::uint64_t per_second) {
    return per_second * (now_ms_ + kStepMs) / 1000 - per_second * now_ms_ / 1000;
  }

  void begin_flow() {
    ++result_.flows;
    std::size_t at = flows_.size();
    if (free_.empty()) {
      flows_.emplace_back();
    } else {
      at = free_.back();
      free_.pop_back();
    }
    flows_[at] = {.source = dice_.word(), .v4 = dice_.one_in(2), .ends_ms = now_ms_ + dice_.around(plan_.mean_life_ms)};
    flows_[at].quic = plan_.quic && dice_.one_in(2);
    send_packet(&flows_[at]);
  }

  // nullptr: of the flood.
  void send_packet(Flow* flow) {
    const std::uint64_t source = flow != nullptr ? flow->source : dice_.word();
    const bool v4 = flow != nullptr ? flow->v4 : dice_.one_in(2);
    const bool quic = flow != nullptr ? flow->quic : plan_.quic && dice_.one_in(2);
    const bool opens = flow == nullptr || flow->packets == 0;
    const bool closes = flow != nullptr && flow->last == 1;
    Frame frame = templates_[(opens ? 0U : closes ? 4U : 2U) + (v4 ? 0U : 1U) + (quic ? 6U : 0U)];
    std::memcpy(frame.data() + (v4 ? 26 : 22 + 8), &source, v4 ? 4 : 8);
    const auto port = static_cast<std::uint16_t>(source >> 48U);
    std::memcpy(frame.data() + (v4 ? 34 : 54), &port, sizeof(port));
    frames_.push_back(std::move(frame));
    senders_.push_back(flow == nullptr ? kFlood : static_cast<std::size_t>(flow - flows_.data()));
    sources_.push_back(source);
    if (frames_.size() == kBurstMax) flush();
  }

  std::vector<Packet> packets_of(std::vector<Frame>& frames) const {
    std::vector<Packet> packets;
    for (Frame& frame : frames) {
      packets.push_back({.data = frame.data(), .length_bytes = static_cast<std::uint32_t>(frame.size())});
    }
    return packets;
  }

  void flush() {
    std::vector<Frame> copies = frames_;
    std::vector<Packet> by_engine = packets_of(frames_);
    std::vector<Packet> by_maglev = packets_of(copies);
    engine_.process(by_engine, now_ms_);
    maglev_.process(by_maglev, now_ms_);
    for (std::size_t i = 0; i < by_engine.size(); ++i) {
      const std::size_t hashed = pop_.number_of(by_maglev[i].backend);
      const std::size_t recorded = full_.choose(sources_[i], hashed, pop_);
      if (senders_[i] != kFlood) answer(senders_[i], {pop_.number_of(by_engine[i].backend), hashed, recorded});
    }
    frames_.clear();
    senders_.clear();
    sources_.clear();
  }

  // What each balancer did with a packet of the flow; and when the flow speaks again.
  void answer(std::size_t at, const std::array<std::size_t, 3>& backends) {
    Flow& flow = flows_[at];
    ++result_.packets;
    for (std::size_t b = 0; b < backends.size(); ++b) {
      if (flow.packets == 0) {
        flow.home[b] = backends[b];
        flow.deaths[b] = pop_.deaths(backends[b]);
      }
      if (flow.over[b]) continue;
      const bool died = pop_.deaths(flow.home[b]) != flow.deaths[b];
      flow.over[b] = died || backends[b] != flow.home[b];
      if (flow.over[b] && !died) ++result_.broken[b];
    }
    ++flow.packets;
    const bool ended = std::ranges::all_of(flow.over, [](bool over) { return over; });
    const bool over = flow.packets > 2 && now_ms_ >= flow.ends_ms;
    if (ended || flow.last == 2) {
      free_.push_back(at);
      return;
    }
    if (over) ++flow.last;
    // A handshake ends within a round trip, and so does a connection.
    const bool soon = flow.packets == 1 || flow.last == 2;
    const std::uint64_t steps = soon ? 1 + dice_.below(6) : silence();
    calendar_[(now_ms_ / kStepMs + steps) % kLongest].push_back(at);
  }

  // In steps.
  std::uint64_t silence() {
    const std::uint64_t longest = engine_.window_ms() / 10 * 9;
    const std::uint64_t ms = dice_.one_in(10) ? dice_.below(longest) : std::min(dice_.around(4000), longest);
    return std::max<std::uint64_t>(ms / kStepMs, 1);
  }

  static constexpr std::size_t kFlood = SIZE_MAX;
  const ConsistencyPlan& plan_;
  Dice dice_;
  Pop pop_;
  RealBalancer engine_;
  RealBalancer maglev_;
  FullTable full_;
  std::vector<Frame> templates_;
  std::vector<Flow> flows_;
  std::vector<std::size_t> free_;
  std::vector<std::vector<std::size_t>> calendar_;  // by step: flows that speak
  std::vector<Frame> frames_;                       // not yet processed
  std::vector<std::size_t> senders_;
  std::vector<std::uint64_t> sources_;
  std::uint64_t now_ms_ = 0;
  ConsistencyResult result_;
};

}  // namespace

ConsistencyResult simulate_consistency(const ConsistencyPlan& plan) { return Simulation(plan).run(); }

}  // namespace anypop::l4lb
