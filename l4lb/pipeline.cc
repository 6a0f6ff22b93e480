// SPDX-License-Identifier: Apache-2.0
// Theory of operation. A burst goes through stages, one loop each: what one stage needs, the stage before has asked the
// cache for, so that the memory latencies of a burst overlap instead of adding up. The stages up to the slots take the
// burst in parts, the others as a whole: while one part is parsed, what the part before has asked for arrives.
//
//   parse     → flows, sorted into one lane per address family (enter_lanes.h)     prefetch: home in the service table
//               (judge: later fragments and ICMP errors become the flows they belong to; echo requests are answered)
//   slots     → keyed hash, service, Maglev slot; who has no service leaves      prefetch: the slot
//               (follow_connection_ids: the backend that a QUIC connection ID names, where a service wants that)
//   track     → backend of flows that a change would have moved    prefetch: filter and history, then the record
//               (only while there may be any: track.h. Where every flow has a record, slots come later, for those
//               without one)
//   forward   → backend, outer header, MAC addresses, counters; or an ICMP error to the sender
//
// Probes of the monitor take the stages parse, service and forward too; their source address stands for
// the stages between (probe_path.h).
//
// A packet leaves its lane as soon as it has a verdict; parse has none of them enter that is not a whole flow. The
// lanes hold the family in their type, so no later stage asks for it again.
//
// The TTL (hop limit) stays as it is. A router must lower it because loops of routers are possible; here the next hop
// is the backend that owns the VIP, which consumes the packet: it is a bridge's step, not a router's. Traceroute, GTSM
// (RFC 5082) and both checksums then see what they would see without a balancer.
#include "l4lb/pipeline.h"

#include <algorithm>
#include <array>

#include "enter_lanes.h"
#include "lane.h"
#include "parse.h"
#include "reply.h"
#include "rewrite.h"
#include "snapshot_layout.h"
#include "stage_clock.h"
#include "track.h"

namespace anypop::l4lb {
namespace {

// A burst is parsed and looked up in parts, so that what one part waits for comes while the next one is at work.
constexpr std::size_t kPart = 32;
// The same while flows are looked up, or many services: what they wait for comes from further away, so that smaller
// parts pay.
constexpr std::size_t kSmallPart = 16;
// So many backends stay in the first-level cache, with all that is looked up of them.
constexpr std::size_t kNearBackends = 128;

// No service, or nobody to serve.
template <class F>
[[gnu::noinline]] void turn_away(const Snapshot& snapshot, const Flow<F>& flow, std::uint16_t service, Packet& packet) {
  packet.chosen_by = ChosenBy::kNobody;
  packet.service = service;
  if (service != kNone) {
    packet.verdict = Verdict::kDropNoBackend;
  } else {
    packet.verdict =
        snapshot.services_of<F>().has_vip(flow.destination) ? Verdict::kDropNoService : Verdict::kPassNotVip;
  }
}

// An address that is the monitor's, but not from the monitor.
template <class F>
[[gnu::noinline]] void drop_reserved(const Snapshot& snapshot, Lane<F>& lane) {
  const ProbeSources<F>& reserved = snapshot.probes->of<F>();
  std::size_t kept = lane.settled;
  for (std::size_t i = kept; i < lane.count; ++i) {
    const Flow<F>& flow = lane.flow[i];
    if (reserved.contains(flow.source) && snapshot.services_of<F>().has_vip(flow.destination)) [[unlikely]] {
      lane.packet[i]->verdict = Verdict::kDropReservedSource;
      lane.packet[i]->chosen_by = ChosenBy::kNobody;
      continue;
    }
    if (kept != i) {
      lane.packet[kept] = lane.packet[i];
      lane.flow[kept] = flow;
      lane.key[kept] = lane.key[i];
      lane.home[kept] = lane.home[i];
      lane.tcp_flags[kept] = lane.tcp_flags[i];
    }
    ++kept;
  }
  lane.count = kept;
}

// The service of the flow at `i`, which takes the place `kept` in the lane. False: it has none, or nobody to serve it.
// `ask` is told the service, its number, the flow's hash and the place: it asks for what will say the backend.
template <class F, class Ask>
[[gnu::always_inline]] inline bool find_service(const Snapshot& snapshot, const ServiceEntry* services, const Ask& ask,
                                                std::size_t i, std::size_t kept, Lane<F>& lane) {
  const auto* const home = lane.home[i];
  std::uint16_t index = home->service;
  if (home->key != lane.key[i]) [[unlikely]] {
    index = snapshot.services_of<F>().find_further(home, lane.key[i]);
    if (index == kNone) return turn_away<F>(snapshot, lane.flow[i], kNone, *lane.packet[i]), false;
  }
  const ServiceEntry& service = services[index];
  if (service.slots == nullptr) [[unlikely]]
    return turn_away<F>(snapshot, lane.flow[i], index, *lane.packet[i]), false;
  ask(service, index, lane.hash[i], kept);
  lane.service[kept] = index;
  return true;
}

// The keyed hash of each flow.
template <class F>
[[gnu::always_inline]] inline void hash_flows(const Snapshot& snapshot, Lane<F>& lane) {
  const std::size_t count = lane.count - lane.settled;
  snapshot.hash.hash(std::span(lane.flow).subspan(lane.settled, count),
                     std::span(lane.hash).subspan(lane.settled, count));
}

// The service of each flow. Moves what stays to the front of the lane.
template <class F, class Ask>
[[gnu::always_inline]] inline void find_services(const Snapshot& snapshot, const Ask& ask, Lane<F>& lane) {
  const std::size_t count = lane.count;
  const std::size_t first = lane.settled;
  const ServiceEntry* const services = snapshot.services.data();
  std::size_t i = first;
  while (i < count && find_service(snapshot, services, ask, i, i, lane)) ++i;
  std::size_t kept = i;
  for (++i; i < count; ++i) {
    if (!find_service(snapshot, services, ask, i, kept, lane)) continue;
    lane.packet[kept] = lane.packet[i];
    lane.flow[kept] = lane.flow[i];
    lane.hash[kept] = lane.hash[i];
    lane.tcp_flags[kept] = lane.tcp_flags[i];
    ++kept;
  }
  lane.count = kept;
}

// Service and slot of each flow.
template <class F>
[[gnu::always_inline]] inline void find_slots(const Snapshot& snapshot, Lane<F>& lane) {
  const auto ask = [&lane](const ServiceEntry& service, std::uint16_t, std::uint64_t hash, std::size_t at) {
    const std::uint16_t* const slot = service.slots + slot_of(hash, service.slot_count);
    __builtin_prefetch(slot);
    lane.slot[at] = slot;
  };
  find_services(snapshot, ask, lane);
}

// The service of each flow, where all of them are looked up.
template <class F>
[[gnu::always_inline]] inline void find_records(const Snapshot& snapshot, const FlowTable& flows, Lane<F>& lane) {
  const auto ask = [tracking = snapshot.tracking.data(), records = flows.finder()](
                       const ServiceEntry&, std::uint16_t service, std::uint64_t hash, std::size_t) {
    records.prefetch(record_key(tracking[service], hash));
  };
  find_services(snapshot, ask, lane);
}

// Other slots for those services that do not hash the whole flow.
template <class F>
[[gnu::noinline]] void find_slots_by_source(const Snapshot& snapshot, Lane<F>& lane) {
  std::array<Flow<F>, kPart> reduced;
  const std::size_t first = lane.settled;
  for (std::size_t i = first; i < lane.count; ++i) {
    const std::uint8_t bits = snapshot.source_bits[lane.service[i]];
    const Flow<F>& flow = lane.flow[i];
    reduced[i - first] = bits == kWholeFlow ? flow : Flow<F>{.source = first_bits(flow.source, bits)};
  }
  const std::size_t count = lane.count - first;
  snapshot.hash.hash(std::span(reduced).first(count), std::span(lane.slot_hash).subspan(first, count));
  for (std::size_t i = first; i < lane.count; ++i) {
    const ServiceEntry& service = snapshot.services[lane.service[i]];
    lane.slot[i] = service.slots + slot_of(lane.slot_hash[i], service.slot_count);
    __builtin_prefetch(lane.slot[i]);
  }
}

// A packet whose QUIC connection ID names a living backend gets a slot of that backend alone.
template <class F>
[[gnu::noinline]] void follow_connection_ids(const Snapshot& snapshot, Lane<F>& lane) {
  for (std::size_t i = lane.settled; i < lane.count; ++i) {
    const QuicRoutes& routes = snapshot.quic[lane.service[i]];
    Packet& packet = *lane.packet[i];
    if (!routes.any() || packet.follows) continue;
    const auto datagram = udp_payload<F>({packet.data, packet.length_bytes}, packet.ip_offset);
    const std::uint16_t* const backend = routes.find(datagram);
    if (backend == nullptr) continue;
    lane.slot[i] = backend;
    packet.chosen_by = ChosenBy::kConnectionId;
  }
}

// The packet does not fit its tunnel: its sender is told.
template <class F>
[[gnu::noinline]] Verdict refuse_too_big(const Adjacency& adjacency, Worker& worker, Packet& packet) {
  // No errors about errors, nor about later fragments: RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e).
  if (packet.follows) return Verdict::kDropTooBig;
  return reply_too_big<F>(packet.ip_offset, adjacency.inner_max_bytes, worker.now_ms, worker.state.too_big, packet);
}

// Where the backend of a flow stands: in its slot (or what lane.slot points to instead), or, if no slots were looked
// up, in what was chosen.
struct InSlot {
  template <class F>
  static std::uint16_t backend(const Lane<F>& lane, std::size_t i) {
    return *lane.slot[i];
  }
};
struct Chosen {
  template <class F>
  static std::uint16_t backend(const Lane<F>& lane, std::size_t i) {
    return lane.chosen[i];
  }
};

// Gives each packet to its backend, of which `count_traffic` is told, with the packet's bytes. Returns how many leave
// that way.
template <class Where, class F, class Count>
[[gnu::always_inline]] inline std::size_t forward(const Snapshot& snapshot, const Lane<F>& lane, Worker& worker,
                                                  const Count& count_traffic) {
  const ServiceEntry* const services = snapshot.services.data();
  const std::uint32_t* const adjacency_of = snapshot.adjacency_of.data();
  const Adjacency* const adjacencies = snapshot.adjacencies.data();
  const std::size_t count = lane.count;
  std::size_t others = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Packet& packet = *lane.packet[i];
    const std::uint16_t within = Where::backend(lane, i);
    const ServiceEntry& service = services[lane.service[i]];
    const Adjacency& adjacency = adjacencies[adjacency_of[service.first_adjacency + within]];
    packet.service = lane.service[i];
    packet.backend = within;
    const Verdict verdict = send_by_inline<F>(adjacency, static_cast<std::uint32_t>(lane.hash[i]), packet);
    if (verdict != Verdict::kForward) [[unlikely]] {
      packet.verdict = verdict == Verdict::kDropTooBig ? refuse_too_big<F>(adjacency, worker, packet) : verdict;
      ++others;
      continue;
    }
    count_traffic(service.first_backend + within, packet.length_bytes);
  }
  return count - others;
}

// Asks for what forward() will read and write of backends that are too many to stay near.
template <class Where, class F>
[[gnu::noinline]] void prefetch_backends(const Snapshot& snapshot, const Lane<F>& lane,
                                         const Counters::ByBackend& traffic) {
  for (std::size_t i = 0, count = lane.count; i < count; ++i) {
    const ServiceEntry& service = snapshot.services[lane.service[i]];
    const std::uint16_t within = Where::backend(lane, i);
    __builtin_prefetch(&snapshot.adjacencies[snapshot.adjacency_of[service.first_adjacency + within]]);
    traffic.prefetch(service.first_backend + within);
  }
}

// What has entered the lane since the last time gets its service and slot.
template <class F, class Clock>
[[gnu::always_inline]] inline void look_up(const Snapshot& snapshot, Lookup lookup, const Worker& worker, Lane<F>& lane,
                                           Clock& clock) {
  if (lane.settled == lane.count) return;
  if (snapshot.probes->of<F>().any()) drop_reserved(snapshot, lane);
  hash_flows(snapshot, lane);
  clock.end_of(&StageTicks::hash);
  if (lookup == Lookup::kAll) {
    find_records(snapshot, worker.state.flows, lane);
  } else {
    find_slots(snapshot, lane);
    if (snapshot.hashes_sources) find_slots_by_source(snapshot, lane);
    if (!snapshot.quic.empty()) follow_connection_ids(snapshot, lane);
  }
  clock.end_of(&StageTicks::slot);
  if (lookup == Lookup::kSome) find_candidates(snapshot, worker.state.flows, lane);
  lane.settled = lane.count;
  clock.end_of(&StageTicks::track);
}

template <class Where, class F>
[[gnu::always_inline]] inline std::size_t forward_and_count(const Snapshot& snapshot, const Lane<F>& lane,
                                                            Worker& worker, Counters& counters) {
  const Counters::ByBackend traffic = counters.by_backend();
  if (snapshot.adjacencies.size() > kNearBackends) prefetch_backends<Where>(snapshot, lane, traffic);
  return forward<Where>(snapshot, lane, worker,
                        [traffic](std::uint32_t backend, std::uint32_t bytes) { traffic.add(backend, bytes); });
}

template <class F, class Clock>
[[gnu::always_inline]] inline std::size_t track_and_forward(const Snapshot& snapshot, Lookup lookup, Lane<F>& lane,
                                                            Worker& worker, Counters& counters, Clock& clock) {
  if (lane.count == 0) return 0;
  if (lookup == Lookup::kAll) {
    track_all(snapshot, worker, lane);
    clock.end_of(&StageTicks::track);
    return forward_and_count<Chosen>(snapshot, lane, worker, counters);
  }
  if (lookup == Lookup::kSome) track(snapshot, worker, lane);
  clock.end_of(&StageTicks::track);
  return forward_and_count<InSlot>(snapshot, lane, worker, counters);
}

// A probe goes to the backend that its source address names, whatever the backend's health or weight.
template <class F>
void find_probed(const Snapshot& snapshot, Lane<F>& lane) {
  const ServiceTable<F>& services = snapshot.services_of<F>();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < lane.count; ++i) {
    Packet& packet = *lane.packet[i];
    const Flow<F>& flow = lane.flow[i];
    packet.chosen_by = ChosenBy::kNobody;
    packet.service = services.find(lane.home[i], lane.key[i]);
    if (packet.service == kNone) {
      turn_away<F>(snapshot, flow, kNone, packet);
      continue;
    }
    const std::uint16_t* const backend = snapshot.probes->of<F>().find(packet.service, flow.source);
    if (backend == nullptr) {
      packet.verdict = Verdict::kDropProbeUnknown;
      continue;
    }
    lane.service[kept] = packet.service;
    lane.packet[kept] = &packet;
    lane.slot[kept] = backend;
    if (kept != i) lane.flow[kept] = flow;
    ++kept;
  }
  lane.count = kept;
}

template <class F>
void process_probe_lane(const Snapshot& snapshot, Lane<F>& lane, Worker& worker) {
  find_probed(snapshot, lane);
  snapshot.hash.hash(std::span(lane.flow).first(lane.count), std::span(lane.hash).first(lane.count));
  forward<InSlot>(snapshot, lane, worker, [](std::uint32_t, std::uint32_t) {});  // no client's traffic
  for (std::size_t i = 0; i < lane.count; ++i) {
    Packet& packet = *lane.packet[i];
    if (packet.verdict == Verdict::kForward) packet.verdict = Verdict::kForwardProbe;
  }
}

template <class Clock>
void process_at_most_a_burst(const Snapshot& snapshot, std::span<Packet> packets, Worker& worker, Counters& counters,
                             Clock clock) {
  Lane<V4> v4;
  Lane<V6> v6;
  const Lookup lookup = lookup_of(snapshot, worker.state);
  const std::size_t part =
      lookup != Lookup::kNothing || snapshot.adjacencies.size() > kNearBackends ? kSmallPart : kPart;
  for (std::size_t first = 0; first < packets.size(); first += part) {
    const std::span<Packet> now = packets.subspan(first, std::min(part, packets.size() - first));
    if (lookup == Lookup::kNothing) {
      enter_lanes(snapshot, now, packets.size() - first, worker, v4, v6);
    } else {
      enter_lanes_with_flags(snapshot, now, packets.size() - first,
                             lookup == Lookup::kAll ? ChosenBy::kRecord : ChosenBy::kSlot, worker, v4, v6);
    }
    clock.end_of(&StageTicks::parse);
    look_up(snapshot, lookup, worker, v4, clock);
    look_up(snapshot, lookup, worker, v6, clock);
  }
  std::size_t forwarded = track_and_forward(snapshot, lookup, v4, worker, counters, clock);
  forwarded += track_and_forward(snapshot, lookup, v6, worker, counters, clock);
  counters.count_verdicts(packets, forwarded);
  clock.end_of(&StageTicks::forward);
  if (lookup == Lookup::kNothing) return;
  worker.state.flows.sweep(FlowClock::units(worker.now_ms));
  counters.set_flows(worker.state.flows.stats());
  clock.end_of(&StageTicks::track);
}

template <class MakeClock>
void process_all(const Snapshot& snapshot, std::span<Packet> packets, std::uint32_t now_ms, WorkerState& state,
                 Counters& counters, const MakeClock& make_clock) {
  Worker worker{.now_ms = now_ms, .state = state};
  while (!packets.empty()) {
    const std::size_t now = std::min(packets.size(), kBurstMax);
    process_at_most_a_burst(snapshot, packets.first(now), worker, counters, make_clock());
    packets = packets.subspan(now);
  }
}

}  // namespace

void process_burst(const Snapshot& snapshot, std::span<Packet> packets, std::uint32_t now_ms, WorkerState& state,
                   Counters& counters) {
  process_all(snapshot, packets, now_ms, state, counters, [] { return NoClock(); });
}

void process_burst_timed(const Snapshot& snapshot, std::span<Packet> packets, std::uint32_t now_ms, WorkerState& state,
                         Counters& counters, Ticks read, StageTicks& ticks) {
  process_all(snapshot, packets, now_ms, state, counters, [&] { return StageClock(read, ticks); });
}

void process_probes(const Snapshot& snapshot, std::span<Packet> packets, std::uint32_t now_ms, WorkerState& state,
                    Counters& counters) {
  Worker worker{.now_ms = now_ms, .state = state};
  while (!packets.empty()) {
    const std::span<Packet> burst = packets.first(std::min(packets.size(), kBurstMax));
    Lane<V4> v4;
    Lane<V6> v6;
    for (std::size_t first = 0; first < burst.size(); first += kPart) {
      const std::span<Packet> now = burst.subspan(first, std::min(kPart, burst.size() - first));
      enter_lanes(snapshot, now, burst.size() - first, worker, v4, v6);
    }
    process_probe_lane(snapshot, v4, worker);
    process_probe_lane(snapshot, v6, worker);
    counters.count_verdicts(burst, 0);
    packets = packets.subspan(burst.size());
  }
}

}  // namespace anypop::l4lb
