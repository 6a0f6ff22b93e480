// SPDX-License-Identifier: Apache-2.0
// What probing costs: many backends, one HTTP server for all of them in a process of its own, in a network namespace of
// its own. Prints a line of JSON.
//
//   sudo build/release/bench-bin/prober_bench [BACKENDS] [SECONDS]        default: 2000 backends every second, 20 s
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "healthmon/monitor_core.h"
#include "healthmon/prober.h"
#include "test_servers.h"

namespace anypop::healthmon {
namespace {

constexpr std::uint16_t kPort = 8080;
constexpr std::chrono::seconds kWarmUp{3};

bool private_network() {
  if (::unshare(CLONE_NEWNET) != 0) return false;
  const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", sizeof("lo"));
  request.ifr_flags = IFF_UP;
  const bool up = ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
  ::close(socket);
  return up;
}

PopConfig config_for(unsigned backends) {
  PopConfig config;
  ServiceConfig& service = config.services.emplace_back();
  service.name = "web";
  service.vip = *IpAddress::parse("198.51.100.1");
  for (unsigned i = 0; i < backends; ++i) {
    service.backends.push_back({.name = fmt::format("b{}", i),
                                .address = *IpAddress::parse(fmt::format("127.1.{}.{}", i / 250, i % 250 + 1))});
  }
  service.probes = {{.name = "http", .type = ProbeType::kHttp, .port = kPort, .interval_ms = 1000, .timeout_ms = 500}};
  service.probes[0].jitter_percent = 0;  // every second means every second
  service.probes_needed = 1;
  return config;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Counts {
  std::uint64_t good = 0;
  std::uint64_t bad = 0;
};

// The smallest bound that holds for this share of the starts since `before`.
std::string quantile(const StartDelays& before, const StartDelays& after, double share) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < after.counts.size(); ++i) total += after.counts[i] - before.counts[i];
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kStartDelayBounds.size(); ++i) {
    seen += after.counts[i] - before.counts[i];
    if (static_cast<double>(seen) >= share * static_cast<double>(total)) {
      return fmt::format("{}", kStartDelayBounds[i] * 1000);
    }
  }
  return fmt::format("\"more than {}\"", kStartDelayBounds.back() * 1000);
}

int measure(unsigned backends, std::chrono::seconds duration) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const PopConfig config = config_for(backends);
  boost::asio::io_context io(1);
  const auto now = [] { return Now{SteadyTime::clock::now(), 0}; };
  MonitorCore core(config, {}, {}, now());
  Counts counts;
  const Prober prober(io, config, 1, [&](ProbeId id, const ProbeResult& result) {
    core.on_probe(id, result, now());
    ++(result.ok ? counts.good : counts.bad);
    return core.probe_interval(id);
  });
  io.run_for(kWarmUp);
  const double cpu_before = cpu_seconds();
  const StartDelays delays = prober.start_delays();
  counts = {};
  io.run_for(duration);
  const double seconds = static_cast<double>(duration.count());
  fmt::print(
      "{{\"backends\": {}, \"probes_per_s\": {:.0f}, \"failed\": {}, \"cpu_percent_of_a_core\": {:.1f}, "
      "\"us_per_probe\": {:.1f}, \"late_p50_ms_at_most\": {}, \"late_p99_ms_at_most\": {}, \"late_p999_ms_at_most\": "
      "{}}}\n",
      backends, static_cast<double>(counts.good + counts.bad) / seconds, counts.bad,
      (cpu_seconds() - cpu_before) / seconds * 100,
      (cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(counts.good + counts.bad),
      quantile(delays, prober.start_delays(), 0.5), quantile(delays, prober.start_delays(), 0.99),
      quantile(delays, prober.start_delays(), 0.999));
  return counts.bad == 0 ? 0 : 1;
}

[[noreturn]] void serve(int ready) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  boost::asio::io_context io(1);
  const auto backend = TestBackend::listen(io, "0.0.0.0", kPort);
  if (!backend || ::write(ready, "x", 1) != 1) ::_exit(1);
  io.run();
  ::_exit(0);
}

int run(unsigned backends, std::chrono::seconds duration) {
  if (!private_network()) {
    fmt::print(stderr, "prober_bench: cannot make a network namespace; run it as root\n");
    return 1;
  }
  int ready[2];
  if (::pipe(ready) != 0) return 1;
  const pid_t server = ::fork();
  if (server == 0) serve(ready[1]);
  char byte = 0;
  if (::read(ready[0], &byte, 1) != 1) return 1;
  const int code = measure(backends, duration);
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
  return code;
}

}  // namespace
}  // namespace anypop::healthmon

int main(int argc, char** argv) {
  const auto number = [&](int index, unsigned otherwise) {
    return argc > index ? anypop::parse_number(argv[index], 1U, 60'000U).value_or(otherwise) : otherwise;
  };
  return anypop::healthmon::run(number(1, 2000), std::chrono::seconds(number(2, 20)));
}
