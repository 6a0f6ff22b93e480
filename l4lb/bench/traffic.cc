// SPDX-License-Identifier: Apache-2.0
#include "l4lb_bench/traffic.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>
#include <random>

#include <fmt/format.h>
#include <sys/mman.h>

#include "l4lb/explain.h"

namespace anypop::l4lb_bench {
namespace {

constexpr std::uint16_t kPort = 80;
constexpr std::ptrdiff_t kTagAt = 12;
constexpr std::size_t kSourceAt4 = 26;  // in the frame: the last four bytes of the source address
constexpr std::size_t kSourceAt6 = 22 + 12;

std::string vip(Family family, std::size_t index) {
  return family == Family::kV4 ? fmt::format("198.51.{}.{}", 100 + index / 250, 1 + index % 250)
                               : fmt::format("2001:db8:53::{:x}", 1 + index);
}

std::string backend_address(Family family, std::size_t index) {
  return family == Family::kV4 ? fmt::format("10.{}.{}.{}", 1 + index / 62'500, index / 250 % 250, 1 + index % 250)
                               : fmt::format("2001:db8:a::{:x}", 1 + index);
}

// Before the EtherType, which becomes the tag's.
void tag(std::vector<std::byte>& frame) {
  constexpr std::array<std::byte, 4> kTag = {std::byte{0x81}, std::byte{0}, std::byte{0}, std::byte{7}};
  frame.insert(frame.begin() + kTagAt, kTag.begin(), kTag.end());
}

// A frame to each service, from the flow 0.
std::vector<std::vector<std::byte>> make_templates(const TrafficOptions& options) {
  std::vector<std::vector<std::byte>> templates;
  const bool v4 = options.family == Family::kV4;
  for (std::size_t i = 0; i < options.services; ++i) {
    l4lb::FlowQuestion question{
        .protocol = options.kind == Kind::kUdp ? Protocol::kUdp : Protocol::kTcp,
        .source = *IpAddress::parse(v4 ? "192.0.2.0" : "2001:db8:c::"),
        .destination = *IpAddress::parse(vip(options.family, i + (options.to_vips ? 0 : 10'000))),
        .source_port = 1024,
        .destination_port = kPort,
        .opens = options.kind == Kind::kSyn};
    question.ip_bytes = v4 ? 46 : 0;  // with the Ethernet header and its checksum 64
    const auto memory = *l4lb::make_packet(question);
    auto& frame = templates.emplace_back(memory.begin() + l4lb::kHeadroomBytes, memory.end());
    if (options.vlan_tag) tag(frame);
  }
  return templates;
}

// Which flow each packet belongs to, in the order of arrival.
std::vector<std::uint32_t> arrivals(const TrafficOptions& options) {
  std::mt19937_64 random(1);
  std::vector<std::uint32_t> flows(std::max(options.flows, options.packets_min));
  if (options.zipf) {
    std::vector<double> upto(options.flows);
    double sum = 0;
    for (std::size_t i = 0; i < options.flows; ++i) upto[i] = sum += 1.0 / static_cast<double>(i + 1);
    std::uniform_real_distribution<double> draw(0, sum);
    for (std::uint32_t& flow : flows) {
      const auto at = std::ranges::upper_bound(upto, draw(random));
      flow = static_cast<std::uint32_t>(
          std::min<std::ptrdiff_t>(at - upto.begin(), static_cast<std::ptrdiff_t>(upto.size()) - 1));
    }
    return flows;
  }
  for (std::size_t i = 0; i < flows.size(); ++i) flows[i] = static_cast<std::uint32_t>(i % options.flows);
  std::ranges::shuffle(flows, random);
  return flows;
}

}  // namespace

Buffer::Buffer(std::size_t bytes) : bytes_(bytes) {
  constexpr std::size_t kHuge = 2U << 20U;
  const std::size_t rounded = (bytes + kHuge - 1) / kHuge * kHuge;
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kHuge, rounded)));
  if (memory_ == nullptr) throw std::bad_alloc();
  (void)::madvise(memory_.get(), rounded, MADV_HUGEPAGE);
  std::memset(memory_.get(), 0, rounded);
}
void Buffer::Free::operator()(std::byte* memory) const { std::free(memory); }

Traffic make_traffic(const TrafficOptions& options) {
  const auto templates = make_templates(options);
  const auto flows = arrivals(options);
  const std::size_t tag_bytes = options.vlan_tag ? 4 : 0;
  Traffic traffic{.headers = Buffer(flows.size() * Traffic::kHeaderBytes),
                  .packets = flows.size(),
                  .packet_bytes = static_cast<std::uint32_t>(templates[0].size()),
                  .source_at = tag_bytes + (options.family == Family::kV4 ? kSourceAt4 : kSourceAt6),
                  .source_port_at = tag_bytes + (options.family == Family::kV4 ? 34U : 54U)};
  for (std::size_t i = 0; i < flows.size(); ++i) {
    std::byte* const header = traffic.headers.data() + i * Traffic::kHeaderBytes;
    const auto& from = templates[flows[i] % templates.size()];
    std::memcpy(header, from.data(), std::min(from.size(), Traffic::kHeaderBytes));
    const std::uint32_t address = flows[i] * 2654435761U;  // odd, so that no two flows have the same one
    std::memcpy(header + traffic.source_at, &address, sizeof(address));
  }
  return traffic;
}

Pool::Pool() : memory_(kBuffers * kBufferBytes) {}

std::span<l4lb::Packet> Pool::receive(const Traffic& traffic, bool fresh) {
  for (l4lb::Packet& packet : burst_) {
    packet.data = memory_.data() + next_buffer_ * kBufferBytes + kHeadroom;
    packet.headroom_bytes = kHeadroom;
    packet.length_bytes = traffic.packet_bytes;
    const std::byte* const header = traffic.headers.data() + next_header_ * Traffic::kHeaderBytes;
    // A NIC has put packets into the cache before they are taken up; here the headers of the next burst are asked for
    // beside this one, so that memory is waited for neither between bursts nor in the loop that only copies.
    __builtin_prefetch(header + kBurst * Traffic::kHeaderBytes);
    __builtin_prefetch(header + kBurst * Traffic::kHeaderBytes + Traffic::kHeaderBytes - 1);
    std::memcpy(packet.data, header, Traffic::kHeaderBytes);
    if (fresh) {
      // The upper half over the address, the rest over the port. Odd multiples, so that no flow comes twice.
      const std::uint64_t flow = ++next_flow_ * 0x9e3779b97f4a7c15ULL;
      std::memcpy(packet.data + traffic.source_at, &flow, 4);
      std::memcpy(packet.data + traffic.source_port_at, reinterpret_cast<const std::byte*>(&flow) + 4, 2);
    }
    next_buffer_ = (next_buffer_ + 1) % kBuffers;
    if (++next_header_ == traffic.packets) next_header_ = 0;
  }
  return burst_;
}

std::vector<ServiceConfig> make_services(const ServiceOptions& options) {
  std::vector<ServiceConfig> services(options.services);
  for (std::size_t i = 0; i < services.size(); ++i) {
    ServiceConfig& service = services[i];
    service.name = fmt::format("s{}", i);
    service.vip = *IpAddress::parse(vip(options.family, i));
    service.port = kPort;
    service.protocol = options.protocol;
    service.track = options.track;
    service.forwarding = options.forwarding;
    service.tunnel.sources = {*IpPrefix::parse("172.16.0.0/16"), *IpPrefix::parse("2001:db8:f::/64")};
    for (std::size_t j = 0; j < options.backends; ++j) {
      const std::size_t number = j + (options.own_pools ? i * options.backends : 0);
      service.backends.push_back(
          {.name = fmt::format("b{}", number), .address = *IpAddress::parse(backend_address(options.outer, number))});
    }
  }
  return services;
}

l4lb::SnapshotInput all_healthy(const std::vector<ServiceConfig>& services) {
  l4lb::SnapshotInput input;
  for (const ServiceConfig& service : services) {
    input.backends.emplace_back(service.backends.size(),
                                l4lb::BackendState{.next_hop_mac = MacAddress({2, 0, 0, 0, 0, 1})});
  }
  return input;
}

}  // namespace anypop::l4lb_bench
