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

// The flow as its service hashes it.
template <class F>
std::uint64_t hash_of(const Snapshot& snapshot, std::uint16_t service, Flow<F> flow) {
  const std::uint8_t bits = snapshot.source_bits[service];
  if (bits != kWholeFlow) flow = {.source = first_bits(flow.source, bits)};
  std::uint64_t hash = 0;
  snapshot.hash.hash(std::span(&flow, 1), std::span(&hash, 1));
  return hash;
}

template <class F>
void note_slot(const Snapshot& snapshot, const FlowQuestion& question, Explanation& out) {
  const ServiceEntry& service = snapshot.services[out.service];
  if (service.slots == nullptr) return;
  const Flow<F> flow{.source = to_wire<F>(question.source),
                     .destination = to_wire<F>(question.destination),
                     .source_port = wire::be16(question.source_port),
                     .destination_port = wire::be16(question.destination_port),
                     .protocol = static_cast<wire::IpProtocol>(question.protocol)};
  out.slots = service.slot_count;
  out.slot = slot_of(hash_of<F>(snapshot, out.service, flow), service.slot_count);
  out.owner = service.slots[out.slot];
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

absl::StatusOr<Explanation> explain(const Snapshot& snapshot, const FlowQuestion& question, std::uint32_t now_ms) {
  auto memory = make_packet(question);
  if (!memory.ok()) return memory.status();
  Packet packet{.data = memory->data() + kHeadroomBytes,
                .length_bytes = static_cast<std::uint32_t>(memory->size()) - kHeadroomBytes,
                .headroom_bytes = kHeadroomBytes};
  WorkerState state = scratch_state();
  Counters counters(snapshot);
  process_burst(snapshot, std::span(&packet, 1), now_ms, state, counters);

  Explanation out{
      .verdict = packet.verdict, .decision = decision_of(packet), .service = packet.service, .backend = packet.backend};
  if (out.service != kNone) {
    question.source.family() == Family::kV4 ? note_slot<V4>(snapshot, question, out)
                                            : note_slot<V6>(snapshot, question, out);
  }
  if (leaves(out.verdict)) note_leaving(packet, kHeadroomBytes - packet.headroom_bytes, out);
  return out;
}

}  // namespace anypop::l4lb
