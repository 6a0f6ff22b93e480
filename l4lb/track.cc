// SPDX-License-Identifier: Apache-2.0
#include "track.h"

#include <algorithm>
#include <array>

#include "flow_sign.h"

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
    const bool always = tracking[lane.service[candidates.at[c]]].track == Track::kAlways;
    if (!always) {
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
std::uint16_t find_with_peers(const Case& flow, const WorkerState& state) {
  for (const FlowTable* peer : state.peers) {
    if (peer->empty() || !peer->may_hold(flow.key)) continue;
    if (const FlowTable::Found found = peer->find(flow.key, flow.now)) {
      const std::uint16_t backend = flow.snapshot.backend_of(flow.service, found.backend_id());
      if (backend != Snapshot::kNoBackend) return backend;
    }
  }
  return Snapshot::kNoBackend;
}

// The record of a living backend was found.
[[gnu::noinline]] Choice follow_record(const Case& flow, const FlowTable::Found& found, std::uint16_t backend) {
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

Choice choose_without_record(const Case& flow, const WorkerState& state) {
  if (!flow.opens() && !state.peers.empty()) {
    const std::uint16_t backend = find_with_peers(flow, state);
    if (backend != Snapshot::kNoBackend) {
      flow.flows.count_hits(1);
      if (flow.records() || (!flow.packet.follows && backend != flow.owner)) {
        flow.flows.insert(flow.key, flow.record_of(backend), flow.now);
      }
      return {backend, ChosenBy::kRecord};
    }
  }
  const bool stays = flow.open() && flow.previous != kNoPrevious && !flow.opens();
  const Choice choice = stays ? Choice{flow.previous, ChosenBy::kPreviousOwner} : Choice{flow.owner, ChosenBy::kSlot};
  // Nothing comes after a RST.
  if (flow.records() && flow.sign != FlowSign::kResets) {
    flow.flows.insert(flow.key, flow.record_of(choice.backend), flow.now);
  }
  return choice;
}

[[gnu::noinline]] Choice choose(const Case& flow, const WorkerState& state) {
  const FlowTable::Found found = flow.flows.find_own(flow.key, flow.now);
  if (found) [[likely]] {
    const std::uint16_t backend = flow.snapshot.backend_of(flow.service, found.backend_id());
    const bool over = found.closing() && flow.opens();
    if (backend != Snapshot::kNoBackend && !over) [[likely]]
      return follow_record(flow, found, backend);
    // Whoever had the flow is dead, and must not get it back when it returns; or another flow has begun.
    if (!flow.packet.follows) flow.flows.erase(flow.key, found);
  }
  return choose_without_record(flow, state);
}

// Most packets are in the middle of a flow: what choose() and follow_record() do for them, in few steps. kNoBackend: it
// is none of them, or has no such record.
std::uint16_t choose_midway(const Snapshot& snapshot, const ServiceTracking& service, std::uint64_t key,
                            std::uint16_t previous, std::uint16_t now, FlowTable& flows) {
  if (service.track != Track::kAlways && previous == kNoWindow) return Snapshot::kNoBackend;
  const FlowTable::Found found = flows.find_established(key, now);
  if (!found) [[unlikely]]
    return Snapshot::kNoBackend;
  const std::uint16_t backend = snapshot.backend_of(service, found.backend_id());
  if (backend != Snapshot::kNoBackend) [[likely]]
    flows.prolong(found, static_cast<std::uint16_t>(now + service.idle));
  return backend;
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
    const std::uint64_t key = lane.hash[i] ^ service.salt;
    candidates.at[c] = static_cast<std::uint8_t>(i);
    candidates.key[c] = key;
    candidates.previous[c] = &kClosed;
    if (service.track == Track::kAlways) {
      flows.prefetch(key);
    } else {
      flows.prefetch_filter(key);
      candidates.all_always = false;
    }
    if (service.previous == nullptr) continue;
    candidates.previous[c] = service.previous + slot_of(slot_hash[i], service.history_slots);
    __builtin_prefetch(candidates.previous[c]);
  }
  candidates.count = found;
}

bool must_track(const Snapshot& snapshot, const WorkerState& state) {
  return snapshot.tracks || !state.flows.empty() ||
         std::ranges::any_of(state.peers, [](const FlowTable* peer) { return !peer->empty(); });
}

template <class F>
void track(const Snapshot& snapshot, Worker& worker, Lane<F>& lane) {
  Candidates& candidates = lane.candidates;
  WorkerState& state = worker.state;
  if (!candidates.all_always) sift(snapshot, state, lane, candidates);
  const std::uint16_t now = FlowClock::units(worker.now_ms);
  const ServiceTracking* const tracking = snapshot.tracking.data();
  const ServiceEntry* const services = snapshot.services.data();
  std::uint64_t hits = 0;
  for (std::size_t c = 0, count = candidates.count; c < count; ++c) {
    const std::size_t i = candidates.at[c];
    Packet& packet = *lane.packet[i];
    const ServiceTracking& service = tracking[lane.service[i]];
    const FlowSign sign =
        packet.follows ? FlowSign::kGoesOn
                       : flow_sign<F>({packet.data, packet.length_bytes}, packet.ip_offset, lane.flow[i].protocol);
    std::uint16_t backend = Snapshot::kNoBackend;
    if (sign == FlowSign::kGoesOn && !packet.follows) [[likely]] {
      backend = choose_midway(snapshot, service, candidates.key[c], *candidates.previous[c], now, state.flows);
    }
    if (backend != Snapshot::kNoBackend) [[likely]] {
      ++hits;
      packet.chosen_by = ChosenBy::kRecord;
    } else {
      const Choice choice = choose({.snapshot = snapshot,
                                    .service = service,
                                    .packet = packet,
                                    .flows = state.flows,
                                    .key = candidates.key[c],
                                    .now = now,
                                    .owner = *lane.slot[i],
                                    .previous = *candidates.previous[c],
                                    .first_backend = services[lane.service[i]].first_backend,
                                    .sign = sign},
                                   state);
      packet.chosen_by = choice.by;
      backend = choice.backend;
    }
    lane.chosen[i] = backend;
    lane.slot[i] = &lane.chosen[i];
  }
  state.flows.count_hits(hits);
}

template void find_candidates<V4>(const Snapshot&, const FlowTable&, Lane<V4>&);
template void find_candidates<V6>(const Snapshot&, const FlowTable&, Lane<V6>&);
template void track<V4>(const Snapshot&, Worker&, Lane<V4>&);
template void track<V6>(const Snapshot&, Worker&, Lane<V6>&);

}  // namespace anypop::l4lb
