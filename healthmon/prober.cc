// SPDX-License-Identifier: Apache-2.0
#include "healthmon/prober.h"

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "healthmon/probe.h"

namespace anypop::healthmon {

namespace asio = boost::asio;

std::chrono::microseconds jittered(Milliseconds interval, std::uint64_t random) {
  const std::chrono::microseconds most = interval;
  return most - std::chrono::microseconds(random % (static_cast<std::uint64_t>(most.count()) / 10 + 1));
}

struct Prober::Shared {
  asio::io_context& io;
  std::mt19937_64 random;
  Handler handler;
};

// One backend: probe, wait, again.
class Prober::Loop : public std::enable_shared_from_this<Loop> {
 public:
  Loop(std::shared_ptr<Shared> shared, BackendId id, ProbeTarget target)
      : shared_(std::move(shared)), id_(id), target_(std::move(target)), timer_(shared_->io) {}

  void wait_until(SteadyTime start) {
    timer_.expires_at(start);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error && !self->stopped_) self->probe();
    });
  }

  void stop() {
    stopped_ = true;
    timer_.cancel();
    probe_.reset();
  }

 private:
  void probe() {
    started_ = SteadyTime::clock::now();
    probe_.emplace(shared_->io, target_,
                   [self = shared_from_this()](const ProbeResult& result) { self->on_result(result); });
  }

  void on_result(const ProbeResult& result) {
    const SteadyTime now = SteadyTime::clock::now();
    // Nothing was learnt: ask again.
    if (result.cause.empty()) return wait_until(now);
    const Milliseconds interval = shared_->handler(id_, result);
    if (stopped_) return;
    wait_until(std::max(now, started_ + jittered(interval, shared_->random())));
  }

  std::shared_ptr<Shared> shared_;
  BackendId id_;
  ProbeTarget target_;
  asio::steady_timer timer_;
  std::optional<Probe> probe_;
  SteadyTime started_;
  bool stopped_ = false;
};

Prober::Prober(asio::io_context& io, const PopConfig& config, std::uint64_t seed, Handler handler)
    : shared_(std::make_shared<Shared>(Shared{io, std::mt19937_64(seed), std::move(handler)})) {
  const SteadyTime now = SteadyTime::clock::now();
  for (std::size_t s = 0; s < config.services.size(); ++s) {
    const ServiceConfig& service = config.services[s];
    for (std::size_t b = 0; b < service.backends.size(); ++b) {
      const auto index = static_cast<unsigned>(loops_.size());
      loops_.push_back(std::make_shared<Loop>(shared_, BackendId{s, b}, probe_target(service, service.backends[b])));
      loops_.back()->wait_until(now + Milliseconds(index % service.probe.interval_ms));
    }
  }
}

Prober::~Prober() {
  for (const auto& loop : loops_) loop->stop();
}

}  // namespace anypop::healthmon
