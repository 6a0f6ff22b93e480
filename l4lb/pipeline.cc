// SPDX-License-Identifier: Apache-2.0
// Theory of operation. A burst goes through stages, one loop each: what one stage needs, the stage before has asked the
// cache for, so that the memory latencies of a burst overlap instead of adding up.
//
//   parse     → flows, sorted into one lane per address family     prefetch: home in the service table
//               (judge: later fragments and ICMP errors become the flows they belong to; echo requests are answered)
//   service   → service of each flow; the others leave             (small table)
//   hash      → keyed hash, Maglev slot                            prefetch: the slot
//               (follow_connection_ids: the backend that a QUIC connection ID names, where a service wants that)
//   track     → backend of flows that a change would have moved    prefetch: filter and history, then the record
//               (only while there may be any: track.h)
//   decide    → backend, verdict
//   rewrite   → outer header, MAC addresses; or an ICMP error to the sender
//   count
//
// Probes of the monitor take the stages parse, service, decide, rewrite and count too; their source address stands for
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
#include "snapshot_layout.h"
#include "track.h"
#include "tunnel_write.h"

namespace anypop::l4lb {
namespace {

// How many packets ahead headers are asked for while parsing.
constexpr std::size_t kHeadersAhead = 4;

template <class F>
ServiceKey<F> service_key(const Flow<F>& flow) {
  return {.vip = flow.destination, .port = flow.destination_port, .protocol = flow.protocol};
}

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

// The flow behind the last one of the lane becomes part of it.
template <class F>
void enter(const Snapshot& snapshot, std::size_t index, Lane<F>& lane) {
  const ServiceTable<F>& services = snapshot.services_of<F>();
  lane.packet[lane.count] = static_cast<std::uint8_t>(index);
  lane.home[lane.count] = services.home(service_key(lane.flow[lane.count]));
  services.prefetch(lane.home[lane.count]);
  ++lane.count;
}

template <class F>
void parse_into(const Snapshot& snapshot, Packet& packet, std::size_t index, std::uint32_t ip_offset, Worker& worker,
                Lane<F>& lane) {
  Flow<F>& flow = lane.flow[lane.count];
  const IpFinding found = parse_ip<F>({packet.data, packet.length_bytes}, ip_offset, flow);
  const bool ordinary = found.fault == Verdict::kForward && found.fragment == Fragment::kWhole;
  if (ordinary || judge<F>(snapshot, found, worker, packet, flow)) enter(snapshot, index, lane);
}

// Whatever is not plain.
[[gnu::noinline]] void parse_slowly(const Snapshot& snapshot, Packet& packet, std::size_t index, Worker& worker,
                                    Lane<V4>& v4, Lane<V6>& v6) {
  const Layer2 layer2 = parse_ethernet({packet.data, packet.length_bytes});
  packet.ip_offset = static_cast<std::uint8_t>(layer2.ip_offset);
  switch (layer2.next) {
    case Layer2::Next::kIpv4: parse_into(snapshot, packet, index, layer2.ip_offset, worker, v4); break;
    case Layer2::Next::kIpv6: parse_into(snapshot, packet, index, layer2.ip_offset, worker, v6); break;
    case Layer2::Next::kOther: packet.verdict = Verdict::kPassNotVip; break;
    case Layer2::Next::kTruncated: packet.verdict = Verdict::kDropTruncated; break;
  }
}

void parse(const Snapshot& snapshot, std::span<Packet> packets, Worker& worker, Lane<V4>& v4, Lane<V6>& v6) {
  for (std::size_t i = 0; i < packets.size(); ++i) {
    if (i + kHeadersAhead < packets.size()) __builtin_prefetch(packets[i + kHeadersAhead].data);
    Packet& packet = packets[i];
    packet.service = kNone;
    packet.backend = kNone;
    packet.follows = false;
    packet.chosen_by = ChosenBy::kNobody;
    packet.ip_offset = kPlainIpOffset;
    const std::span<const std::byte> frame(packet.data, packet.length_bytes);
    if (parse_plain<V4>(frame, v4.flow[v4.count])) {
      enter(snapshot, i, v4);
    } else if (parse_plain<V6>(frame, v6.flow[v6.count])) {
      enter(snapshot, i, v6);
    } else {
      parse_slowly(snapshot, packet, i, worker, v4, v6);
    }
  }
}

// An address that is the monitor's, but not from the monitor.
template <class F>
[[gnu::noinline]] void drop_reserved(const Snapshot& snapshot, std::span<Packet> packets, Lane<F>& lane) {
  const ProbeSources<F>& reserved = snapshot.probes->of<F>();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < lane.count; ++i) {
    const Flow<F>& flow = lane.flow[i];
    if (reserved.contains(flow.source) && snapshot.services_of<F>().has_vip(flow.destination)) [[unlikely]] {
      packets[lane.packet[i]].verdict = Verdict::kDropReservedSource;
      continue;
    }
    if (kept != i) {
      lane.packet[kept] = lane.packet[i];
      lane.flow[kept] = flow;
      lane.home[kept] = lane.home[i];
    }
    ++kept;
  }
  lane.count = kept;
}

// Moves what stays to the front of the lane.
template <class F>
void find_services(const Snapshot& snapshot, std::span<Packet> packets, Lane<F>& lane) {
  const ServiceTable<F>& services = snapshot.services_of<F>();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < lane.count; ++i) {
    Packet& packet = packets[lane.packet[i]];
    packet.service = services.find(lane.home[i], service_key(lane.flow[i]));
    if (packet.service == kNone) {
      packet.verdict = services.has_vip(lane.flow[i].destination) ? Verdict::kDropNoService : Verdict::kPassNotVip;
    } else if (snapshot.services[packet.service].slots == nullptr) {
      packet.verdict = Verdict::kDropNoBackend;
    } else {
      packet.chosen_by = ChosenBy::kSlot;
      lane.service[kept] = packet.service;
      lane.packet[kept] = lane.packet[i];
      if (kept != i) lane.flow[kept] = lane.flow[i];
      ++kept;
    }
  }
  lane.count = kept;
}

// The hashes of what services make slots of.
template <class F>
[[gnu::noinline]] void hash_for_slots(const Snapshot& snapshot, Lane<F>& lane) {
  std::array<Flow<F>, kBurstMax> reduced;
  for (std::size_t i = 0; i < lane.count; ++i) {
    const std::uint8_t bits = snapshot.source_bits[lane.service[i]];
    const Flow<F>& flow = lane.flow[i];
    reduced[i] = bits == kWholeFlow ? flow : Flow<F>{.source = first_bits(flow.source, bits)};
  }
  snapshot.hash.hash(std::span(reduced).first(lane.count), std::span(lane.slot_hash).first(lane.count));
}

template <class F>
void find_slots(const Snapshot& snapshot, Lane<F>& lane) {
  snapshot.hash.hash(std::span(lane.flow).first(lane.count), std::span(lane.hash).first(lane.count));
  if (snapshot.hashes_sources) hash_for_slots(snapshot, lane);
  const auto& slot_hash = snapshot.hashes_sources ? lane.slot_hash : lane.hash;
  for (std::size_t i = 0; i < lane.count; ++i) {
    const ServiceEntry& service = snapshot.services[lane.service[i]];
    lane.slot[i] = service.slots + slot_of(slot_hash[i], service.slot_count);
    __builtin_prefetch(lane.slot[i]);
  }
}

// A packet whose QUIC connection ID names a living backend gets a slot of that backend alone.
template <class F>
[[gnu::noinline]] void follow_connection_ids(const Snapshot& snapshot, std::span<Packet> packets, Lane<F>& lane) {
  for (std::size_t i = 0; i < lane.count; ++i) {
    const QuicRoutes& routes = snapshot.quic[lane.service[i]];
    Packet& packet = packets[lane.packet[i]];
    if (!routes.any() || packet.follows) continue;
    const auto datagram = udp_payload<F>({packet.data, packet.length_bytes}, packet.ip_offset);
    const std::uint16_t* const backend = routes.find(datagram);
    if (backend == nullptr) continue;
    lane.slot[i] = backend;
    packet.chosen_by = ChosenBy::kConnectionId;
  }
}

// Into its backend's tunnel, or, when it does not fit, back to its sender with an ICMP error.
template <class F>
Verdict into_tunnel(const Tunnel& tunnel, std::uint32_t entropy, Worker& worker, Packet& packet) {
  const Verdict verdict = encapsulate_inline<F>(tunnel, entropy, packet);
  // No errors about errors, nor about later fragments: RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 (e).
  if (verdict != Verdict::kDropTooBig || packet.follows) return verdict;
  return reply_too_big<F>(packet.ip_offset, tunnel.inner_max_bytes, worker.now_ms, worker.state.too_big, packet);
}

void set_macs(const BackendEntry& backend, Packet& packet) {
  std::memcpy(packet.data, backend.macs.data(), backend.macs.size());
}

template <class F>
void decide_and_rewrite(const Snapshot& snapshot, std::span<Packet> packets, Lane<F>& lane) {
  for (std::size_t i = 0; i < lane.count; ++i) {
    Packet& packet = packets[lane.packet[i]];
    const std::uint32_t index = snapshot.services[lane.service[i]].first_backend + *lane.slot[i];
    const BackendEntry& backend = snapshot.backends[index];
    packet.backend = backend.backend;
    packet.verdict = backend.verdict;
    if (packet.verdict != Verdict::kForward) continue;
    if (backend.tunneled) {
      lane.backend[lane.tunneled_count] = index;
      lane.tunneled[lane.tunneled_count++] = static_cast<std::uint8_t>(i);
    } else {
      set_macs(backend, packet);
    }
  }
}

// A loop of its own, so that l2 does not pay for the calls.
template <class F>
void encapsulate_tunneled(const Snapshot& snapshot, std::span<Packet> packets, const Lane<F>& lane, Worker& worker) {
  for (std::size_t i = 0; i < lane.tunneled_count; ++i) {
    const std::size_t at = lane.tunneled[i];
    Packet& packet = packets[lane.packet[at]];
    const auto entropy = static_cast<std::uint32_t>(lane.hash[at]);
    packet.verdict = into_tunnel<F>(snapshot.tunnels[lane.backend[i]], entropy, worker, packet);
    if (packet.verdict == Verdict::kForward) set_macs(snapshot.backends[lane.backend[i]], packet);
  }
}

template <class F>
void process_lane(const Snapshot& snapshot, std::span<Packet> packets, Lane<F>& lane, bool tracked, Worker& worker) {
  if (lane.count == 0) return;
  if (snapshot.probes->of<F>().any()) drop_reserved(snapshot, packets, lane);
  find_services(snapshot, packets, lane);
  find_slots(snapshot, lane);
  if (!snapshot.quic.empty()) follow_connection_ids(snapshot, packets, lane);
  if (tracked) track(snapshot, packets, worker, lane);
  decide_and_rewrite(snapshot, packets, lane);
  encapsulate_tunneled(snapshot, packets, lane, worker);
}

// A probe goes to the backend that its source address names, whatever the backend's health or weight.
template <class F>
void find_probed(const Snapshot& snapshot, std::span<Packet> packets, Lane<F>& lane) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < lane.count; ++i) {
    const Flow<F>& flow = lane.flow[i];
    const std::uint16_t service = snapshot.services_of<F>().find(lane.home[i], service_key(flow));
    Packet& packet = packets[lane.packet[i]];
    packet.service = service;
    if (service == kNone) {
      packet.verdict =
          snapshot.services_of<F>().has_vip(flow.destination) ? Verdict::kDropNoService : Verdict::kPassNotVip;
      continue;
    }
    const std::uint16_t* const backend = snapshot.probes->of<F>().find(service, flow.source);
    packet.verdict = Verdict::kDropProbeUnknown;
    if (backend == nullptr) continue;
    lane.service[kept] = service;
    lane.packet[kept] = lane.packet[i];
    lane.slot[kept] = backend;
    if (kept != i) lane.flow[kept] = flow;
    ++kept;
  }
  lane.count = kept;
}

template <class F>
void process_probe_lane(const Snapshot& snapshot, std::span<Packet> packets, Lane<F>& lane, Worker& worker) {
  find_probed(snapshot, packets, lane);
  snapshot.hash.hash(std::span(lane.flow).first(lane.count), std::span(lane.hash).first(lane.count));
  decide_and_rewrite(snapshot, packets, lane);
  encapsulate_tunneled(snapshot, packets, lane, worker);
  for (std::size_t i = 0; i < lane.count; ++i) {
    Packet& packet = packets[lane.packet[i]];
    if (packet.verdict == Verdict::kForward) packet.verdict = Verdict::kForwardProbe;
  }
}

void process_at_most_a_burst(const Snapshot& snapshot, std::span<Packet> packets, Worker& worker, Counters& counters) {
  Lane<V4> v4;
  Lane<V6> v6;
  parse(snapshot, packets, worker, v4, v6);
  const bool tracked = must_track(snapshot, worker.state);
  process_lane(snapshot, packets, v4, tracked, worker);
  process_lane(snapshot, packets, v6, tracked, worker);
  counters.count(packets);
  if (!tracked) return;
  worker.state.flows.sweep(FlowClock::units(worker.now_ms));
  counters.set_flows(worker.state.flows.stats());
}

}  // namespace

void process_burst(const Snapshot& snapshot, std::span<Packet> packets, std::uint32_t now_ms, WorkerState& state,
                   Counters& counters) {
  Worker worker{.now_ms = now_ms, .state = state};
  while (!packets.empty()) {
    const std::size_t now = std::min(packets.size(), kBurstMax);
    process_at_most_a_burst(snapshot, packets.first(now), worker, counters);
    packets = packets.subspan(now);
  }
}

void process_probes(const Snapshot& snapshot, std::span<Packet> packets, std::uint32_t now_ms, WorkerState& state,
                    Counters& counters) {
  Worker worker{.now_ms = now_ms, .state = state};
  while (!packets.empty()) {
    const std::span<Packet> burst = packets.first(std::min(packets.size(), kBurstMax));
    Lane<V4> v4;
    Lane<V6> v6;
    parse(snapshot, burst, worker, v4, v6);
    process_probe_lane(snapshot, burst, v4, worker);
    process_probe_lane(snapshot, burst, v6, worker);
    counters.count(burst);
    packets = packets.subspan(burst.size());
  }
}

}  // namespace anypop::l4lb
