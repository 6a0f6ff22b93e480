// SPDX-License-Identifier: Apache-2.0
#include "enter_lanes.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "flow_sign.h"
#include "fragments.h"
#include "icmp.h"
#include "parse.h"
#include "parse_plain.h"
#include "quic.h"
#include "reply.h"

namespace anypop::l4lb {
namespace {

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

// What Lane::tcp_flags says of a whole packet.
[[gnu::always_inline]] inline std::uint8_t flags_of(std::span<const std::byte> frame, std::size_t transport_at,
                                                    wire::IpProtocol protocol) {
  if (protocol == wire::IpProtocol::kTcp) [[likely]]
    return signs_of_tcp(frame.data() + transport_at);
  // A QUIC Initial is long, and begins with a byte whose highest bit is set, as all long headers do (RFC 8999).
  const std::size_t payload_at = transport_at + sizeof(wire::Udp);
  if (frame.size() < payload_at + kQuicInitialBytes) return kTcpAck;
  return (frame[payload_at] & std::byte{0x80}) == std::byte{0} ? kTcpAck : kUnknownFlags;
}

template <bool kWithFlags, class F>
[[gnu::always_inline]] inline bool enter_if_plain(std::span<const std::byte> frame,
                                                  const typename ServiceTable<F>::Finder& services, Packet& packet,
                                                  std::size_t at, Lane<F>& lane) {
  const wire::IpProtocol protocol = parse_plain<F>(frame);
  if (protocol == kNotPlain) return false;
  if constexpr (kWithFlags) lane.tcp_flags[at] = flags_of(frame, kPlainIpOffset + sizeof(typename F::Header), protocol);
  plain_flow(frame.data(), protocol, lane.flow[at]);
  enter<F>(services, plain_key<F>(frame.data(), protocol), packet, at, lane);
  return true;
}

template <class F>
void parse_into(const Snapshot& snapshot, Packet& packet, ChosenBy chosen_by, Worker& worker, Lane<F>& lane) {
  Flow<F>& flow = lane.flow[lane.count];
  const std::span<const std::byte> frame(packet.data, packet.length_bytes);
  const IpFinding found = parse_ip<F>(frame, packet.ip_offset, flow);
  const bool ordinary = found.fault == Verdict::kForward && found.fragment == Fragment::kWhole;
  if (!ordinary && !judge<F>(snapshot, found, worker, packet, flow)) return;
  packet.verdict = Verdict::kForward;
  packet.chosen_by = chosen_by;
  lane.tcp_flags[lane.count] = ordinary ? flags_of(frame, found.transport_at, flow.protocol) : kUnknownFlags;
  enter<F>(snapshot.services_of<F>().finder(), pack(flow), packet, lane.count++, lane);
}

// What is known of a packet at first, in one store.
constexpr std::size_t kBegunAt = offsetof(Packet, verdict);
static_assert(sizeof(Packet) - kBegunAt == sizeof(std::uint64_t));

std::uint64_t begun(ChosenBy chosen_by) {
  const Packet packet{.verdict = Verdict::kForward, .ip_offset = kPlainIpOffset, .chosen_by = chosen_by};
  std::uint64_t word;
  std::memcpy(&word, reinterpret_cast<const std::byte*>(&packet) + kBegunAt, sizeof(word));
  return word;
}

void begin(std::uint64_t word, Packet& packet) {
  std::memcpy(reinterpret_cast<std::byte*>(&packet) + kBegunAt, &word, sizeof(word));
}

// Whatever is not plain.
[[gnu::noinline]] void parse_slowly(const Snapshot& snapshot, Packet& packet, ChosenBy chosen_by, Worker& worker,
                                    Lane<V4>& v4, Lane<V6>& v6) {
  const Layer2 layer2 = parse_ethernet({packet.data, packet.length_bytes});
  packet.chosen_by = ChosenBy::kNobody;
  packet.ip_offset = static_cast<std::uint8_t>(layer2.ip_offset);
  switch (layer2.next) {
    case Layer2::Next::kIpv4: parse_into(snapshot, packet, chosen_by, worker, v4); break;
    case Layer2::Next::kIpv6: parse_into(snapshot, packet, chosen_by, worker, v6); break;
    case Layer2::Next::kArp:
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

template <bool kWithFlags>
[[gnu::always_inline]] inline void enter(const Snapshot& snapshot, std::span<Packet> packets, std::size_t in_burst,
                                         ChosenBy chosen_by, Worker& worker, Lane<V4>& v4, Lane<V6>& v6) {
  const auto services_v4 = snapshot.services_v4.finder();
  const auto services_v6 = snapshot.services_v6.finder();
  const std::uint64_t word = begun(chosen_by);
  std::size_t count_v4 = v4.count;
  std::size_t count_v6 = v6.count;
  Packet* const last = packets.data() + in_burst;
  Packet* const end = packets.data() + packets.size();
  for (Packet* at = packets.data(); at != end; ++at) {
    Packet& packet = *at;
    if (last - at > kHeadersAhead) prefetch_headers(at[kHeadersAhead]);
    begin(word, packet);
    const std::span<const std::byte> frame(packet.data, packet.length_bytes);
    if (enter_if_plain<kWithFlags, V4>(frame, services_v4, packet, count_v4, v4)) {
      ++count_v4;
    } else if (enter_if_plain<kWithFlags, V6>(frame, services_v6, packet, count_v6, v6)) {
      ++count_v6;
    } else {
      v4.count = count_v4;
      v6.count = count_v6;
      parse_slowly(snapshot, packet, chosen_by, worker, v4, v6);
      count_v4 = v4.count;
      count_v6 = v6.count;
    }
  }
  v4.count = count_v4;
  v6.count = count_v6;
}

}  // namespace

void enter_lanes(const Snapshot& snapshot, std::span<Packet> packets, std::size_t in_burst, Worker& worker,
                 Lane<V4>& v4, Lane<V6>& v6) {
  enter<false>(snapshot, packets, in_burst, ChosenBy::kSlot, worker, v4, v6);
}

void enter_lanes_with_flags(const Snapshot& snapshot, std::span<Packet> packets, std::size_t in_burst,
                            ChosenBy chosen_by, Worker& worker, Lane<V4>& v4, Lane<V6>& v6) {
  enter<true>(snapshot, packets, in_burst, chosen_by, worker, v4, v6);
}

}  // namespace anypop::l4lb
