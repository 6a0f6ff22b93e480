// SPDX-License-Identifier: Apache-2.0
#include "l4lb/explain.h"

#include <algorithm>
#include <array>

#include "parse.h"
#include "snapshot_layout.h"

namespace anypop::l4lb {
namespace {

// Small: one packet goes through it.
WorkerState scratch_state() { return WorkerState(EngineConfig{.fragment_records = 4, .flow_records = 8}); }

template <class F>
std::uint64_t hash_of(const Snapshot& snapshot, const Flow<F>& flow) {
  std::uint64_t hash = 0;
  snapshot.hash.hash(std::span(&flow, 1), std::span(&hash, 1));
  return hash;
}

template <class F>
Flow<F> flow_of(const FlowQuestion& question) {
  return {.source = to_wire<F>(question.source),
          .destination = to_wire<F>(question.destination),
          .source_port = wire::be16(question.source_port),
          .destination_port = wire::be16(question.destination_port),
          .protocol = static_cast<wire::IpProtocol>(question.protocol)};
}

template <class F>
void note_slot(const Snapshot& snapshot, Flow<F> flow, Explanation& out) {
  const ServiceEntry& service = snapshot.services[out.service];
  if (service.slots == nullptr) return;
  const std::uint8_t bits = snapshot.source_bits[out.service];
  if (bits != kWholeFlow) flow = {.source = first_bits(flow.source, bits)};
  const std::uint64_t hash = hash_of(snapshot, flow);
  out.slots = service.slot_count;
  out.slot = slot_of(hash, service.slot_count);
  out.owner = service.slots[out.slot];
  const ServiceTracking& tracking = snapshot.tracking[out.service];
  if (tracking.previous == nullptr) return;
  const std::uint16_t previous = tracking.previous[slot_of(hash, tracking.history_slots)];
  out.window = previous != kNoWindow;
  if (out.window && previous != kNoPrevious) out.previous_owner = previous;
}

// The records of the flow in state.peers; the first that is a worker's is copied to `state` as its own.
template <class F>
void note_records(const Snapshot& snapshot, const Flow<F>& flow, std::uint32_t now_ms, std::size_t workers,
                  WorkerState& state, Explanation& out) {
  const ServiceTracking& tracking = snapshot.tracking[out.service];
  const std::uint64_t key = hash_of(snapshot, flow) ^ tracking.salt;
  const std::uint16_t now = FlowClock::units(now_ms);
  for (std::size_t i = 0; i < state.peers.size(); ++i) {
    const FlowTable::Found found = state.peers[i]->find(key, now);
    if (!found) continue;
    if (out.records.empty() && i < workers) {
      state.flows.insert(key,
                         {.backend_id = found.backend_id(),
                          .half_open = found.half_open(),
                          .closing = found.closing(),
                          .expires = found.expires()},
                         now);
    }
    const std::uint16_t backend = snapshot.backend_of(tracking, found.backend_id());
    out.records.push_back({.table = i,
                           .backend = backend == Snapshot::kNoBackend ? kNone : backend,
                           .half_open = found.half_open(),
                           .closing = found.closing(),
                           .expires_ms = static_cast<std::uint16_t>(found.expires() - now) * 1024U});
  }
}

// Which service the packet is for, by the pipeline; nothing else of the result counts yet.
Packet send(const Snapshot& snapshot, std::vector<std::byte>& memory, std::uint32_t now_ms, WorkerState& state) {
  Packet packet{.data = memory.data() + kHeadroomBytes,
                .length_bytes = static_cast<std::uint32_t>(memory.size()) - kHeadroomBytes,
                .headroom_bytes = kHeadroomBytes};
  Counters counters(snapshot);
  process_burst(snapshot, std::span(&packet, 1), now_ms, state, counters);
  return packet;
}

template <class F>
void look_up(const Snapshot& snapshot, const FlowQuestion& question, std::uint32_t now_ms, std::size_t workers,
             WorkerState& state, Explanation& out) {
  const Flow<F> flow = flow_of<F>(question);
  note_slot<F>(snapshot, flow, out);
  note_records<F>(snapshot, flow, now_ms, workers, state, out);
}

void note_leaving(const Packet& packet, std::uint32_t grown_bytes, Explanation& out) {
  const std::span<const std::byte> ip(packet.data + packet.ip_offset, packet.length_bytes - packet.ip_offset);
  out.packet.assign(ip.begin(), ip.end());
  if (packet.verdict != Verdict::kForward) return;
  out.outer_header.assign(ip.begin(), ip.begin() + grown_bytes);
  std::array<std::uint8_t, 6> mac{};
  std::memcpy(mac.data(), packet.data, mac.size());
  out.next_hop = MacAddress(mac);
}

}  // namespace

std::string_view decision_name(Decision decision) {
  switch (decision) {
    case Decision::kNobody: return "nobody";
    case Decision::kHashed: return "hashed";
    case Decision::kTracked: return "tracked";
    case Decision::kPreviousOwner: return "previous_owner";
    case Decision::kConnectionId: return "connection_id";
  }
  return "nobody";
}

Decision decision_of(const Packet& packet) {
  switch (packet.chosen_by) {
    case ChosenBy::kNobody: return Decision::kNobody;
    case ChosenBy::kSlot: return Decision::kHashed;
    case ChosenBy::kRecord: return Decision::kTracked;
    case ChosenBy::kPreviousOwner: return Decision::kPreviousOwner;
    case ChosenBy::kConnectionId: return Decision::kConnectionId;
  }
  return Decision::kNobody;
}

absl::StatusOr<Explanation> explain(const Snapshot& snapshot, const FlowQuestion& question, std::uint32_t now_ms,
                                    std::span<const FlowTable* const> tables,
                                    std::span<const FlowTable* const> left_over) {
  auto memory = make_packet(question);
  if (!memory.ok()) return memory.status();
  // Once to learn the service, whose records must be there the second time.
  std::vector<std::byte> first = *memory;
  WorkerState nobody = scratch_state();
  WorkerState state = scratch_state();
  state.peers.assign(tables.begin(), tables.end());
  state.peers.insert(state.peers.end(), left_over.begin(), left_over.end());
  Explanation out{.service = send(snapshot, first, now_ms, nobody).service};
  if (out.service != kNone) {
    question.source.family() == Family::kV4 ? look_up<V4>(snapshot, question, now_ms, tables.size(), state, out)
                                            : look_up<V6>(snapshot, question, now_ms, tables.size(), state, out);
  }
  const Packet packet = send(snapshot, *memory, now_ms, state);
  out.verdict = packet.verdict;
  out.decision = decision_of(packet);
  out.backend = packet.backend;
  if (leaves(out.verdict)) note_leaving(packet, kHeadroomBytes - packet.headroom_bytes, out);
  return out;
}

}  // namespace anypop::l4lb
