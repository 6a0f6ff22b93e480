// SPDX-License-Identifier: Apache-2.0
// The engine against the reference engine, on random packets to random PoPs whose backends come and go.
#include <cstdlib>
#include <iostream>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "l4lb/pipeline.h"
#include "l4lb_testing/packet_builder.h"
#include "l4lb_testing/packets.h"
#include "l4lb_testing/reference_engine.h"

namespace anypop::l4lb {
namespace {

using l4lb_testing::eth;
using l4lb_testing::Frame;
using l4lb_testing::hex;
using l4lb_testing::IpFields;
using l4lb_testing::PacketBuilder;
using l4lb_testing::ReferenceEngine;

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class T>
  const T& of(const std::vector<T>& choices) {
    return choices[below(choices.size())];
  }

 private:
  std::mt19937_64 engine_;
};

std::uint64_t seed_of_this_run() {
  const char* text = std::getenv("ANYPOP_SEED");
  const std::uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
  std::cout << "seed " << seed << " (ANYPOP_SEED repeats it)\n";
  return seed;
}

// Few addresses and ports, so that hits, near misses and shared VIPs are all frequent.
std::string random_address(Random& random, Family family) {
  const std::uint64_t last = random.below(6);
  return family == Family::kV4 ? fmt::format("198.51.100.{}", last) : fmt::format("2001:db8:53::{}", last);
}
std::uint16_t random_port(Random& random) { return random.of<std::uint16_t>({0, 53, 80, 443, 65535}); }

TunnelConfig random_tunnel(Random& random) {
  return {.sources = {*IpPrefix::parse(random.of<std::string>({"172.16.0.0/16", "172.16.0.2/31", "172.16.7.1/32"})),
                      *IpPrefix::parse(random.of<std::string>({"2001:db8:f::/64", "2001:db8:f::2/127", "::/0"}))},
          .mtu_bytes = random.of<unsigned>({0, 120, 1500}),
          .gue_zero_checksum = random.one_in(2)};
}

// Server IDs are as many bytes as told, all of them the backend's number.
std::vector<QuicConfig> random_quic(Random& random) {
  std::vector<QuicConfig> quic = {{.config_id = 0, .server_id_bytes = random.of<unsigned>({1, 2})}};
  if (random.one_in(2)) quic.push_back({.config_id = 6, .server_id_bytes = random.of<unsigned>({3, 15})});
  return quic;
}

// Ranges, any port, prefixes.
void widen(Random& random, ServiceConfig& service) {
  if (random.one_in(4))
    service.last_port = static_cast<std::uint16_t>(std::min(service.port + random.below(400), 65535UL));
  if (service.last_port == service.port) service.last_port = 0;
  if (random.one_in(6)) service.port = 0, service.last_port = 65535;
  if (!random.one_in(4)) return;
  const bool v4 = service.vip.family() == Family::kV4;
  service.vip_prefix_bits = (v4 ? 32U : 128U) - random.of<unsigned>({0, 1, 2, 8});
  std::vector<std::uint8_t> bytes(service.vip.bytes().begin(), service.vip.bytes().end());
  const unsigned cleared = (v4 ? 32U : 128U) - *service.vip_prefix_bits;
  bytes.back() = static_cast<std::uint8_t>(bytes.back() >> cleared << cleared);
  service.vip = IpAddress::from_bytes(bytes);
}

// What the configuration refuses.
bool collide(const ServiceConfig& a, const ServiceConfig& b) {
  return a.vip_prefix() == b.vip_prefix() && a.protocol == b.protocol && a.any_port() == b.any_port() &&
         a.port <= b.end_port() && b.port <= a.end_port();
}

std::vector<ServiceConfig> random_services(Random& random) {
  std::vector<ServiceConfig> services;
  for (std::uint64_t i = 0, count = random.below(20); i < count; ++i) {
    const Family family = random.one_in(2) ? Family::kV4 : Family::kV6;
    ServiceConfig service{.name = fmt::format("s{}", i),
                          .vip = *IpAddress::parse(random_address(random, family)),
                          .protocol = random.one_in(2) ? Protocol::kTcp : Protocol::kUdp,
                          .port = random_port(random)};
    service.table_size = random.of<unsigned>({7, 251, 1009});
    widen(random, service);
    if (std::ranges::any_of(services, [&](const ServiceConfig& other) { return collide(service, other); })) continue;
    service.track = random.one_in(2) ? Track::kChanges : static_cast<Track>(random.below(3));
    service.hash = random.one_in(2) ? HashBy::kFlow : static_cast<HashBy>(random.below(3));
    service.network_bits = service.hash == HashBy::kSourceNetwork ? random.of<unsigned>({0, 31, 9}) : 0;
    service.forwarding = static_cast<Forwarding>(random.below(4));
    service.tunnel = random_tunnel(random);
    if (service.protocol == Protocol::kUdp && random.one_in(2)) service.quic = random_quic(random);
    for (std::uint64_t j = 0, backends = 1 + random.below(7); j < backends; ++j) {
      const bool v4 = random.one_in(2);
      service.backends.push_back({.name = fmt::format("b{}", random.below(1000) * 10 + j),
                                  .address = *IpAddress::parse(fmt::format("{}{}", v4 ? "10.1.0." : "2001:db8:a::", j)),
                                  .weight = static_cast<unsigned>(1 + (random.one_in(2) ? 0 : random.below(1000)))});
      for (const QuicConfig& quic : service.quic) {
        service.backends.back().server_ids.emplace_back(quic.server_id_bytes, static_cast<char>(j));
      }
    }
    services.push_back(service);
  }
  return services;
}

EngineConfig random_engine(Random& random) {
  // Limits that are never reached, and a table so large that no bucket overflows: the reference engine knows of
  // neither.
  EngineConfig config{.fragment_records = 1U << 16U, .echo_per_second = 1'000'000, .too_big_per_second = 1'000'000};
  config.answer_echo = static_cast<AnswerEcho>(random.below(3));
  // Short, so that windows close and records expire while a PoP is tried.
  config.flow_records = 1U << 15U;
  config.flow_window_ms = random.of<unsigned>({1000, 5000, 20'000});
  config.tcp_idle_ms = random.of<unsigned>({3000, 60'000});
  config.udp_idle_ms = random.of<unsigned>({3000, 60'000});
  if (random.one_in(4)) {
    config.probe_sources = {*IpPrefix::parse(random.of<std::string>({"192.0.2.0/28", "192.0.2.16/28"})),
                            *IpPrefix::parse(random.of<std::string>({"2001:db8:c::/124", "2001:db8:c::10/124"}))};
  }
  config.fragments = random.one_in(4) ? FragmentPolicy::kDrop : FragmentPolicy::kFollow;
  return config;
}

SnapshotInput random_input(Random& random, const std::vector<ServiceConfig>& services) {
  SnapshotInput input{.source_mac = *MacAddress::parse("02:00:00:00:ff:01"),
                      .mtu_bytes = random.of<unsigned>({300, 600, 1500})};
  const bool idles = random.one_in(2);
  for (const ServiceConfig& service : services) {
    if (idles) input.idle.push_back(random.one_in(2));
    input.backends.emplace_back();
    const std::uint64_t sick = 1 + random.below(4);
    for (std::size_t i = 0; i < service.backends.size(); ++i) {
      BackendState state{.healthy = !random.one_in(sick)};
      if (random.one_in(4)) state.weight_permille = random.of<unsigned>({0, 0, 50, 999});
      if (!random.one_in(5)) state.next_hop_mac = *MacAddress::parse(fmt::format("02:00:00:00:00:{:02x}", i));
      input.backends.back().push_back(state);
    }
  }
  return input;
}

// Where a packet is sent: mostly to a service, else to somewhere near one.
struct Target {
  std::string address;
  Family family = Family::kV4;
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;
};

Target random_target(Random& random, const std::vector<ServiceConfig>& services) {
  if (!services.empty() && !random.one_in(3)) {
    const ServiceConfig& service = random.of(services);
    const auto port = static_cast<std::uint16_t>(service.port + random.below(service.end_port() - service.port + 1U));
    if (random.one_in(2)) return {service.vip.to_string(), service.vip.family(), service.protocol, port};
    return {random_address(random, service.vip.family()), service.vip.family(), service.protocol, port};
  }
  const Family family = random.one_in(2) ? Family::kV4 : Family::kV6;
  return {random_address(random, family), family, random.one_in(2) ? Protocol::kTcp : Protocol::kUdp,
          random_port(random)};
}

// The start of a packet that may have been sent by the VIP.
Frame random_quoted(Random& random, const Target& target) {
  const bool v4 = target.family == Family::kV4;
  IpFields fields{.source = target.address, .destination = v4 ? "192.0.2.10" : "2001:db8:c::10"};
  fields.more_fragments = random.one_in(8);
  fields.fragment_offset = random.one_in(8) ? 1 : 0;
  fields.option_bytes = random.one_in(4) ? 8 : 0;
  PacketBuilder quoted = eth().ip(fields);
  if (!v4 && random.one_in(4)) quoted.hop_by_hop();
  if (!v4 && random.one_in(4)) quoted.fragment({.offset = static_cast<std::uint16_t>(random.below(2)), .more = true});
  if (target.protocol == Protocol::kTcp) quoted.tcp({.source = target.port});
  if (target.protocol == Protocol::kUdp) quoted.udp({.source = target.port});
  const Frame frame = quoted.payload(random.below(200));
  const std::size_t bytes = random.one_in(3) ? random.below(frame.size() - 14) : frame.size() - 14;
  return {frame.begin() + 14, frame.begin() + 14 + static_cast<std::ptrdiff_t>(bytes)};
}

void add_icmp(Random& random, const Target& target, PacketBuilder& builder) {
  const bool v4 = target.family == Family::kV4;
  std::uint8_t type = static_cast<std::uint8_t>(random.below(256));
  if (random.one_in(2)) type = v4 ? 3 : 2;
  if (random.one_in(3)) type = v4 ? 8 : 128;
  builder.icmp({.type = type, .code = static_cast<std::uint8_t>(random.below(3))});
  if (!random.one_in(4)) builder.raw(random_quoted(random, target));
}

// An Initial of version 1, or nearly one.
Frame random_initial(Random& random) {
  Frame datagram(random.one_in(4) ? 1199 : 1200);
  datagram[0] = static_cast<std::byte>(random.of<unsigned>({0xc0, 0xc0, 0xd0, 0x40}));
  datagram[4] = std::byte{1};
  return datagram;
}

Frame random_quic_datagram(Random& random) {
  if (random.one_in(3)) return random_initial(random);
  const auto any = [&] { return static_cast<std::byte>(random.below(256)); };
  const std::size_t id_bytes = random.one_in(2) ? 20 : random.below(22);
  Frame id(id_bytes, static_cast<std::byte>(random.below(8)));  // that many backends, or one less
  if (!id.empty()) id[0] = static_cast<std::byte>(random.of<unsigned>({0, 6, 6, 7, 1}) << 5U | random.below(32));
  Frame datagram = {any()};
  if ((datagram[0] & std::byte{0x80}) != std::byte{0}) {
    for (int i = 0; i < 4; ++i) datagram.push_back(any());
    datagram.push_back(static_cast<std::byte>(random.one_in(8) ? random.below(256) : id_bytes));
  }
  datagram.insert(datagram.end(), id.begin(), id.end());
  if (random.one_in(8)) datagram.resize(random.below(datagram.size() + 1));
  return datagram;
}

void add_transport(Random& random, const Target& target, PacketBuilder& builder) {
  // Mostly few ports, so that flows have many packets.
  const auto source = static_cast<std::uint16_t>(random.below(random.one_in(4) ? 65536 : 3));
  if (random.one_in(5)) return add_icmp(random, target, builder);
  if (target.protocol == Protocol::kTcp) {
    const std::uint8_t flags =
        random.of<std::uint8_t>({0x02, 0x02, 0x10, 0x18, 0x10, 0x12, 0x03, 0x06, 0x11, 0x11, 0x04, 0x14});
    builder.tcp({.source = source, .destination = target.port, .flags = flags});
  }
  if (target.protocol == Protocol::kUdp) {
    builder.udp({.source = source, .destination = target.port});
    if (!random.one_in(4)) builder.raw(random_quic_datagram(random));
  }
}

void add_extensions(Random& random, PacketBuilder& builder) {
  while (!random.one_in(3)) {
    const std::size_t bytes = 8 * (1 + random.below(4));
    switch (random.below(5)) {
      case 0: builder.hop_by_hop(bytes); break;
      case 1: builder.routing(bytes); break;
      case 2:
        builder.fragment({.offset = static_cast<std::uint16_t>(random.one_in(2)),
                          .more = random.one_in(2),
                          .identification = static_cast<std::uint32_t>(random.below(4) << 16U)});
        break;
      default: builder.destination_options(bytes); break;
    }
  }
}

// Senders whom no ICMP error may answer, and some that look like them.
std::vector<std::string> void_sources(Family family) {
  if (family == Family::kV4)
    return {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "223.255.255.255", "1.0.0.0"};
  return {"::", "::1", "::2", "ff02::1", "fe80::1"};
}

Frame random_frame(Random& random, const std::vector<ServiceConfig>& services) {
  PacketBuilder builder = eth({.destination = random.one_in(10) ? "03:00:00:00:00:01" : "02:00:00:00:00:01"});
  while (random.one_in(3)) builder.vlan(7, random.one_in(2) ? 0x8100 : 0x88a8);
  const Target target = random_target(random, services);
  std::string source = target.family == Family::kV4 ? fmt::format("192.0.2.{}", 14 + random.below(4))
                                                    : fmt::format("2001:db8:c::{:x}", 14 + random.below(4));
  if (random.one_in(10)) source = random.of<std::string>(void_sources(target.family));
  IpFields fields{.source = source, .destination = target.address};
  fields.traffic_class = static_cast<std::uint8_t>(random.below(256));
  fields.option_bytes = random.one_in(4) ? static_cast<std::uint8_t>(random.below(11) * 4) : 0;
  // Few clients and identifications, so that fragments meet.
  fields.identification = static_cast<std::uint16_t>(random.below(4));
  fields.fragment_offset = random.one_in(8) ? 1 : 0;
  fields.more_fragments = random.one_in(8);
  if (random.one_in(20)) fields.length = static_cast<std::uint16_t>(random.below(80));
  if (random.one_in(20)) fields.ihl = static_cast<std::uint8_t>(random.below(16));
  builder.ip(fields);
  if (target.family == Family::kV6 && random.one_in(3)) add_extensions(random, builder);
  add_transport(random, target, builder);
  builder.payload(random.below(random.one_in(3) ? 700 : 40));
  if (random.one_in(4)) builder.pad_to(60 + random.below(40));
  if (random.one_in(8)) builder.cut_to(random.below(120));
  Frame frame = builder.build();
  for (std::uint64_t flips = random.one_in(4) ? random.below(4) : 0; flips > 0 && !frame.empty(); --flips) {
    frame[random.below(frame.size())] ^= static_cast<std::byte>(1U << random.below(8));
  }
  return frame;
}

// The same services with other backends: some gone, some new, in another order.
std::vector<ServiceConfig> reconfigured(Random& random, std::vector<ServiceConfig> services) {
  for (ServiceConfig& service : services) {
    if (random.one_in(2)) continue;
    auto& backends = service.backends;
    if (backends.size() > 1 && random.one_in(2)) backends.erase(backends.begin());
    if (backends.size() < 7 && random.one_in(2)) {
      const bool v4 = random.one_in(2);
      const std::uint64_t number = random.below(1000);
      backends.push_back({.name = fmt::format("n{}", number),
                          .address = *IpAddress::parse(
                              fmt::format("{}{:x}", v4 ? "10.2.0." : "2001:db8:b::", v4 ? number % 10 : number))});
      const auto same = [&](const BackendConfig& other) { return other.name == backends.back().name; };
      if (std::ranges::count_if(backends, same) > 1) backends.pop_back();
    }
    std::ranges::rotate(backends, backends.begin() + static_cast<std::ptrdiff_t>(random.below(backends.size())));
    backends[0].weight = static_cast<unsigned>(1 + random.below(5));
  }
  return services;
}

struct Expected {
  std::array<std::uint64_t, kVerdictCount> verdicts{};
  std::array<std::uint64_t, 5> chosen{};          // by ChosenBy
  std::vector<std::vector<std::uint64_t>> bytes;  // [service][backend]
};

ChosenBy chosen_by(const ReferenceEngine::Outcome& outcome) {
  if (!outcome.by) return ChosenBy::kNobody;
  switch (*outcome.by) {
    case l4lb_testing::ReferenceFlows::By::kSlot: return ChosenBy::kSlot;
    case l4lb_testing::ReferenceFlows::By::kRecord: return ChosenBy::kRecord;
    case l4lb_testing::ReferenceFlows::By::kPreviousOwner: return ChosenBy::kPreviousOwner;
    case l4lb_testing::ReferenceFlows::By::kConnectionId: return ChosenBy::kConnectionId;
  }
  return ChosenBy::kNobody;
}

// The engine and the reference engine side by side, with one PoP.
class Pair {
 public:
  Pair(Random& random, std::array<std::uint64_t, kVerdictCount>& verdicts, std::array<std::uint64_t, 5>& chosen)
      : random_(random), verdicts_(verdicts), chosen_(chosen) {
    reference_.process({}, now());
    start_counting();
  }
  ~Pair() { check_counters(); }

  void change() {
    if (random_.one_in(3)) {
      check_counters();
      services_ = reconfigured(random_, services_);
      builder_.update_config(services_, key_, engine_);
      reference_.reconfigure(services_);
      start_counting();
    }
    SnapshotInput input = random_input(random_, services_);
    input.now_ms = now_ms_;
    reference_.update(input);
    snapshot_ = builder_.build(input);
  }

  void burst() {
    std::vector<Frame> inputs(1 + random_.below(kBurstMax));
    // Flows have many packets.
    for (Frame& input : inputs) {
      const bool again = !forwarded_.empty() && random_.one_in(3);
      input = again ? random_.of(forwarded_) : random_frame(random_, services_);
    }
    l4lb_testing::Burst burst(inputs);
    process_burst(*snapshot_, burst.packets(), now(), state_, *counters_);
    for (std::size_t i = 0; i < burst.size(); ++i) {
      const ReferenceEngine::Outcome outcome = reference_.process(inputs[i], now());
      ASSERT_NO_FATAL_FAILURE(compare(inputs[i], burst[i], burst.frame(i), outcome));
    }
    now_ms_ += random_.below(3000);
  }

 private:
  std::uint32_t now() const { return static_cast<std::uint32_t>(now_ms_); }

  void start_counting() {
    counters_ = std::make_unique<Counters>(services_);
    expected_ = {};
    for (const ServiceConfig& service : services_) expected_.bytes.emplace_back(service.backends.size());
  }

  void compare(const Frame& input, const Packet& packet, const Frame& frame, const ReferenceEngine::Outcome& outcome) {
    ASSERT_EQ(verdict_name(packet.verdict), verdict_name(outcome.verdict)) << hex(input);
    ASSERT_EQ(packet.service, outcome.service.value_or(kNone)) << hex(input);
    ASSERT_EQ(packet.backend, outcome.backend.value_or(kNone)) << hex(input);
    ASSERT_EQ(packet.chosen_by, chosen_by(outcome)) << hex(input);
    ASSERT_EQ(frame, outcome.frame) << hex(frame) << "\nexpected\n" << hex(outcome.frame);
    ++expected_.verdicts[static_cast<std::size_t>(outcome.verdict)];
    ++expected_.chosen[static_cast<std::size_t>(packet.chosen_by)];
    if (outcome.verdict != Verdict::kForward) return;
    if (forwarded_.size() < 100) forwarded_.push_back(input);
    expected_.bytes[*outcome.service][*outcome.backend] += outcome.frame.size();
  }

  void check_counters() {
    for (std::size_t i = 0; i < kVerdictCount; ++i) {
      EXPECT_EQ(counters_->verdict(static_cast<Verdict>(i)), expected_.verdicts[i]);
      verdicts_[i] += expected_.verdicts[i];
    }
    for (std::size_t i = 0; i < chosen_.size(); ++i) chosen_[i] += expected_.chosen[i];
    for (std::size_t i = 0; i < services_.size(); ++i) {
      for (std::size_t j = 0; j < services_[i].backends.size(); ++j) {
        EXPECT_EQ(counters_->backend(i, j).bytes, expected_.bytes[i][j]);
      }
    }
  }

  std::array<std::uint8_t, 16> random_key() {
    std::array<std::uint8_t, 16> key{};
    for (std::uint8_t& byte : key) byte = static_cast<std::uint8_t>(random_.below(256));
    return key;
  }

  Random& random_;
  std::array<std::uint64_t, kVerdictCount>& verdicts_;
  std::array<std::uint64_t, 5>& chosen_;
  std::vector<ServiceConfig> services_ = random_services(random_);
  std::array<std::uint8_t, 16> key_ = random_key();
  EngineConfig engine_ = random_engine(random_);
  std::uint64_t now_ms_ = random_.below(std::uint64_t{1} << 33U);
  SnapshotBuilder builder_{services_, key_, engine_};
  ReferenceEngine reference_{services_, key_, engine_};
  WorkerState state_{engine_};
  std::shared_ptr<const Snapshot> snapshot_;
  std::unique_ptr<Counters> counters_;
  Expected expected_;
  std::vector<Frame> forwarded_;  // some that were
};

// About 1300 packets each. ANYPOP_POPS=1000 makes it more than a million.
int pops_of_this_run() {
  const char* text = std::getenv("ANYPOP_POPS");
  return text != nullptr ? std::max(std::atoi(text), 60) : 60;
}

TEST(Differential, EngineAndReferenceAgreeOnRandomPackets) {
  Random random(seed_of_this_run());
  std::array<std::uint64_t, kVerdictCount> seen{};
  std::array<std::uint64_t, 5> chosen{};
  for (int pop = 0, pops = pops_of_this_run(); pop < pops; ++pop) {
    Pair pair(random, seen, chosen);
    for (int change = 0; change < 5; ++change) {
      pair.change();
      for (int burst = 0; burst < 8; ++burst) ASSERT_NO_FATAL_FAILURE(pair.burst());
    }
  }
  for (const VerdictInfo& info : kVerdicts) {
    const std::uint64_t times = seen[static_cast<std::size_t>(info.verdict)];
    std::cout << fmt::format("{:>26} {}\n", info.name, times);
    // These depend on more than the packet; the reference engine knows nothing of them.
    if (info.verdict == Verdict::kDropReplyLimit || info.verdict == Verdict::kDropNoHeadroom) continue;
    // Only process_probes() says these: probe_path_test.cc.
    if (info.verdict == Verdict::kForwardProbe || info.verdict == Verdict::kDropProbeUnknown) continue;
    EXPECT_GT(times, 50) << info.name << " was hardly tried";
  }
  std::cout << fmt::format("chosen by slot {}, record {}, previous owner {}, connection id {}\n", chosen[1], chosen[2],
                           chosen[3], chosen[4]);
  EXPECT_GT(std::min(chosen[2], chosen[3]), 500) << "flow consistency was hardly tried";
  EXPECT_GT(chosen[4], 50) << "QUIC was hardly tried";
}

}  // namespace
}  // namespace anypop::l4lb
