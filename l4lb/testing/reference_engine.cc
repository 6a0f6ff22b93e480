// SPDX-License-Identifier: Apache-2.0
#include "l4lb_testing/reference_engine.h"

#include <algorithm>
#include <utility>

#include "reference_tunnel.h"

namespace anypop::l4lb_testing {

using l4lb::Verdict;

struct ReferenceEngine::Flow {
  std::vector<std::uint8_t> source;
  std::vector<std::uint8_t> destination;
  unsigned source_port = 0;
  unsigned destination_port = 0;
  unsigned protocol = 0;
};

namespace {

unsigned u16(const Bytes& bytes, std::size_t at) { return bytes.at(at) * 256U + bytes.at(at + 1); }
Bytes part(const Bytes& bytes, std::size_t at, std::size_t count) {
  Bytes result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(bytes.at(at + i));
  return result;
}
Bytes behind(const Bytes& bytes, std::size_t at) { return part(bytes, at, bytes.size() - at); }

// Strips extension headers from the front of `payload`. What stops it, or kForward.
Verdict strip_extensions(Bytes& payload, unsigned& protocol) {
  int stripped = 0;
  bool first = true;
  while (protocol == 43 || protocol == 44 || protocol == 60 || (protocol == 0 && first)) {
    if (stripped == 6) return Verdict::kDropUnsupported;
    if (payload.size() < 2 || (protocol == 44 && payload.size() < 8)) return Verdict::kDropTruncated;
    std::size_t bytes = 8;
    if (protocol == 44) {
      const unsigned field = u16(payload, 2);
      const bool more = field % 2 == 1;
      if (field / 8 != 0 || more) return Verdict::kDropFragment;
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

ReferenceEngine::ReferenceEngine(std::vector<ServiceConfig> services, const Key& key)
    : services_(std::move(services)), key_(key) {}

void ReferenceEngine::update(const l4lb::SnapshotInput& input) {
  input_ = input;
  tables_.clear();
  for (std::size_t i = 0; i < services_.size(); ++i) {
    std::vector<ReferenceMember> members;
    for (std::size_t j = 0; j < services_[i].backends.size(); ++j) {
      const BackendConfig& backend = services_[i].backends[j];
      if (!input.backends[i][j].healthy) continue;
      members.push_back({.name = backend.name, .weight = backend.weight, .backend = static_cast<std::uint16_t>(j)});
    }
    tables_.push_back(members.empty() ? std::vector<std::uint16_t>{}
                                      : reference_maglev(members, services_[i].table_size));
  }
}

bool ReferenceEngine::is_vip(const Bytes& address) const {
  return std::any_of(services_.begin(), services_.end(),
                     [&](const ServiceConfig& service) { return std::ranges::equal(service.vip.bytes(), address); });
}

ReferenceEngine::Outcome ReferenceEngine::process(const Frame& frame) const {
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

ReferenceEngine::Outcome ReferenceEngine::process_ip(const Bytes& packet, bool v4, Frame frame) const {
  const auto stop = [&](Verdict verdict) { return Outcome{.verdict = verdict, .frame = frame}; };
  if (packet.size() < (v4 ? 20 : 40)) return stop(Verdict::kDropTruncated);
  if (packet[0] / 16 != (v4 ? 4 : 6)) return stop(Verdict::kDropMalformed);
  Flow flow{.source = v4 ? part(packet, 12, 4) : part(packet, 8, 16),
            .destination = v4 ? part(packet, 16, 4) : part(packet, 24, 16)};
  if (!is_vip(flow.destination)) return stop(Verdict::kPassNotVip);

  Bytes payload;
  Place place{.ip_at = frame.size() - packet.size(), .ip_bytes = v4 ? u16(packet, 2) : 40U + u16(packet, 4)};
  if (v4) {
    const std::size_t header = packet[0] % 16U * 4U;
    const std::size_t total = u16(packet, 2);
    if (header < 20 || total < header) return stop(Verdict::kDropMalformed);
    if (total > packet.size()) return stop(Verdict::kDropTruncated);
    if (u16(packet, 6) % 0x4000 != 0) return stop(Verdict::kDropFragment);
    flow.protocol = packet[9];
    payload = part(packet, header, total - header);
  } else {
    if (u16(packet, 4) > packet.size() - 40) return stop(Verdict::kDropTruncated);
    flow.protocol = packet[6];
    payload = part(packet, 40, u16(packet, 4));
    const Verdict stripped = strip_extensions(payload, flow.protocol);
    if (stripped != Verdict::kForward) return stop(stripped);
  }
  if (flow.protocol != 6 && flow.protocol != 17) return stop(Verdict::kDropUnsupported);
  if (payload.size() < (flow.protocol == 6 ? 20 : 8)) return stop(Verdict::kDropTruncated);
  flow.source_port = u16(payload, 0);
  flow.destination_port = u16(payload, 2);
  return forward(flow, place, std::move(frame));
}

ReferenceEngine::Outcome ReferenceEngine::forward(const Flow& flow, const Place& place, Frame frame) const {
  Outcome outcome{.verdict = Verdict::kDropNoService, .frame = std::move(frame)};
  for (std::size_t i = 0; i < services_.size(); ++i) {
    if (std::ranges::equal(services_[i].vip.bytes(), flow.destination) && services_[i].port == flow.destination_port &&
        static_cast<unsigned>(services_[i].protocol) == flow.protocol) {
      outcome.service = i;
    }
  }
  if (!outcome.service) return outcome;
  const std::vector<std::uint16_t>& table = tables_[*outcome.service];
  outcome.verdict = Verdict::kDropNoBackend;
  if (table.empty()) return outcome;
  const std::uint64_t hash =
      reference_hash(key_, flow.source, flow.destination, static_cast<std::uint16_t>(flow.source_port),
                     static_cast<std::uint16_t>(flow.destination_port), static_cast<std::uint8_t>(flow.protocol));
  outcome.backend = table[hash / 0x100000000ULL * table.size() / 0x100000000ULL];
  const l4lb::BackendState& state = input_.backends[*outcome.service][*outcome.backend];
  outcome.verdict = Verdict::kDropNextHopUnresolved;
  if (!state.next_hop_mac) return outcome;
  send(place, hash, outcome);
  return outcome;
}

void ReferenceEngine::send(const Place& place, std::uint64_t hash, Outcome& outcome) const {
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
