// SPDX-License-Identifier: Apache-2.0
#include "track.h"

#include <algorithm>
#include <array>
#include <span>

#include "flow_sign.h"
#include "flow_table_inline.h"

namespace anypop::l4lb {
namespace {

constexpr std::uint16_t kClosed = kNoWindow;  // where slots without a history point
constexpr std::uint16_t kHalfOpenSpan = FlowClock::span(FlowTable::kHalfOpenMs);
constexpr std::uint16_t kClosingSpan = FlowClock::span(kClosingMs);

// One flow that is looked up.
struct Case {
  const Snapshot& snapshot;
  const ServiceTracking& service;
  const Packet& packet;
  FlowTable& flows;
  std::uint64_t key;
  std::uint16_t now;  // FlowClock units
  std::uint16_t owner;
  std::uint16_t previous;
  std::uint32_t first_backend;  // of the service, in Snapshot::id_of_backend
  FlowSign sign;                // kGoesOn for what follows

  bool open() const { return previous != kNoWindow; }
  bool records() const { return !packet.follows && (open() || service.track == Track::kAlways); }
  bool opens() const { return sign == FlowSign::kOpens; }
  std::uint16_t closing() const { return std::min(service.idle, kClosingSpan); }

  // A new record.
  FlowTable::Record record_of(std::uint16_t backend) const {
    return record_of(backend, opens(), sign == FlowSign::kCloses);
  }
  FlowTable::Record record_of(std::uint16_t backend, bool half_open, bool closes) const {
    std::uint16_t span = closes || sign == FlowSign::kResets ? closing() : service.idle;
    if (half_open) span = std::min(span, kHalfOpenSpan);
    return {.backend_id = snapshot.id_of_backend[first_backend + backend],
            .half_open = half_open,
            .closing = closes,
            .expires = static_cast<std::uint16_t>(now + span)};
  }
};

struct Choice {
  std::uint16_t backend;
  ChosenBy by;
};

bool peers_may_hold(const WorkerState& state, std::uint64_t key) {
  return std::ranges::any_of(state.peers, [&](const FlowTable* peer) { return !peer->empty() && peer->may_hold(key); });
}

// Leaves those for which there is something to look up.
template <class F>
void sift(const Snapshot& snapshot, const WorkerState& state, const Lane<F>& lane, Candidates& candidates) {
  const ServiceTracking* const tracking = snapshot.tracking.data();
  std::size_t kept = 0;
  for (std::size_t c = 0, count = candidates.count; c < count; ++c) {
    const std::uint64_t key = candidates.key[c];
    if (!tracking[lane.service[candidates.at[c]]].eager) {
      const bool look = *candidates.previous[c] != kNoWindow || state.flows.may_hold(key) || peers_may_hold(state, key);
      if (!look) continue;
      state.flows.prefetch(key);
    }
    candidates.at[kept] = candidates.at[c];
    candidates.key[kept] = key;
    candidates.previous[kept] = candidates.previous[c];
    ++kept;
  }
  candidates.count = kept;
}

// A record that another worker made: the flow was steered there before, or this packet only follows.
[[gnu::noinline]] std::uint16_t find_with_peers(const Snapshot& snapshot, const ServiceTracking& service,
                                                std::uint64_t key, std::uint16_t now, const WorkerState& state) {
  for (const FlowTable* peer : state.peers) {
    if (peer->empty() || !peer->may_hold(key)) continue;
    if (const FlowTable::Found found = peer->find(key, now)) {
      const std::uint16_t backend = snapshot.backend_of(service, found.backend_id());
      if (backend != Snapshot::kNoBackend) return backend;
    }
  }
  return Snapshot::kNoBackend;
}

// The record of a living backend was found.
[[gnu::always_inline]] inline Choice follow_record(const Case& flow, const FlowTable::Found& found,
                                                   std::uint16_t backend) {
  flow.flows.count_hits(1);
  const Choice choice{backend, ChosenBy::kRecord};
  if (flow.packet.follows) return choice;
  if (!flow.records() && backend == flow.owner) {
    flow.flows.erase(flow.key, found);
    return choice;
  }
  // A RST confirms nothing.
  const bool half_open = found.half_open() && (flow.opens() || flow.sign == FlowSign::kResets);
  const bool closes = found.closing() || flow.sign == FlowSign::kCloses;
  flow.flows.update(found, flow.record_of(backend, half_open, closes), flow.now);
  return choice;
}

[[gnu::always_inline]] inline Choice choose_without_record(const Case& flow, const WorkerState& state,
                                                           const FlowTable::Look& look) {
  if (!flow.opens() && !state.peers.empty()) {
    const std::uint16_t backend = find_with_peers(flow.snapshot, flow.service, flow.key, flow.now, state);
    if (backend != Snapshot::kNoBackend) {
      flow.flows.count_hits(1);
      if (flow.records() || (!flow.packet.follows && backend != flow.owner)) {
        flow.flows.insert_inline(flow.key, flow.record_of(backend), flow.now, look);
      }
      return {backend, ChosenBy::kRecord};
    }
  }
  const bool stays = flow.open() && flow.previous != kNoPrevious && !flow.opens();
  const Choice choice = stays ? Choice{flow.previous, ChosenBy::kPreviousOwner} : Choice{flow.owner, ChosenBy::kSlot};
  // Nothing comes after a RST.
  if (flow.records() && flow.sign != FlowSign::kResets) {
    flow.flows.insert_inline(flow.key, flow.record_of(choice.backend), flow.now, look);
  }
  return choice;
}

[[gnu::always_inline]] inline Choice choose(const Case& flow, const WorkerState& state) {
  FlowTable::Look look = flow.flows.look_inline(flow.key, flow.now);
  if (look.found) {
    const std::uint16_t backend = flow.snapshot.backend_of(flow.service, look.found.backend_id());
    const bool over = look.found.closing() && flow.opens();
    if (backend != Snapshot::kNoBackend && !over) return follow_record(flow, look.found, backend);
    // Whoever had the flow is dead, and must not get it back when it returns; or another flow has begun.
    if (!flow.packet.follows) {
      flow.flows.erase(flow.key, look.found);
      look = flow.flows.look(flow.key, flow.now);
    }
  }
  return choose_without_record(flow, state, look);
}

// Which flows of a lane are looked up, by numbers of their own, and what decides about them besides the record: all of
// them, or candidates.
template <class F>
struct AllFlows {
  const Snapshot& snapshot;
  Lane<F>& lane;

  std::size_t count() const { return lane.count; }
  std::size_t at(std::size_t c) const { return c; }
  std::uint64_t key(const ServiceTracking& service, std::size_t c) const { return record_key(service, lane.hash[c]); }
  std::uint16_t previous(std::size_t) const { return kNoWindow; }
  static bool records(const ServiceTracking&, std::size_t) { return true; }
  // The record has not decided: its slot will be asked.
  void miss(std::size_t c) const {
    const ServiceEntry& service = snapshot.services.data()[lane.service[c]];
    lane.slot[c] = service.slots + slot_of(lane.hash[c], service.slot_count);
    __builtin_prefetch(lane.slot[c]);
  }
  void hit(std::size_t c, std::uint16_t backend) const { lane.chosen[c] = backend; }
  void set(std::size_t c, const Choice& choice) const {
    lane.chosen[c] = choice.backend;
    lane.packet[c]->chosen_by = choice.by;
  }
};

template <class F>
struct CandidatesOf {
  Lane<F>& lane;

  std::size_t count() const { return lane.candidates.count; }
  std::size_t at(std::size_t c) const { return lane.candidates.at[c]; }
  std::uint64_t key(const ServiceTracking&, std::size_t c) const { return lane.candidates.key[c]; }
  std::uint16_t previous(std::size_t c) const { return *lane.candidates.previous[c]; }
  bool records(const ServiceTracking& service, std::size_t c) const {
    return service.track == Track::kAlways || previous(c) != kNoWindow;
  }
  void miss(std::size_t) const {}
  void hit(std::size_t c, std::uint16_t backend) const { set(c, {backend, ChosenBy::kRecord}); }
  void set(std::size_t c, const Choice& choice) const {
    lane.chosen[at(c)] = choice.backend;
    lane.slot[at(c)] = &lane.chosen[at(c)];
    lane.packet[at(c)]->chosen_by = choice.by;
  }
};

// Flows that choose_midway() has not decided about.
using Misses = std::array<std::uint8_t, kBurstMax>;

template <class F>
FlowSign sign_of(const Packet& packet, std::uint8_t flags) {
  if (flags != kUnknownFlags) return sign_of_flags(flags);
  return packet.follows ? FlowSign::kGoesOn : flow_sign<F>({packet.data, packet.length_bytes}, packet.ip_offset);
}

// Most packets are in the middle of a flow: what choose() and follow_record() do for them, in few steps. kNoBackend:
// the flow has no such record.
[[gnu::always_inline]] inline std::uint16_t choose_midway(const Snapshot& snapshot, const ServiceTracking& service,
                                                          FlowTable::Finder flows, std::uint64_t key,
                                                          std::uint16_t now) {
  const FlowTable::Found found = flows.find_established(key);
  if (!found) [[unlikely]]
    return Snapshot::kNoBackend;
  const std::uint16_t backend = snapshot.backend_of(service, found.backend_id());
  const auto expires = static_cast<std::uint16_t>(now + service.idle);
  if (found.expires() == expires) [[likely]]
    return backend;
  if (found.expired(now)) [[unlikely]]
    return Snapshot::kNoBackend;
  if (backend != Snapshot::kNoBackend) FlowTable::prolong(found, expires);
  return backend;
}

bool may_reset(std::uint8_t flags, wire::IpProtocol protocol) {
  return (flags & kTcpRst) != 0 && protocol == wire::IpProtocol::kTcp;
}

// Leaves in `misses` what is not for choose_midway(), and returns how many they are.
template <class F, class Flows>
[[gnu::always_inline]] inline std::size_t choose_most(const Snapshot& snapshot, const Worker& worker,
                                                      const Lane<F>& lane, const Flows& flows, Misses& misses) {
  const std::uint16_t now = FlowClock::units(worker.now_ms);
  const ServiceTracking* const tracking = snapshot.tracking.data();
  const FlowTable::Finder finder = worker.state.flows.finder();
  std::size_t missed = 0;
  const auto miss = [&](std::size_t c) {
    flows.miss(c);
    misses[missed++] = static_cast<std::uint8_t>(c);
  };
  for (std::size_t c = 0, count = flows.count(); c < count; ++c) {
    const std::size_t i = flows.at(c);
    const ServiceTracking& service = tracking[lane.service[i]];
    if (lane.tcp_flags[i] == kTcpAck && flows.records(service, c)) [[likely]] {
      const std::uint16_t backend = choose_midway(snapshot, service, finder, flows.key(service, c), now);
      if (backend != Snapshot::kNoBackend) [[likely]] {
        flows.hit(c, backend);
        continue;
      }
    }
    miss(c);
    // What follows a RST takes back what that does, so it must come later.
    if (may_reset(lane.tcp_flags[i], lane.flow[i].protocol)) [[unlikely]] {
      while (++c < count) miss(c);
    }
  }
  return missed;
}

template <class F, class Flows>
[[gnu::always_inline]] inline void choose_rest(const Snapshot& snapshot, Worker& worker, const Lane<F>& lane,
                                               const Flows& flows, std::span<const std::uint8_t> misses) {
  const std::uint16_t now = FlowClock::units(worker.now_ms);
  const ServiceTracking* const tracking = snapshot.tracking.data();
  for (const std::size_t c : misses) {
    const std::size_t i = flows.at(c);
    const std::uint16_t service = lane.service[i];
    const Choice choice = choose({.snapshot = snapshot,
                                  .service = tracking[service],
                                  .packet = *lane.packet[i],
                                  .flows = worker.state.flows,
                                  .key = flows.key(tracking[service], c),
                                  .now = now,
                                  .owner = *lane.slot[i],
                                  .previous = flows.previous(c),
                                  .first_backend = snapshot.services.data()[service].first_backend,
                                  .sign = sign_of<F>(*lane.packet[i], lane.tcp_flags[i])},
                                 worker.state);
    flows.set(c, choice);
  }
}

template <class F, class Flows>
[[gnu::always_inline]] inline void choose_all(const Snapshot& snapshot, Worker& worker, const Lane<F>& lane,
                                              const Flows& flows) {
  Misses misses;
  const std::size_t missed = choose_most(snapshot, worker, lane, flows, misses);
  worker.state.flows.count_hits(flows.count() - missed);
  choose_rest(snapshot, worker, lane, flows, std::span(misses).first(missed));
}

}  // namespace

template <class F>
void find_candidates(const Snapshot& snapshot, const FlowTable& flows, Lane<F>& lane) {
  Candidates& candidates = lane.candidates;
  const auto& slot_hash = snapshot.hashes_sources ? lane.slot_hash : lane.hash;
  const ServiceTracking* const tracking = snapshot.tracking.data();
  const bool quic = !snapshot.quic.empty();
  std::size_t found = candidates.count;
  for (std::size_t i = lane.settled, count = lane.count; i < count; ++i) {
    const ServiceTracking& service = tracking[lane.service[i]];
    if (service.track == Track::kNever) continue;
    if (quic && lane.packet[i]->chosen_by == ChosenBy::kConnectionId) continue;
    const std::size_t c = found++;
    const std::uint64_t key = record_key(service, lane.hash[i]);
    candidates.at[c] = static_cast<std::uint8_t>(i);
    candidates.key[c] = key;
    candidates.previous[c] = &kClosed;
    if (service.eager) {
      flows.prefetch(key);
    } else {
      flows.prefetch_filter(key);
      candidates.all_eager = false;
    }
    if (service.previous == nullptr) continue;
    candidates.previous[c] = service.previous + slot_of(slot_hash[i], service.history_slots);
    __builtin_prefetch(candidates.previous[c]);
  }
  candidates.count = found;
}

Lookup lookup_of(const Snapshot& snapshot, const WorkerState& state) {
  if (snapshot.always) return Lookup::kAll;
  const bool some = snapshot.tracks || !state.flows.empty() ||
                    std::ranges::any_of(state.peers, [](const FlowTable* peer) { return !peer->empty(); });
  return some ? Lookup::kSome : Lookup::kNothing;
}

template <class F>
void track(const Snapshot& snapshot, Worker& worker, Lane<F>& lane) {
  if (!lane.candidates.all_eager) sift(snapshot, worker.state, lane, lane.candidates);
  choose_all(snapshot, worker, lane, CandidatesOf<F>{lane});
}

template <class F>
void track_all(const Snapshot& snapshot, Worker& worker, Lane<F>& lane) {
  choose_all(snapshot, worker, lane, AllFlows<F>{snapshot, lane});
}

template void find_candidates<V4>(const Snapshot&, const FlowTable&, Lane<V4>&);
template void find_candidates<V6>(const Snapshot&, const FlowTable&, Lane<V6>&);
template void track<V4>(const Snapshot&, Worker&, Lane<V4>&);
template void track<V6>(const Snapshot&, Worker&, Lane<V6>&);
template void track_all<V4>(const Snapshot&, Worker&, Lane<V4>&);
template void track_all<V6>(const Snapshot&, Worker&, Lane<V6>&);

}  // namespace anypop::l4lb
