// SPDX-License-Identifier: Apache-2.0
// Theory of operation. A burst goes through stages, one loop each: what one stage needs, the stage before has asked the
// cache for, so that the memory latencies of a burst overlap instead of adding up. The stages up to the slots take the
// burst in parts, the others as a whole: while one part is parsed, what the part before has asked for arrives.
//
//   parse     → flows, sorted into one lane per address family     prefetch: home in the service table
//               (judge: later fragments and ICMP errors become the flows they belong to; echo requests are answered)
//   slots     → keyed hash, service, Maglev slot; who has no service leaves      prefetch: the slot
//               (follow_connection_ids: the backend that a QUIC connection ID names, where a service wants that)
//   track     → backend of flows that a change would have moved    prefetch: filter and history, then the record
//               (only while there may be any: track.h)
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
#include <cstring>

#include "fragments.h"
#include "icmp.h"
#include "lane.h"
#include "parse.h"
#include "parse_plain.h"
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
// How many packets ahead headers are asked for while parsing.
constexpr std::ptrdiff_t kHeadersAhead = 4;

// Does a worker know the first fragment? Most NICs send all fragments of a packet to one worker, but not all do.
template <class F>
bool complete_anywhere(const Snapshot& snapshot, const IpFinding& found, const Worker& worker, Flow<F>& flow) {
  const auto complete = [&](const FragmentTable& table) {
    return complete_later<F>(snapshot.hash, found.fragment_id, worker.now_ms, table, flow);
  };
  return complete(worker.state.fragments) ||
         std::ranges::any_of(worker.state.fragment_peers, [&](const FragmentTable* peer) { return complete(*peer); });
}

// A fragment for a VIP: does it belong to a flow? If not, its verdict says so.
template <class F>
bool judge_fragment(const Snapshot& snapshot, const IpFinding& found, Worker& worker, Packet& packet, Flow<F>& flow) {
  if (found.fragment == Fragment::kFirst && found.fault != Verdict::kForward) return false;
  packet.verdict = Verdict::kDropFragment;
  if (snapshot.engine.fragments == FragmentPolicy::kDrop) return false;
  if (found.fragment == Fragment::kFirst) {
    remember_first<F>(snapshot.hash, flow, found.fragment_id, worker.now_ms, worker.state.fragments);
    return true;
  }
  packet.verdict = Verdict::kDropFragmentOrphan;
  packet.follows = complete_anywhere<F>(snapshot, found, worker, flow);
  return packet.follows;
}

template <class F>
bool judge_icmp(const Snapshot& snapshot, const IpFinding& found, Worker& worker, Packet& packet, Flow<F>& flow) {
  switch (parse_icmp<F>({packet.data, packet.length_bytes}, found, flow)) {
    case IcmpKind::kOther: return false;
    case IcmpKind::kError: packet.follows = true; return true;
    case IcmpKind::kEchoRequest: break;
  }
  const AnswerEcho policy = snapshot.engine.answer_echo;
  if (policy == AnswerEcho::kNever) return false;
  if (policy == AnswerEcho::kWhileServing && !snapshot.serves<F>(flow.destination)) return false;
  packet.verdict =
      reply_echo<F>(packet.ip_offset, found.transport_at, found.end, worker.now_ms, worker.state.echo, packet);
  return false;
}

// About what is not simply a flow. True: it belongs to `flow` after all; false: it has its verdict.
template <class F>
[[gnu::noinline]] bool judge(const Snapshot& snapshot, const IpFinding& found, Worker& worker, Packet& packet,
                             Flow<F>& flow) {
  const bool ours = !found.destination_known || snapshot.services_of<F>().has_vip(flow.destination);
  packet.verdict = ours ? found.fault : Verdict::kPassNotVip;
  if (!ours) return false;
  if (found.fragment != Fragment::kWhole) return judge_fragment(snapshot, found, worker, packet, flow);
  return found.fault == Verdict::kDropIcmp && judge_icmp(snapshot, found, worker, packet, flow);
}

// The flow behind the last one of the lane, which is for the service with that key, becomes part of it.
template <class F>
[[gnu::always_inline]] inline void enter(const typename ServiceTable<F>::Finder& services, const PackedKey<F>& key,
                                         Packet& packet, std::size_t at, Lane<F>& lane) {
  const auto* const home = services.home(key);
  __builtin_prefetch(home);
  lane.key[at] = key;
  lane.home[at] = home;
  lane.packet[at] = &packet;
}

template <class F>
[[gnu::always_inline]] inline bool enter_if_plain(std::span<const std::byte> frame,
                                                  const typename ServiceTable<F>::Finder& services, Packet& packet,
                                                  std::size_t at, Lane<F>& lane) {
  const wire::IpProtocol protocol = parse_plain<F>(frame);
  if (protocol == kNotPlain) return false;
  plain_flow(frame.data(), protocol, lane.flow[at]);
  enter<F>(services, plain_key<F>(frame.data(), protocol), packet, at, lane);
  return true;
}

template <class F>
void parse_into(const Snapshot& snapshot, Packet& packet, std::uint32_t ip_offset, Worker& worker, Lane<F>& lane) {
  Flow<F>& flow = lane.flow[lane.count];
  const IpFinding found = parse_ip<F>({packet.data, packet.length_bytes}, ip_offset, flow);
  const bool ordinary = found.fault == Verdict::kForward && found.fragment == Fragment::kWhole;
  if (!ordinary && !judge<F>(snapshot, found, worker, packet, flow)) return;
  packet.verdict = Verdict::kForward;
  packet.chosen_by = ChosenBy::kSlot;
  enter<F>(snapshot.services_of<F>().finder(), pack(flow), packet, lane.count++, lane);
}

// What is known of a packet at first, in one store: that its slot will choose, as it does for nearly all.
void begin(Packet& packet) {
  constexpr std::size_t kFirst = offsetof(Packet, verdict);
  static_assert(sizeof(Packet) - kFirst == sizeof(std::uint64_t));
  static constexpr Packet kBegun{
      .verdict = Verdict::kForward, .ip_offset = kPlainIpOffset, .chosen_by = ChosenBy::kSlot};
  std::memcpy(reinterpret_cast<std::byte*>(&packet) + kFirst, reinterpret_cast<const std::byte*>(&kBegun) + kFirst,
              sizeof(std::uint64_t));
}

// Whatever is not plain.
[[gnu::noinline]] void parse_slowly(const Snapshot& snapshot, Packet& packet, Worker& worker, Lane<V4>& v4,
                                    Lane<V6>& v6) {
  const Layer2 layer2 = parse_ethernet({packet.data, packet.length_bytes});
  packet.chosen_by = ChosenBy::kNobody;
  packet.ip_offset = static_cast<std::uint8_t>(layer2.ip_offset);
  switch (layer2.next) {
    case Layer2::Next::kIpv4: parse_into(snapshot, packet, layer2.ip_offset, worker, v4); break;
    case Layer2::Next::kIpv6: parse_into(snapshot, packet, layer2.ip_offset, worker, v6); break;
    case Layer2::Next::kOther: packet.verdict = Verdict::kPassNotVip; break;
    case Layer2::Next::kTruncated: packet.verdict = Verdict::kDropTruncated; break;
  }
}

// Asks for the headers, and for what lies before them: outer headers are written there, and no NIC brings that into
// the cache.
inline void prefetch_headers(const Packet& packet) {
  __builtin_prefetch(packet.data);
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(packet.data) - 1), 1);
}

// What begins with `first`, `part` packets at the most.
void parse(const Snapshot& snapshot, std::span<Packet> packets, std::size_t first, std::size_t part, Worker& worker,
           Lane<V4>& v4, Lane<V6>& v6) {
  const auto services_v4 = snapshot.services_v4.finder();
  const auto services_v6 = snapshot.services_v6.finder();
  std::size_t count_v4 = v4.count;
  std::size_t count_v6 = v6.count;
  Packet* const last = packets.data() + packets.size();
  Packet* const end = packets.data() + std::min(first + part, packets.size());
  for (Packet* at = packets.data() + first; at != end; ++at) {
    Packet& packet = *at;
    if (last - at > kHeadersAhead) prefetch_headers(at[kHeadersAhead]);
    begin(packet);
    const std::span<const std::byte> frame(packet.data, packet.length_bytes);
    if (enter_if_plain<V4>(frame, services_v4, packet, count_v4, v4)) {
      ++count_v4;
    } else if (enter_if_plain<V6>(frame, services_v6, packet, count_v6, v6)) {
      ++count_v6;
    } else {
      v4.count = count_v4;
      v6.count = count_v6;
      parse_slowly(snapshot, packet, worker, v4, v6);
      count_v4 = v4.count;
      count_v6 = v6.count;
    }
  }
  v4.count = count_v4;
  v6.count = count_v6;
}

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
    }
    ++kept;
  }
  lane.count = kept;
}

// The service and slot of the flow at `i`, which takes the place `kept` in the lane. False: it has neither.
template <class F>
[[gnu::always_inline]] inline bool find_slot(const Snapshot& snapshot, const ServiceEntry* services, std::size_t i,
                                             std::size_t kept, Lane<F>& lane) {
  const auto* const home = lane.home[i];
  std::uint16_t index = home->service;
  if (home->key != lane.key[i]) [[unlikely]] {
    index = snapshot.services_of<F>().find_further(home, lane.key[i]);
    if (index == kNone) return turn_away<F>(snapshot, lane.flow[i], kNone, *lane.packet[i]), false;
  }
  const ServiceEntry& service = services[index];
  if (service.slots == nullptr) [[unlikely]]
    return turn_away<F>(snapshot, lane.flow[i], index, *lane.packet[i]), false;
  const std::uint16_t* const slot = service.slots + slot_of(lane.hash[i], service.slot_count);
  __builtin_prefetch(slot);
  lane.service[kept] = index;
  lane.slot[kept] = slot;
  return true;
}

// The keyed hash of each flow.
template <class F>
[[gnu::always_inline]] inline void hash_flows(const Snapshot& snapshot, Lane<F>& lane) {
  const std::size_t count = lane.count - lane.settled;
  snapshot.hash.hash(std::span(lane.flow).subspan(lane.settled, count),
                     std::span(lane.hash).subspan(lane.settled, count));
}

// Service and slot of each flow. Moves what stays to the front of the lane.
template <class F>
[[gnu::always_inline]] inline void find_slots(const Snapshot& snapshot, Lane<F>& lane) {
  const std::size_t count = lane.count;
  const std::size_t first = lane.settled;
  const ServiceEntry* const services = snapshot.services.data();
  std::size_t i = first;
  while (i < count && find_slot(snapshot, services, i, i, lane)) ++i;
  std::size_t kept = i;
  for (++i; i < count; ++i) {
    if (!find_slot(snapshot, services, i, kept, lane)) continue;
    lane.packet[kept] = lane.packet[i];
    lane.flow[kept] = lane.flow[i];
    lane.hash[kept] = lane.hash[i];
    ++kept;
  }
  lane.count = kept;
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

// Gives each packet to its backend, of which `count_traffic` is told, with the packet's bytes. Returns how many leave
// that way.
template <class F, class Count>
[[gnu::always_inline]] inline std::size_t forward(const Snapshot& snapshot, const Lane<F>& lane, Worker& worker,
                                                  const Count& count_traffic) {
  const ServiceEntry* const services = snapshot.services.data();
  const std::uint32_t* const adjacency_of = snapshot.adjacency_of.data();
  const Adjacency* const adjacencies = snapshot.adjacencies.data();
  const std::size_t count = lane.count;
  std::size_t others = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Packet& packet = *lane.packet[i];
    const std::uint16_t within = *lane.slot[i];
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
template <class F>
[[gnu::noinline]] void prefetch_backends(const Snapshot& snapshot, const Lane<F>& lane,
                                         const Counters::ByBackend& traffic) {
  for (std::size_t i = 0, count = lane.count; i < count; ++i) {
    const ServiceEntry& service = snapshot.services[lane.service[i]];
    const std::uint16_t within = *lane.slot[i];
    __builtin_prefetch(&snapshot.adjacencies[snapshot.adjacency_of[service.first_adjacency + within]]);
    traffic.prefetch(service.first_backend + within);
  }
}

// What has entered the lane since the last time gets its slot.
template <class F, class Clock>
[[gnu::always_inline]] inline void look_up(const Snapshot& snapshot, bool tracked, const Worker& worker, Lane<F>& lane,
                                           Clock& clock) {
  if (lane.settled == lane.count) return;
  if (snapshot.probes->of<F>().any()) drop_reserved(snapshot, lane);
  hash_flows(snapshot, lane);
  clock.end_of(&StageTicks::hash);
  find_slots(snapshot, lane);
  if (snapshot.hashes_sources) find_slots_by_source(snapshot, lane);
  if (!snapshot.quic.empty()) follow_connection_ids(snapshot, lane);
  clock.end_of(&StageTicks::slot);
  if (tracked) find_candidates(snapshot, worker.state.flows, lane);
  lane.settled = lane.count;
  clock.end_of(&StageTicks::track);
}

template <class F, class Clock>
[[gnu::always_inline]] inline std::size_t track_and_forward(const Snapshot& snapshot, bool tracked, Lane<F>& lane,
                                                            Worker& worker, Counters& counters, Clock& clock) {
  if (lane.count == 0) return 0;
  if (tracked) track(snapshot, worker, lane);
  clock.end_of(&StageTicks::track);
  const Counters::ByBackend traffic = counters.by_backend();
  if (snapshot.adjacencies.size() > kNearBackends) prefetch_backends(snapshot, lane, traffic);
  return forward(snapshot, lane, worker,
                 [traffic](std::uint32_t backend, std::uint32_t bytes) { traffic.add(backend, bytes); });
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
  forward(snapshot, lane, worker, [](std::uint32_t, std::uint32_t) {});  // no client's traffic
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
  const bool tracked = must_track(snapshot, worker.state);
  const std::size_t part = tracked || snapshot.adjacencies.size() > kNearBackends ? kSmallPart : kPart;
  for (std::size_t first = 0; first < packets.size(); first += part) {
    parse(snapshot, packets, first, part, worker, v4, v6);
    clock.end_of(&StageTicks::parse);
    look_up(snapshot, tracked, worker, v4, clock);
    look_up(snapshot, tracked, worker, v6, clock);
  }
  std::size_t forwarded = track_and_forward(snapshot, tracked, v4, worker, counters, clock);
  forwarded += track_and_forward(snapshot, tracked, v6, worker, counters, clock);
  counters.count_verdicts(packets, forwarded);
  clock.end_of(&StageTicks::forward);
  if (!tracked) return;
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
    for (std::size_t first = 0; first < burst.size(); first += kPart)
      parse(snapshot, burst, first, kPart, worker, v4, v6);
    process_probe_lane(snapshot, v4, worker);
    process_probe_lane(snapshot, v6, worker);
    counters.count_verdicts(burst, 0);
    packets = packets.subspan(burst.size());
  }
}

}  // namespace anypop::l4lb
