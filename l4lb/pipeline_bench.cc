// SPDX-License-Identifier: Apache-2.0
// ns/packet of the whole engine on 64-byte TCP packets in bursts of 32. As a NIC would, it brings each packet into a
// buffer of a pool too large for the second-level cache; headers are distinct, lie in a buffer of their own and are
// taken in permuted order. The cost of that copying is measured by `stamp` alone: subtract it.
#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "flow_hash.h"
#include "l4lb/pipeline.h"
#include "l4lb_testing/packet_builder.h"

namespace anypop::l4lb {
namespace {

constexpr std::size_t kBurst = 32;
constexpr std::size_t kBuffers = 4096;
constexpr std::size_t kBufferBytes = 2304;
constexpr std::size_t kHeaderBytes = 80;
constexpr std::uint32_t kHeadroom = 128;  // as DPDK's buffers have it

struct Load {
  std::vector<std::byte> headers;
  std::uint32_t packet_bytes = 0;
  std::size_t count = 0;
};

std::string vip(Family family, std::size_t index) {
  return family == Family::kV4 ? fmt::format("198.51.{}.{}", 100 + index / 250, 1 + index % 250)
                               : fmt::format("2001:db8:53::{:x}", 1 + index);
}

// One header per flow, in permuted order, over all services.
Load make_load(Family family, std::size_t flows, std::size_t services) {
  Load load{.headers = std::vector<std::byte>(std::max(flows, kBuffers) * kHeaderBytes),
            .count = std::max(flows, kBuffers)};
  std::vector<std::uint32_t> order(load.count);
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  std::vector<l4lb_testing::Frame> templates;
  for (std::size_t i = 0; i < services; ++i) {
    const std::string address = vip(family, i);
    templates.push_back(l4lb_testing::eth().ip({.destination = address}).tcp().pad_to(60));
  }
  load.packet_bytes = static_cast<std::uint32_t>(templates[0].size());
  const std::size_t source_at = family == Family::kV4 ? 26 : 22 + 12;
  for (std::size_t i = 0; i < load.count; ++i) {
    const auto flow = static_cast<std::uint32_t>(i % flows * 2654435761U);
    std::byte* header = &load.headers[order[i] * kHeaderBytes];
    const l4lb_testing::Frame& from = templates[i % flows % services];
    std::memcpy(header, from.data(), from.size());
    std::memcpy(header + source_at, &flow, sizeof(flow));
  }
  return load;
}

std::string backend_address(Family outer, std::size_t index) {
  return outer == Family::kV4 ? fmt::format("10.1.{}.{}", index / 250, 1 + index % 250)
                              : fmt::format("2001:db8:a::{:x}", 1 + index);
}

// How packets leave.
struct Tunnels {
  Forwarding forwarding = Forwarding::kL2;
  Family outer = Family::kV4;
};

std::vector<ServiceConfig> make_services(Family family, std::size_t count, std::size_t backends, Tunnels tunnels) {
  std::vector<ServiceConfig> services(count);
  for (std::size_t i = 0; i < count; ++i) {
    services[i].vip = *IpAddress::parse(vip(family, i));
    services[i].port = 80;
    services[i].forwarding = tunnels.forwarding;
    services[i].tunnel.sources = {*IpPrefix::parse("172.16.0.0/16"), *IpPrefix::parse("2001:db8:f::/64")};
    for (std::size_t j = 0; j < backends; ++j) {
      services[i].backends.push_back(
          {.name = fmt::format("b{}", j), .address = *IpAddress::parse(backend_address(tunnels.outer, j))});
    }
  }
  return services;
}

SnapshotInput all_healthy(const std::vector<ServiceConfig>& services) {
  SnapshotInput input;
  for (const ServiceConfig& service : services) {
    input.backends.emplace_back(service.backends.size(), BackendState{.next_hop_mac = MacAddress({2, 0, 0, 0, 0, 1})});
  }
  return input;
}

class Pool {
 public:
  // Copies the next burst of headers into the next buffers.
  std::span<Packet> receive(const Load& load) {
    for (Packet& packet : burst_) {
      packet.data = &memory_[next_buffer_ * kBufferBytes + kHeadroom];
      packet.headroom_bytes = kHeadroom;
      packet.length_bytes = load.packet_bytes;
      std::memcpy(packet.data, &load.headers[next_header_ * kHeaderBytes], kHeaderBytes);
      next_buffer_ = (next_buffer_ + 1) % kBuffers;
      if (++next_header_ == load.count) next_header_ = 0;
    }
    return burst_;
  }

 private:
  std::vector<std::byte> memory_ = std::vector<std::byte>(kBuffers * kBufferBytes);
  std::array<Packet, kBurst> burst_;
  std::size_t next_buffer_ = 0;
  std::size_t next_header_ = 0;
};

void set_rate(benchmark::State& state) {
  const auto packets = static_cast<double>(state.iterations()) * kBurst;
  state.counters["ns/packet"] =
      benchmark::Counter(packets / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

template <Family family>
void stamp(benchmark::State& state) {
  const Load load = make_load(family, static_cast<std::size_t>(state.range(0)), 1);
  Pool pool;
  for (auto _ : state) benchmark::DoNotOptimize(pool.receive(load).data());
  set_rate(state);
}

template <Family family, Forwarding forwarding = Forwarding::kL2, Family outer = family>
void engine(benchmark::State& state) {
  const auto flows = static_cast<std::size_t>(state.range(0));
  const auto services = make_services(family, static_cast<std::size_t>(state.range(1)),
                                      static_cast<std::size_t>(state.range(2)), {forwarding, outer});
  const auto snapshot = SnapshotBuilder(services, {1, 2, 3}).build(all_healthy(services));
  const Load load = make_load(family, flows, services.size());
  Counters counters(services);
  Pool pool;
  WorkerState worker{EngineConfig{}};
  for (auto _ : state) process_burst(*snapshot, pool.receive(load), 0, worker, counters);
  if (counters.verdict(Verdict::kForward) != static_cast<std::uint64_t>(state.iterations()) * kBurst) {
    state.SkipWithError("not every packet was forwarded");
  }
  set_rate(state);
}

template <class F>
void hash(benchmark::State& state) {
  const auto engine = static_cast<AesEngine>(state.range(0));
  if (!supported(engine)) return state.SkipWithError("not on this processor");
  const FlowHash of({1, 2, 3}, engine);
  std::vector<Flow<F>> flows(kBurst);
  std::vector<std::uint64_t> hashes(kBurst);
  for (auto _ : state) {
    of.hash(flows, hashes);
    benchmark::DoNotOptimize(hashes.data());
    benchmark::ClobberMemory();
  }
  state.SetLabel(std::string(aes_engine_name(engine)));
  set_rate(state);
}

void engine_arguments(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"flows", "services", "backends"});
  for (const int flows : {1000, 1'000'000}) bench->Args({flows, 1, 10});
  bench->Args({1'000'000, 1, 100});
  bench->Args({1'000'000, 500, 10});
}

BENCHMARK(stamp<Family::kV4>)->ArgName("flows")->Arg(1000)->Arg(1'000'000);
BENCHMARK(engine<Family::kV4>)->Apply(engine_arguments);
BENCHMARK(stamp<Family::kV6>)->ArgName("flows")->Arg(1000)->Arg(1'000'000);
BENCHMARK(engine<Family::kV6>)->Apply(engine_arguments);

void tunnel_arguments(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"flows", "services", "backends"})->Args({1'000'000, 1, 10});
}
constexpr Family k4 = Family::kV4;
constexpr Family k6 = Family::kV6;
BENCHMARK(engine<k4, Forwarding::kIpip, k4>)->Apply(engine_arguments);
BENCHMARK(engine<k4, Forwarding::kIpip, k6>)->Apply(tunnel_arguments);
BENCHMARK(engine<k6, Forwarding::kIpip, k4>)->Apply(tunnel_arguments);
BENCHMARK(engine<k6, Forwarding::kIpip, k6>)->Apply(tunnel_arguments);
BENCHMARK(engine<k4, Forwarding::kGre, k4>)->Apply(tunnel_arguments);
BENCHMARK(engine<k6, Forwarding::kGre, k6>)->Apply(tunnel_arguments);
BENCHMARK(engine<k4, Forwarding::kGue, k4>)->Apply(tunnel_arguments);
BENCHMARK(engine<k6, Forwarding::kGue, k6>)->Apply(tunnel_arguments);
BENCHMARK(hash<V4>)->ArgName("engine")->Arg(0)->Arg(1);
BENCHMARK(hash<V6>)->ArgName("engine")->Arg(0)->Arg(1);

}  // namespace
}  // namespace anypop::l4lb
