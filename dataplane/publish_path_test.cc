// SPDX-License-Identifier: Apache-2.0
// The control thread changes everything it can, a builder prepares reloads, and workers forward by what is in force:
// every packet goes to a backend that some configuration of the time had, and nothing is torn. For ThreadSanitizer.
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "dataplane/forwarding.h"
#include "l4lb_testing/packet_builder.h"
#include "l4lb_testing/packets.h"

namespace anypop::dataplane {
namespace {

constexpr unsigned kWorkers = 2;
constexpr unsigned kSteps = 60;
const MacAddress kMac({2, 0, 0, 0, 0, 1});

PopConfig config_with(unsigned backends) {
  PopConfig config;
  config.dataplane.engine.flow_records = 4096;
  ServiceConfig service{.name = "web", .vip = *IpAddress::parse("198.51.100.1"), .port = 80, .table_size = 101};
  for (unsigned i = 0; i < backends; ++i) {
    service.backends.push_back(
        {.name = std::string(1, static_cast<char>('a' + i)), .address = *IpAddress::parse("10.1.0.11")});
  }
  config.services = {service};
  return config;
}

// As Worker::run() does.
class TestWorker {
 public:
  TestWorker(unsigned number, Forwarding& forwarding)
      : number_(number), views_(forwarding.published(), number), state_(forwarding.config().dataplane.engine) {}

  l4lb::WorkerState& state() { return state_; }
  std::uint64_t bursts() const { return bursts_.load(); }
  void run(const std::atomic<bool>& stop) {
    std::vector<l4lb_testing::Frame> frames;
    for (std::uint16_t port = 1; port <= 64; ++port) {
      frames.push_back(l4lb_testing::eth().ip({.destination = "198.51.100.1"}).tcp({.source = port}).build());
    }
    views_.online();
    for (std::uint32_t now_ms = 0; !stop.load(); now_ms += 7) {
      const WorkerView& view = views_.load();
      l4lb_testing::Burst burst(frames);
      process_burst(*view.snapshot, burst.packets(), now_ms, state_, *view.counters[number_]);
      for (const l4lb::Packet& packet : burst.packets()) stray_ += packet.backend >= 4;
      views_.quiescent();
      ++bursts_;
    }
    views_.offline();
  }
  std::uint64_t stray() const { return stray_; }

 private:
  unsigned number_;
  Published<WorkerView>::Reader views_;
  l4lb::WorkerState state_;
  std::atomic<std::uint64_t> bursts_ = 0;
  std::uint64_t stray_ = 0;
};

void change(Forwarding& forwarding, unsigned step, std::vector<std::string>& unknown) {
  const std::string backend(1, static_cast<char>('a' + step % 3));
  // A worker may be late on a busy machine; the change is in force all the same.
  const auto ok = [](const absl::Status& status) {
    EXPECT_TRUE(status.ok() || absl::IsDeadlineExceeded(status)) << status;
  };
  switch (step % 5) {
    case 0: return ok(forwarding.set_health({{{"web", backend, true, step % 2 == 0 ? 0U : 300U}}}, unknown));
    case 1: return ok(forwarding.set_health({{{"web", backend, step % 3 != 0}}}, unknown));
    case 2:
      return ok(forwarding.set_next_hops([&](const IpAddress&) {
        return Forwarding::NextHop{MacAddress({2, 0, 0, 0, 1, static_cast<std::uint8_t>(step)})};
      }));
    case 3: return ok(forwarding.close_windows());
    default: break;
  }
  Reload reload = forwarding.begin_reload();
  std::thread builder([&] { prepare(reload, config_with(3 + step % 2)); });
  // Meanwhile something changes.
  ok(forwarding.set_health({{{"web", "a", true}}}, unknown));
  builder.join();
  ok(forwarding.finish_reload(std::move(reload), [](const IpAddress&) { return Forwarding::NextHop{kMac}; }));
}

TEST(PublishPath, ChangesOfAllKindsUnderLoad) {
  Forwarding forwarding(config_with(3), kMac, 1500, kWorkers);
  Legacy kept;
  forwarding.keep_with([&](const Legacy& legacy) { kept = legacy; });
  std::vector<std::unique_ptr<TestWorker>> workers;
  for (unsigned i = 0; i < kWorkers; ++i) workers.push_back(std::make_unique<TestWorker>(i, forwarding));
  workers[0]->state().peers = {&workers[1]->state().flows};
  workers[1]->state().peers = {&workers[0]->state().flows};
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (auto& worker : workers) threads.emplace_back([&stop, &worker] { worker->run(stop); });
  std::vector<std::string> unknown;
  for (unsigned step = 0; step < kSteps; ++step) {
    change(forwarding, step, unknown);
    const std::uint64_t before = workers[0]->bursts();
    while (workers[0]->bursts() < before + 3) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  std::uint64_t counted = 0;
  for (std::size_t verdict = 0; verdict < l4lb::kVerdictCount; ++verdict) {
    for (unsigned worker = 0; worker < kWorkers; ++worker) {
      counted += forwarding.counters().verdict(worker, static_cast<l4lb::Verdict>(verdict));
    }
  }
  EXPECT_EQ(counted, 64 * (workers[0]->bursts() + workers[1]->bursts())) << "every packet has one verdict";
  for (const auto& worker : workers) EXPECT_EQ(worker->stray(), 0);
  EXPECT_EQ(kept.health.backends.size(), forwarding.config().services[0].backends.size());
  Forwarding next(forwarding.config(), kMac, 1500, kWorkers);
  EXPECT_TRUE(next.inherit(kept).ok());
}

}  // namespace
}  // namespace anypop::dataplane
