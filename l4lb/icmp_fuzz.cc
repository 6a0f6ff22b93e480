// SPDX-License-Identifier: Apache-2.0
// Any bytes as frames to a small PoP that answers pings and has a narrow tunnel. Whatever it answers is a correct ICMP
// message, of the right size, to whoever asked; whatever follows a flow by what an ICMP error says, quotes that flow.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "flow.h"
#include "icmp.h"
#include "l4lb/pipeline.h"
#include "l4lb_testing/fuzz_input.h"
#include "l4lb_testing/packets.h"
#include "parse.h"

namespace {

using anypop::l4lb_testing::Frame;
using anypop::l4lb_testing::require;
namespace l4lb = anypop::l4lb;

constexpr anypop::EngineConfig kEngine = {
    .answer_echo = anypop::AnswerEcho::kAlways, .echo_per_second = 1'000'000, .too_big_per_second = 1'000'000};
constexpr std::size_t kInnerMax = 100;  // bytes that fit the tunnel

// Any TCP and any UDP port of every address, so that the input need not guess one.
std::vector<anypop::ServiceConfig> make_services() {
  std::vector<anypop::ServiceConfig> services;
  for (const char* vip : {"0.0.0.0", "::"}) {
    for (const anypop::Protocol protocol : {anypop::Protocol::kTcp, anypop::Protocol::kUdp}) {
      anypop::ServiceConfig& service = services.emplace_back();
      service.vip = *anypop::IpAddress::parse(vip);
      service.vip_prefix_bits = 0;
      service.protocol = protocol;
      service.last_port = 65535;
      service.forwarding = anypop::Forwarding::kIpip;
      service.table_size = 7;
      service.tunnel = {.sources = {*anypop::IpPrefix::parse("172.16.0.0/16")}, .mtu_bytes = kInnerMax + 20};
      service.backends.push_back({.name = "b", .address = *anypop::IpAddress::parse("10.0.0.1")});
    }
  }
  return services;
}

unsigned word(const Frame& frame, std::size_t at) {
  return std::to_integer<unsigned>(frame[at]) * 256U + std::to_integer<unsigned>(frame[at + 1]);
}

std::uint32_t sum(const Frame& frame, std::size_t from, std::size_t to, std::uint32_t start = 0) {
  return anypop::l4lb_testing::checksum_sum(std::span(frame).subspan(from, to - from), start);
}

// Of the ICMP message of a packet without options that ends with the frame's `end`.
std::uint16_t icmp_checksum(const Frame& frame, std::size_t ip_at, std::size_t end, bool v4) {
  const std::size_t icmp_at = ip_at + (v4 ? 20 : 40);
  std::uint32_t pseudo = 0;
  if (!v4) pseudo = sum(frame, ip_at + 8, ip_at + 40, static_cast<std::uint32_t>(end - icmp_at) + 58);
  return anypop::l4lb_testing::checksum_fold(sum(frame, icmp_at, end, pseudo));
}

std::size_t end_of(const Frame& frame, std::size_t ip_at, bool v4) {
  return ip_at + (v4 ? word(frame, ip_at + 2) : 40 + word(frame, ip_at + 4));
}

void check_turned_round(const Frame& before, const Frame& after, std::size_t ip_at, bool v4) {
  const std::size_t bytes = v4 ? 4 : 16;
  const auto source = static_cast<std::ptrdiff_t>(ip_at + (v4 ? 12 : 8));
  const auto destination = source + static_cast<std::ptrdiff_t>(bytes);
  require(std::equal(after.begin() + source, after.begin() + destination, before.begin() + destination));
  require(std::equal(after.begin() + destination, after.begin() + destination + static_cast<std::ptrdiff_t>(bytes),
                     before.begin() + source));
  require(std::equal(after.begin(), after.begin() + 6, before.begin() + 6));
  if (v4) require(anypop::l4lb_testing::checksum_fold(sum(after, ip_at, ip_at + 20)) == 0);
}

void check_echo(const Frame& before, const Frame& after, std::size_t ip_at, bool v4) {
  require(before.size() == after.size());
  check_turned_round(before, after, ip_at, v4);
  const std::size_t end = end_of(after, ip_at, v4);
  require(end == end_of(before, ip_at, v4));
  const auto payload = static_cast<std::ptrdiff_t>(ip_at + (v4 ? 20 : 40) + 4);
  require(std::equal(after.begin() + payload, after.end(), before.begin() + payload));
  // Right stays right, wrong stays wrong.
  require((icmp_checksum(before, ip_at, end, v4) == 0) == (icmp_checksum(after, ip_at, end, v4) == 0));
}

void check_too_big(const Frame& before, const Frame& after, std::size_t ip_at, bool v4) {
  check_turned_round(before, after, ip_at, v4);
  const std::size_t end = end_of(after, ip_at, v4);
  const std::size_t quoted_at = ip_at + (v4 ? 28 : 48);
  require(end == after.size() && end - ip_at <= (v4 ? 576U : 1280U) && end > quoted_at);
  require(icmp_checksum(after, ip_at, end, v4) == 0);
  require(word(after, quoted_at - 2) == kInnerMax);
  require(end_of(before, ip_at, v4) - ip_at > kInnerMax);
  require(std::equal(after.begin() + static_cast<std::ptrdiff_t>(quoted_at), after.end(),
                     before.begin() + static_cast<std::ptrdiff_t>(ip_at)));
}

template <class F>
void check_error(const Frame& frame, std::uint32_t ip_at) {
  l4lb::Flow<F> of_message;
  const l4lb::IpFinding found = l4lb::parse_ip<F>(frame, ip_at, of_message);
  if (found.fault != l4lb::Verdict::kDropIcmp) return;
  l4lb::Flow<F> flow = of_message;
  if (l4lb::parse_icmp<F>(frame, found, flow) != l4lb::IcmpKind::kError) return require(flow == of_message);
  require(flow.destination == of_message.destination);
  l4lb::Flow<F> quoted;
  require(l4lb::parse_quoted<F>(std::span(frame).subspan(found.transport_at + 8), quoted));
  require(quoted.source == flow.destination && quoted.destination == flow.source);
  require(quoted.source_port == flow.destination_port && quoted.destination_port == flow.source_port);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto services = make_services();
  static const auto snapshot = l4lb::SnapshotBuilder(services, {7}, kEngine).build([] {
    l4lb::SnapshotInput input;
    const l4lb::BackendState state{.next_hop_mac = anypop::MacAddress({2, 0, 0, 0, 0, 1})};
    input.backends.assign(services.size(), {state});
    return input;
  }());
  static l4lb::Counters counters(services);
  static l4lb::WorkerState state(kEngine);
  static std::uint32_t now_ms = 0;
  now_ms += 60'000;

  const std::vector<Frame> inputs = anypop::l4lb_testing::split_burst({data, size});
  anypop::l4lb_testing::Burst burst(inputs);
  l4lb::process_burst(*snapshot, burst.packets(), now_ms, state, counters);
  for (std::size_t i = 0; i < burst.size(); ++i) {
    const l4lb::Packet& packet = burst[i];
    const l4lb::Layer2 layer2 = l4lb::parse_ethernet(inputs[i]);
    const bool v4 = layer2.next == l4lb::Layer2::Next::kIpv4;
    if (packet.verdict == l4lb::Verdict::kReplyEcho) check_echo(inputs[i], burst.frame(i), packet.ip_offset, v4);
    if (packet.verdict == l4lb::Verdict::kReplyTooBig) check_too_big(inputs[i], burst.frame(i), packet.ip_offset, v4);
    if (!l4lb::leaves(packet.verdict)) require(burst.frame(i) == inputs[i]);
    if (v4) check_error<l4lb::V4>(inputs[i], layer2.ip_offset);
    if (layer2.next == l4lb::Layer2::Next::kIpv6) check_error<l4lb::V6>(inputs[i], layer2.ip_offset);
  }
  return 0;
}
