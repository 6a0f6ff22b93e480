// SPDX-License-Identifier: Apache-2.0
#include "track.h"

#include <algorithm>
#include <array>

#include "flow_start.h"

namespace anypop::l4lb {
namespace {

constexpr std::uint16_t kClosed = kNoWindow;  // where slots without a history point
const std::uint16_t kHalfOpenSpan = FlowClock::span(FlowTable::kHalfOpenMs);

// The flows of a lane that may have a record, or shall get one. Arrays side by side, valid up to `count`.
struct Candidates {
  std::size_t count = 0;
  std::array<std::uint8_t, kBurstMax> at;  // in the lane
  std::array<std::uint64_t, kBurstMax> key;
  std::array<const std::uint16_t*, kBurstMax> previous;  // of the slot; points to kClosed if it has no history
};

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
  std::uint32_t first_backend;  // of the service, in Snapshot::backends

  bool open() const { return previous != kNoWindow; }
  bool records() const { return !packet.follows && (open() || service.track == Track::kAlways); }
  template <class F>
  bool opens() const {
    return !packet.follows && opens_flow<F>({packet.data, packet.length_bytes}, packet.ip_offset);
  }
  FlowTable::Record record_of(std::uint16_t backend, bool half_open) const {
    return {.backend_id = snapshot.id_of_backend[first_backend + backend],
            .half_open = half_open,
            .expires = static_cast<std::uint16_t>(now + (half_open ? kHalfOpenSpan : service.idle))};
  }
};

struct Choice {
  std::uint16_t backend;
  ChosenBy by;
};

bool peers_may_hold(const WorkerState& state, std::uint64_t key) {
  return std::ranges::any_of(state.peers, [&](const FlowTable* peer) { return !peer->empty() && peer->may_hold(key); });
}

// Asks the cache for everything that says whether there is something to look up.
template <class F>
void find_candidates(const Snapshot& snapshot, std::span<const Packet> packets, const FlowTable& flows,
                     const Lane<F>& lane, Candidates& candidates) {
  const auto& slot_hash = snapshot.hashes_sources ? lane.slot_hash : lane.hash;
  for (std::size_t i = 0; i < lane.count; ++i) {
    const ServiceTracking& service = snapshot.tracking[lane.service[i]];
    if (service.track == Track::kNever) continue;
    if (!snapshot.quic.empty() && packets[lane.packet[i]].chosen_by == ChosenBy::kConnectionId) continue;
    const std::size_t c = candidates.count++;
    candidates.at[c] = static_cast<std::uint8_t>(i);
    candidates.key[c] = lane.hash[i] ^ service.salt;
    candidates.previous[c] = &kClosed;
    if (service.track == Track::kAlways) {
      flows.prefetch(candidates.key[c]);
    } else {
      flows.prefetch_filter(candidates.key[c]);
    }
    if (service.previous == nullptr) continue;
    candidates.previous[c] = service.previous + slot_of(slot_hash[i], service.history_slots);
    __builtin_prefetch(candidates.previous[c]);
  }
}

// Leaves those for which there is something to look up.
template <class F>
void sift(const Snapshot& snapshot, const WorkerState& state, const Lane<F>& lane, Candidates& candidates) {
  std::size_t kept = 0;
  for (std::size_t c = 0; c < candidates.count; ++c) {
    const std::uint64_t key = candidates.key[c];
    const bool always = snapshot.tracking[lane.service[candidates.at[c]]].track == Track::kAlways;
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
template <class F>
Choice follow_record(const Case& flow, const FlowTable::Found& found, std::uint16_t backend) {
  flow.flows.count_hit();
  const Choice choice{backend, ChosenBy::kRecord};
  if (flow.packet.follows) return choice;
  if (!flow.records() && backend == flow.owner) {
    flow.flows.erase(flow.key, found);
    return choice;
  }
  flow.flows.update(found, flow.record_of(backend, found.half_open() && flow.opens<F>()), flow.now);
  return choice;
}

template <class F>
Choice choose_without_record(const Case& flow, const WorkerState& state) {
  const bool opens = (flow.open() || flow.service.track == Track::kAlways || !state.peers.empty()) && flow.opens<F>();
  if (!opens && !state.peers.empty()) {
    const std::uint16_t backend = find_with_peers(flow, state);
    if (backend != Snapshot::kNoBackend) {
      flow.flows.count_hit();
      if (flow.records() || (!flow.packet.follows && backend != flow.owner)) {
        flow.flows.insert(flow.key, flow.record_of(backend, false), flow.now);
      }
      return {backend, ChosenBy::kRecord};
    }
  }
  const bool stays = flow.open() && flow.previous != kNoPrevious && !opens;
  const Choice choice = stays ? Choice{flow.previous, ChosenBy::kPreviousOwner} : Choice{flow.owner, ChosenBy::kSlot};
  if (flow.records()) flow.flows.insert(flow.key, flow.record_of(choice.backend, opens), flow.now);
  return choice;
}

template <class F>
Choice choose(const Case& flow, const WorkerState& state) {
  const FlowTable::Found found = flow.flows.find(flow.key, flow.now);
  if (found) {
    const std::uint16_t backend = flow.snapshot.backend_of(flow.service, found.backend_id());
    if (backend != Snapshot::kNoBackend) return follow_record<F>(flow, found, backend);
    // Whoever had the flow is dead, and must not get it back when it returns.
    if (!flow.packet.follows) flow.flows.erase(flow.key, found);
  }
  return choose_without_record<F>(flow, state);
}

}  // namespace

bool must_track(const Snapshot& snapshot, const WorkerState& state) {
  return snapshot.tracks || !state.flows.empty() ||
         std::ranges::any_of(state.peers, [](const FlowTable* peer) { return !peer->empty(); });
}

template <class F>
void track(const Snapshot& snapshot, std::span<Packet> packets, Worker& worker, Lane<F>& lane) {
  Candidates candidates;
  WorkerState& state = worker.state;
  find_candidates<F>(snapshot, packets, state.flows, lane, candidates);
  sift(snapshot, state, lane, candidates);
  const std::uint16_t now = FlowClock::units(worker.now_ms);
  for (std::size_t c = 0; c < candidates.count; ++c) {
    const std::size_t i = candidates.at[c];
    Packet& packet = packets[lane.packet[i]];
    const Case flow{.snapshot = snapshot,
                    .service = snapshot.tracking[lane.service[i]],
                    .packet = packet,
                    .flows = state.flows,
                    .key = candidates.key[c],
                    .now = now,
                    .owner = *lane.slot[i],
                    .previous = *candidates.previous[c],
                    .first_backend = snapshot.services[lane.service[i]].first_backend};
    const Choice choice = choose<F>(flow, state);
    packet.chosen_by = choice.by;
    lane.chosen[i] = choice.backend;
    lane.slot[i] = &lane.chosen[i];
  }
}

template void track<V4>(const Snapshot&, std::span<Packet>, Worker&, Lane<V4>&);
template void track<V6>(const Snapshot&, std::span<Packet>, Worker&, Lane<V6>&);

}  // namespace anypop::l4lb
