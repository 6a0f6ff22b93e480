// SPDX-License-Identifier: Apache-2.0
#include "healthmon/prober.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <unistd.h>

#include "base/text.h"
#include "healthmon/probe.h"
#include "healthmon/probe_schedule.h"

namespace anypop::healthmon {

namespace asio = boost::asio;

class Prober::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, std::uint64_t seed, Handler handler)
      : io_(io), schedule_(seed), handler_(std::move(handler)), timer_(io) {}

  void start(const PopConfig& config) {
    const SteadyTime now = SteadyTime::clock::now();
    for (std::size_t s = 0; s < config.services.size(); ++s) {
      const ServiceConfig& service = config.services[s];
      for (std::size_t p = 0; p < service.probes.size(); ++p) {
        const ProbeConfig& probe = service.probes[p];
        const auto tls = probe_tls(probe.tls);
        auto targets = probe_targets(service, probe, config.dataplane.engine.probe_sources, tls.ok() ? *tls : nullptr);
        for (std::size_t b = 0; b < targets.size(); ++b) {
          probes_.push_back({{s, b, p}, std::move(targets[b]), tls.status(), nullptr});
          schedule_.add(Milliseconds(probe.fast_ms()), probe.jitter_percent, now);
        }
      }
    }
    arm();
  }

  void stop() {
    handler_ = nullptr;
    timer_.cancel();
    probes_.clear();
  }

  const StartDelays& start_delays() const { return delays_; }

 private:
  struct Entry {
    ProbeId id;
    ProbeTarget target;
    absl::Status problem;
    std::unique_ptr<Probe> running;
  };

  void arm() {
    if (!handler_ || schedule_.next() == armed_for_) return;
    armed_for_ = schedule_.next();
    if (armed_for_ == SteadyTime::max()) return;
    timer_.expires_at(armed_for_);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (error || !self->handler_) return;
      self->armed_for_ = SteadyTime::min();
      self->start_due();
    });
  }

  void start_due() {
    ProbeSchedule::Start due;
    while (handler_ && schedule_.take(SteadyTime::clock::now(), due)) {
      count(std::chrono::duration<double>(due.late).count());
      begin(due.probe);
    }
    arm();
  }

  void begin(std::size_t probe) {
    Entry& entry = probes_[probe];
    if (!entry.problem.ok()) {
      return on_result(probe, {false, std::string(message(entry.problem)), Evidence::kLocal});
    }
    entry.running = std::make_unique<Probe>(io_, entry.target, [this, probe](const ProbeResult& result) {
      const auto keep = shared_from_this();
      on_result(probe, result);
      arm();
    });
  }

  void on_result(std::size_t probe, const ProbeResult& result) {
    const SteadyTime now = SteadyTime::clock::now();
    probes_[probe].running = nullptr;  // what it has allocated, the next one gets while it is still in the cache
    // Nothing was learnt: ask again.
    if (result.cause.empty()) return schedule_.repeat(probe, now);
    const Milliseconds interval = handler_(probes_[probe].id, result);
    if (handler_) schedule_.finished(probe, interval, now);
  }

  void count(double late_s) {
    const auto* const bound = std::lower_bound(kStartDelayBounds.begin(), kStartDelayBounds.end(), late_s);
    ++delays_.counts[static_cast<std::size_t>(bound - kStartDelayBounds.begin())];
    delays_.sum_s += late_s;
  }

  asio::io_context& io_;
  ProbeSchedule schedule_;
  Handler handler_;
  asio::steady_timer timer_;
  SteadyTime armed_for_ = SteadyTime::min();
  std::vector<Entry> probes_;
  StartDelays delays_;
};

Prober::Prober(asio::io_context& io, const PopConfig& config, std::uint64_t seed, Handler handler)
    : impl_(std::make_shared<Impl>(io, seed, std::move(handler))) {
  impl_->start(config);
}

Prober::~Prober() { impl_->stop(); }

const StartDelays& Prober::start_delays() const { return impl_->start_delays(); }

absl::Status check_probe_files(const PopConfig& config) {
  for (const ServiceConfig& service : config.services) {
    for (const ProbeConfig& probe : service.probes) {
      const auto wrong = [&](std::string_view what) {
        return failed_precondition("{}: service {}, probe {}: {}", config.file.string(), service.name, probe.name,
                                   what);
      };
      if (const auto tls = probe_tls(probe.tls); !tls.ok()) return wrong(message(tls.status()));
      if (probe.type == ProbeType::kExec && ::access(probe.exec.command[0].c_str(), X_OK) != 0) {
        return wrong(fmt::format("command: found {}, expected a program that this user may run",
                                 escaped(probe.exec.command[0])));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace anypop::healthmon
