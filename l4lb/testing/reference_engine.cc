// SPDX-License-Identifier: Apache-2.0
#include "l4lb_testing/reference_engine.h"

#include <algorithm>
#include <utility>

#include "reference_quic.h"
#include "reference_tunnel.h"

namespace anypop::l4lb_testing {

using l4lb::Verdict;

struct ReferenceEngine::Flow {
  std::vector<std::uint8_t> source;
  std::vector<std::uint8_t> destination;
  unsigned source_port = 0;
  unsigned destination_port = 0;
  unsigned protocol = 0;
  std::vector<std::uint8_t> datagram;  // of UDP, if it is whole
  bool follows = false;                // a later fragment or an ICMP error
  bool opens = false;                  // a SYN or a QUIC Initial
  unsigned tcp_flags = 0;
};

namespace {

unsigned u16(const Bytes& bytes, std::size_t at) { return bytes.at(at) * 256U + bytes.at(at + 1); }
Bytes part(const Bytes& bytes, std::size_t at, std::size_t count) {
  Bytes result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(bytes.at(at + i));
  return result;
}
Bytes behind(const Bytes& bytes, std::size_t at) { return part(bytes, at, bytes.size() - at); }

struct FragmentOf {
  bool is = false;
  bool later = false;
  unsigned id = 0;
};

// Strips extension headers from the front of `payload`. What stops it, or kForward.
Verdict strip_extensions(Bytes& payload, unsigned& protocol, FragmentOf& fragment) {
  int stripped = 0;
  bool first = true;
  while (protocol == 43 || protocol == 44 || protocol == 60 || (protocol == 0 && first)) {
    if (stripped == 6) return Verdict::kDropUnsupported;
    if (payload.size() < 2 || (protocol == 44 && payload.size() < 8)) return Verdict::kDropTruncated;
    std::size_t bytes = 8;
    if (protocol == 44) {
      const unsigned field = u16(payload, 2);
      const bool more = field % 2 == 1;
      if (field / 8 != 0 || more) fragment = {true, field / 8 != 0, u16(payload, 4) * 65536U + u16(payload, 6)};
      if (fragment.later) return Verdict::kForward;
    } else {
      bytes = 8 + std::size_t{8} * payload[1];
    }
    if (payload.size() < bytes) return Verdict::kDropTruncated;
    protocol = payload[0];
    payload = behind(payload, bytes);
    first = false;
    ++stripped;
  }
  return Verdict::kForward;
}

}  // namespace

namespace {

unsigned prefix_bits(const ServiceConfig& service) {
  return service.vip_prefix_bits.value_or(service.vip.family() == Family::kV4 ? 32 : 128);
}

// Bit by bit.
bool owns(const ServiceConfig& service, const Bytes& address) {
  if (service.vip.bytes().size() != address.size()) return false;
  for (unsigned bit = 0; bit < prefix_bits(service); ++bit) {
    const unsigned mask = 0x80U >> bit % 8;
    if ((service.vip.bytes()[bit / 8] & mask) != (address[bit / 8] & mask)) return false;
  }
  return true;
}

// SYN alone of SYN, ACK, RST and FIN.
bool opens_tcp(const Bytes& segment) {
  const unsigned flags = segment[13];
  return (flags & 0x02U) != 0 && (flags & 0x10U) == 0 && (flags & 0x04U) == 0 && (flags & 0x01U) == 0;
}

// An Initial of a known version in a datagram of full size.
bool opens_quic(const Bytes& datagram) {
  if (datagram.size() < 8 + 1200 || datagram[8] < 0x80) return false;
  const unsigned version = u16(datagram, 9) * 65536U + u16(datagram, 11);
  const unsigned type = datagram[8] / 16 % 4;
  if (version == 1 || version / 256 == 0xff0000) return type == 0;
  return version == 0x6b3343cf && type == 1;
}

}  // namespace

ReferenceEngine::ReferenceEngine(std::vector<ServiceConfig> services, const Key& key, EngineConfig config)
    : config_(config), services_(std::move(services)), key_(key) {}

void ReferenceEngine::update(const l4lb::SnapshotInput& input) {
  input_ = input;
  tables_.clear();
  for (std::size_t i = 0; i < services_.size(); ++i) {
    unsigned weight = 0;
    for (const l4lb::BackendState& state : input.backends[i]) weight += state.healthy ? state.weight_permille : 0;
    std::vector<ReferenceMember> members;
    for (std::size_t j = 0; j < services_[i].backends.size(); ++j) {
      const BackendConfig& backend = services_[i].backends[j];
      const unsigned permille = weight == 0 ? 1000 : input.backends[i][j].weight_permille;
      if (!input.backends[i][j].healthy || permille == 0) continue;
      members.push_back(
          {.name = backend.name, .weight = backend.weight * permille, .backend = static_cast<std::uint16_t>(j)});
    }
    tables_.push_back(members.empty() ? std::vector<std::uint16_t>{}
                                      : reference_maglev(members, services_[i].table_size));
    std::vector<std::string> owners;
    for (const std::uint16_t backend : tables_.back()) owners.push_back(services_[i].backends[backend].name);
    std::set<std::string> living;
    for (std::size_t j = 0; j < services_[i].backends.size(); ++j) {
      if (input.backends[i][j].healthy) living.insert(services_[i].backends[j].name);
    }
    flows_[services_[i].name].change(owners, living, i < input.idle.size() && input.idle[i], input.now_ms,
                                     config_.flow_window_ms);
  }
}

bool ReferenceEngine::is_vip(const Bytes& address) const {
  return std::any_of(services_.begin(), services_.end(),
                     [&](const ServiceConfig& service) { return owns(service, address); });
}

ReferenceEngine::Outcome ReferenceEngine::process(const Frame& frame, std::uint32_t now_ms) {
  if (now_ms - now_ms_ > 5000) firsts_.clear();
  now_ms_ = now_ms;
  Bytes bytes;
  for (const std::byte b : frame) bytes.push_back(std::to_integer<std::uint8_t>(b));
  if (bytes.size() < 14) return {.verdict = Verdict::kDropTruncated, .frame = frame};
  std::size_t type_at = 12;
  for (int tags = 0; tags < 2 && (u16(bytes, type_at) == 0x8100 || u16(bytes, type_at) == 0x88a8); ++tags) {
    type_at += 4;
    if (bytes.size() < type_at + 2) return {.verdict = Verdict::kDropTruncated, .frame = frame};
  }
  const unsigned type = u16(bytes, type_at);
  if (type != 0x0800 && type != 0x86dd) return {.verdict = Verdict::kPassNotVip, .frame = frame};
  return process_ip(behind(bytes, type_at + 2), type == 0x0800, frame);
}

ReferenceEngine::Outcome ReferenceEngine::process_ip(const Bytes& packet, bool v4, Frame frame) {
  const auto stop = [&](Verdict verdict) { return Outcome{.verdict = verdict, .frame = frame}; };
  if (packet.size() < (v4 ? 20 : 40)) return stop(Verdict::kDropTruncated);
  if (packet[0] / 16 != (v4 ? 4 : 6)) return stop(Verdict::kDropMalformed);
  Flow flow{.source = v4 ? part(packet, 12, 4) : part(packet, 8, 16),
            .destination = v4 ? part(packet, 16, 4) : part(packet, 24, 16)};
  if (!is_vip(flow.destination)) return stop(Verdict::kPassNotVip);

  Bytes payload;
  FragmentOf fragment;
  Place place{.ip_at = frame.size() - packet.size(), .ip_bytes = v4 ? u16(packet, 2) : 40U + u16(packet, 4)};
  if (v4) {
    const std::size_t header = packet[0] % 16U * 4U;
    const std::size_t total = u16(packet, 2);
    if (header < 20 || total < header) return stop(Verdict::kDropMalformed);
    if (total > packet.size()) return stop(Verdict::kDropTruncated);
    const unsigned field = u16(packet, 6) % 0x4000;
    fragment = {field != 0, field % 0x2000 != 0, u16(packet, 4)};
    flow.protocol = packet[9];
    payload = part(packet, header, total - header);
  } else {
    if (u16(packet, 4) > packet.size() - 40) return stop(Verdict::kDropTruncated);
    flow.protocol = packet[6];
    payload = part(packet, 40, u16(packet, 4));
    const Verdict stripped = strip_extensions(payload, flow.protocol, fragment);
    if (stripped != Verdict::kForward) return stop(stripped);
  }
  if (fragment.later) {
    const Verdict followed = follow_fragment(fragment.id, true, flow);
    return followed == Verdict::kForward ? forward(flow, place, std::move(frame)) : stop(followed);
  }
  const bool is_icmp = flow.protocol == (v4 ? 1 : 58);
  if (flow.protocol != 6 && flow.protocol != 17 && !is_icmp) return stop(Verdict::kDropUnsupported);
  if (payload.size() < (flow.protocol == 6 ? 20 : 8)) return stop(Verdict::kDropTruncated);
  if (is_icmp && fragment.is) return stop(Verdict::kDropFragment);
  if (is_icmp) return icmp(payload, flow, place, std::move(frame));
  flow.source_port = u16(payload, 0);
  flow.destination_port = u16(payload, 2);
  flow.opens = flow.protocol == 6 ? opens_tcp(payload) : opens_quic(payload);
  flow.tcp_flags = flow.protocol == 6 ? payload[13] : 0;
  if (flow.protocol == 17 && !fragment.is) flow.datagram = behind(payload, 8);
  if (fragment.is) {
    const Verdict followed = follow_fragment(fragment.id, false, flow);
    if (followed != Verdict::kForward) return stop(followed);
  }
  return forward(flow, place, std::move(frame));
}

// What a first fragment says, and what a later one finds.
Verdict ReferenceEngine::follow_fragment(unsigned id, bool later, Flow& flow) {
  if (config_.fragments == FragmentPolicy::kDrop) return Verdict::kDropFragment;
  const bool v4 = flow.source.size() == 4;
  const auto key = std::make_tuple(flow.source, flow.destination, id, v4 ? flow.protocol : 0U);
  if (!later) {
    firsts_[key] = {flow.source_port, flow.destination_port, flow.protocol, now_ms_};
    return Verdict::kForward;
  }
  const auto first = firsts_.find(key);
  if (first == firsts_.end() || now_ms_ - first->second.seen_ms > 5000) return Verdict::kDropFragmentOrphan;
  flow.source_port = first->second.source_port;
  flow.destination_port = first->second.destination_port;
  flow.protocol = first->second.protocol;
  flow.follows = true;
  return Verdict::kForward;
}

bool ReferenceEngine::serves(const Bytes& vip) const {
  unsigned longest = 0;
  bool serving = false;
  for (std::size_t i = 0; i < services_.size(); ++i) {
    if (!owns(services_[i], vip)) continue;
    const unsigned bits = prefix_bits(services_[i]);
    if (bits > longest) serving = false;
    if (bits >= longest) serving = serving || !tables_[i].empty();
    longest = std::max(longest, bits);
  }
  return serving;
}

ReferenceEngine::Outcome ReferenceEngine::icmp(const Bytes& message, Flow flow, const Place& place, Frame frame) {
  const auto stop = [&](Verdict verdict) { return Outcome{.verdict = verdict, .frame = frame}; };
  const bool v4 = flow.source.size() == 4;
  const unsigned type = message[0];
  if (type == (v4 ? 8 : 128)) {
    const bool answer = config_.answer_echo == AnswerEcho::kAlways ||
                        (config_.answer_echo == AnswerEcho::kWhileServing && serves(flow.destination));
    if (!answer || place.ip_bytes != (v4 ? 20U : 40U) + message.size() || !may_answer(frame, flow.source)) {
      return stop(Verdict::kDropIcmp);
    }
    return {.verdict = Verdict::kReplyEcho, .frame = reference_echo(frame, place.ip_at, place.ip_bytes)};
  }
  if (v4 ? type != 3 && type != 11 && type != 12 : type < 1 || type > 4) return stop(Verdict::kDropIcmp);
  Bytes quoted = behind(message, 8);
  if (quoted.size() < (v4 ? 20 : 40) || quoted[0] / 16 != (v4 ? 4 : 6)) return stop(Verdict::kDropIcmp);
  const Bytes source = v4 ? part(quoted, 12, 4) : part(quoted, 8, 16);
  flow.source = v4 ? part(quoted, 16, 4) : part(quoted, 24, 16);
  if (source != flow.destination) return stop(Verdict::kDropIcmp);
  if (v4) {
    const std::size_t header = quoted[0] % 16U * 4U;
    if (header < 20 || u16(quoted, 6) % 0x2000 != 0 || quoted.size() < header) return stop(Verdict::kDropIcmp);
    flow.protocol = quoted[9];
    quoted = behind(quoted, header);
  } else {
    FragmentOf fragment;
    flow.protocol = quoted[6];
    quoted = behind(quoted, 40);
    if (strip_extensions(quoted, flow.protocol, fragment) != Verdict::kForward || fragment.later) {
      return stop(Verdict::kDropIcmp);
    }
  }
  if ((flow.protocol != 6 && flow.protocol != 17) || quoted.size() < 4) return stop(Verdict::kDropIcmp);
  flow.source_port = u16(quoted, 2);
  flow.destination_port = u16(quoted, 0);
  flow.follows = true;
  return forward(flow, place, std::move(frame));
}

std::uint64_t ReferenceEngine::flow_hash(const Flow& flow) const {
  return reference_hash(key_, flow.source, flow.destination, static_cast<std::uint16_t>(flow.source_port),
                        static_cast<std::uint16_t>(flow.destination_port), static_cast<std::uint8_t>(flow.protocol));
}

std::uint64_t ReferenceEngine::slot_hash(const ServiceConfig& service, const Flow& flow) const {
  if (service.hash == HashBy::kFlow) return flow_hash(flow);
  const bool v4 = flow.source.size() == 4;
  unsigned bits = v4 ? 32 : 128;
  if (service.hash == HashBy::kSourceNetwork) bits = service.network_bits != 0 ? service.network_bits : v4 ? 24 : 56;
  Bytes source = flow.source;
  for (unsigned bit = bits; bit < 8 * source.size(); ++bit) {
    source[bit / 8] = static_cast<std::uint8_t>(source[bit / 8] & ~(0x80U >> bit % 8));
  }
  return reference_hash(key_, source, Bytes(source.size()), 0, 0, 0);
}

ReferenceEngine::Outcome ReferenceEngine::forward(const Flow& flow, const Place& place, Frame frame) {
  Outcome outcome{.verdict = Verdict::kDropNoService, .frame = std::move(frame)};
  const IpAddress source = IpAddress::from_bytes(flow.source);
  if (std::ranges::any_of(config_.probe_sources, [&](const IpPrefix& own) { return own.contains(source); })) {
    outcome.verdict = is_vip(flow.destination) ? Verdict::kDropReservedSource : Verdict::kPassNotVip;
    return outcome;
  }
  unsigned closest = 0;  // twice the length of the prefix, and one for a port that is meant
  for (std::size_t i = 0; i < services_.size(); ++i) {
    const ServiceConfig& service = services_[i];
    const unsigned last = service.last_port == 0 ? service.port : service.last_port;
    if (!owns(service, flow.destination) || static_cast<unsigned>(service.protocol) != flow.protocol) continue;
    if (flow.destination_port < service.port || flow.destination_port > last) continue;
    const unsigned close = 2 * prefix_bits(service) + (service.any_port() ? 0U : 1U);
    if (close < closest) continue;
    closest = close;
    outcome.service = i;
  }
  if (!outcome.service) return outcome;
  const std::vector<std::uint16_t>& table = tables_[*outcome.service];
  outcome.verdict = Verdict::kDropNoBackend;
  if (table.empty()) return outcome;
  const ServiceConfig& service = services_[*outcome.service];
  const std::uint64_t hash = slot_hash(service, flow);
  ReferenceFlows::Packet packet{.slot = hash / 0x100000000ULL * table.size() / 0x100000000ULL,
                                .opens = flow.opens && !flow.follows,
                                .closes = !flow.follows && flow.tcp_flags % 2 == 1 && flow.tcp_flags / 4 % 2 == 0,
                                .resets = !flow.follows && flow.tcp_flags / 4 % 2 == 1,
                                .follows = flow.follows,
                                .now_ms = now_ms_,
                                .idle_ms = flow.protocol == 6 ? config_.tcp_idle_ms : config_.udp_idle_ms};
  for (const Bytes& address : {flow.source, flow.destination}) packet.flow.append(address.begin(), address.end());
  packet.flow += " " + std::to_string(flow.source_port) + " " + std::to_string(flow.destination_port);
  if (const auto named = reference_quic(service, input_.backends[*outcome.service], flow.datagram)) {
    outcome.by = ReferenceFlows::By::kConnectionId;
    outcome.backend = named;
  } else {
    const ReferenceFlows::Choice choice = flows_[service.name].choose(packet, service.track);
    outcome.by = choice.by;
    outcome.backend = 0;
    while (service.backends.at(*outcome.backend).name != choice.backend) ++*outcome.backend;
  }
  const l4lb::BackendState& state = input_.backends[*outcome.service][*outcome.backend];
  outcome.verdict = Verdict::kDropNextHopUnresolved;
  if (!state.next_hop_mac) return outcome;
  send(flow, place, flow_hash(flow), outcome);
  return outcome;
}

void ReferenceEngine::send(const Flow& flow, const Place& place, std::uint64_t hash, Outcome& outcome) const {
  const ServiceConfig& service = services_[*outcome.service];
  outcome.verdict = Verdict::kForward;
  if (service.forwarding != Forwarding::kL2) {
    const Frame ethernet(outcome.frame.begin(), outcome.frame.begin() + static_cast<std::ptrdiff_t>(place.ip_at));
    Bytes inner;
    for (std::size_t i = 0; i < place.ip_bytes; ++i) {
      inner.push_back(std::to_integer<std::uint8_t>(outcome.frame.at(place.ip_at + i)));
    }
    const TunnelResult result =
        reference_tunnel(service, service.backends[*outcome.backend].address, input_.mtu_bytes, hash, ethernet, inner);
    outcome.verdict = result.verdict;
    if (flow.follows && result.verdict == Verdict::kReplyTooBig) {
      outcome.verdict = Verdict::kDropTooBig;
      return;
    }
    outcome.frame = result.verdict == Verdict::kDropTooBig ? outcome.frame : result.frame;
    if (result.verdict != Verdict::kForward) return;
  }
  const l4lb::BackendState& state = input_.backends[*outcome.service][*outcome.backend];
  for (std::size_t i = 0; i < 6; ++i) {
    outcome.frame[i] = static_cast<std::byte>(state.next_hop_mac->bytes()[i]);
    outcome.frame[6 + i] = static_cast<std::byte>(input_.source_mac.bytes()[i]);
  }
}

}  // namespace anypop::l4lb_testing
