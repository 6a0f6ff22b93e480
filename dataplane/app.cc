// SPDX-License-Identifier: Apache-2.0
#include "dataplane/app.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <net/if.h>
#include <spdlog/spdlog.h>

#include "base/text.h"
#include "dataplane/capture_control.h"
#include "dataplane/control_api.h"
#include "dataplane/eal.h"
#include "dataplane/eal_arguments.h"
#include "dataplane/forwarding.h"
#include "dataplane/host_check.h"
#include "dataplane/neighbour_monitor.h"
#include "dataplane/planned_restart.h"
#include "dataplane/port.h"
#include "dataplane/privileges.h"
#include "dataplane/probe_entrance.h"
#include "dataplane/reloader.h"
#include "dataplane/reports.h"
#include "dataplane/successor.h"
#include "dataplane/takeover.h"
#include "dataplane/watch.h"
#include "dataplane/worker.h"
#include "dataplane/worker_threads.h"
#include "dataplane_api/http_server.h"
#include "dataplane_api/service_manager.h"
#include "explain_api/explain_answer.h"

namespace anypop::dataplane {
namespace {

constexpr std::chrono::milliseconds kHugepagePatience{2000};
constexpr std::chrono::milliseconds kHugepagePoll{10};
constexpr std::chrono::seconds kTendEvery{1};
// How long a dataplane that is to be replaced may take to leave: it waits until the monitor has heard of it.
constexpr std::chrono::seconds kLeavePatience{10};
// The kernel lets go of a queue a little after the process that had it has closed it.
constexpr std::chrono::milliseconds kQueuePatience{2000};
constexpr std::chrono::milliseconds kQueuePoll{2};

// A packet leaves by the port that it came in by, and the snapshot does not know which one that is.
unsigned smallest_mtu(const std::vector<std::unique_ptr<Port>>& ports) {
  unsigned smallest = ports.front()->mtu_bytes();
  for (const auto& port : ports) smallest = std::min(smallest, port->mtu_bytes());
  return smallest;
}

// Queue q of every port goes to worker q modulo their number, so that a worker sees both directions of a port.
std::vector<WorkerQueue> queues_of(unsigned worker, unsigned workers, const std::vector<std::unique_ptr<Port>>& ports) {
  std::vector<WorkerQueue> queues;
  for (std::size_t p = 0; p < ports.size(); ++p) {
    for (unsigned queue = worker; queue < ports[p]->config().queues; queue += workers) {
      const Port& port = *ports[p];
      WorkerQueue& added = queues.emplace_back();
      added = {port.id(), static_cast<std::uint16_t>(queue), p, port.mac(), port.wake_fd(queue), std::nullopt};
      if (port.kernel() == nullptr) continue;
      added.kernel_port = port.kernel()->id();
      added.wake_fd = -1;  // it would not wake for what the kernel sends
    }
  }
  return queues;
}

}  // namespace

class App::Impl {
 public:
  Impl(PopConfig config, Options options)
      : config_(std::move(config)),
        replace_(options.replace),
        signals_(io_),
        successor_(io_, std::move(options.command)) {}

  absl::Status start() {
    const auto began = std::chrono::steady_clock::now();
    using Step = absl::Status (Impl::*)();
    // DPDK's environment takes most of the time, and nothing that another dataplane has.
    const Step first = replace_ ? &Impl::start_eal : &Impl::listen;
    const Step second = replace_ ? &Impl::replace : &Impl::start_eal;
    for (const Step step :
         {&Impl::check, first, second, &Impl::open_ports, &Impl::open_probe_entrance, &Impl::take_over,
          &Impl::make_workers, &Impl::follow_neighbours, &Impl::start_workers, &Impl::drop_privileges}) {
      if (absl::Status status = (this->*step)(); !status.ok()) return status;
    }
    eal_->log_errors_from_now_on();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    spdlog::info("event=start pop={} instance={} workers={} ports={} hash_engine={} took_ms={:.0f}", config_.pop,
                 reporters_.instance, workers_.size(), ports_.size(), l4lb::hash_engine(), took.count());
    return absl::OkStatus();
  }

  int run() {
    wait_for_signal();
    ServiceManager service_manager(io_, [this](std::chrono::milliseconds patience) {
      return std::all_of(workers_.begin(), workers_.end(), [&](const auto& worker) {
        return std::chrono::duration<double, std::milli>(worker->age_ms()) < patience;
      });
    });
    io_.run();
    service_manager.has_successor(successor_.pid());
    return exit_code_;
  }

 private:
  void wait_for_signal() {
    signals_.async_wait([this](boost::system::error_code error, int signal) {
      if (error) return;
      if (signal == SIGHUP) {
        reloader_->reload_soon();
        return wait_for_signal();
      }
      if (signal == SIGUSR1) {
        spdlog::info("event=restart planned=true grace_ms={}", config_.monitor.restart_grace_ms);
        planned_.begin();
        return wait_for_signal();
      }
      if (signal == SIGUSR2) {
        const absl::Status status = successor_.start();
        spdlog::info("event=restart successor={} error=\"{}\"", successor_.pid(), message(status));
        return wait_for_signal();
      }
      spdlog::info("event=stop signal={}", signal);
      io_.stop();
    });
  }

  absl::Status in_file(const absl::Status& status) const {
    return status.ok() ? status : make_error(status.code(), "{}: {}", config_.file.string(), message(status));
  }

  absl::Status check() {
    // From here on a signal is a wish to stop that run() hears, not a death with things half made.
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) {
      boost::system::error_code error;
      signals_.add(signal, error);
      if (error) return internal_error("cannot wait for signal {}: {}", signal, error.message());
    }
    host_ = look_at_host();
    // The kernel frees what a killed dataplane had pinned for AF_XDP a little after that has gone.
    const auto patience_ends = std::chrono::steady_clock::now() + kHugepagePatience;
    while (hugepages_may_come_free(config_, host_) && std::chrono::steady_clock::now() < patience_ends) {
      std::this_thread::sleep_for(kHugepagePoll);
      host_ = look_at_host();
    }
    if (absl::Status status = check_host(config_, host_); !status.ok()) return status;
    return check_run_dir(config_);
  }

  // First of all, because the socket is also what keeps a second instance out. It answers once run() runs.
  absl::Status listen() {
    auto server = HttpServer::listen_async(
        io_, {.socket_path = config_.dataplane_socket()},
        [this](const HttpRequest& request, const HttpServer::Reply& reply) { answer(api_, request, reply); });
    if (!server.ok()) return in_file(server.status());
    server_ = *std::move(server);
    return absl::OkStatus();
  }

  absl::Status replace() {
    if (absl::Status status = relieve(config_.dataplane_socket(), kLeavePatience); !status.ok()) return in_file(status);
    return listen();
  }

  absl::Status start_eal() {
    auto eal = Eal::start(eal_arguments(config_.dataplane, host_.cpus));
    if (!eal.ok()) return in_file(eal.status());
    eal_ = *std::move(eal);
    return absl::OkStatus();
  }

  absl::Status open_ports() {
    const DataplaneConfig& dataplane = config_.dataplane;
    for (std::size_t i = 0; i < dataplane.ports.size(); ++i) {
      auto port = open_port({.config = dataplane.ports[i],
                             .key = fmt::format("dataplane.ports[{}]", i),
                             .packet_buffers = dataplane.packet_buffers,
                             .memory_mb = dataplane.memory_mb,
                             .vips = all_vips(config_),
                             .alone = dataplane.ports.size() == 1});
      if (!port.ok()) return in_file(port.status());
      ports_.push_back(*std::move(port));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Port>> open_port(const PortOptions& options) const {
    const auto patience_ends = std::chrono::steady_clock::now() + kQueuePatience;
    for (;;) {
      auto port = Port::open(options);
      if (port.ok() || !replace_ || std::chrono::steady_clock::now() >= patience_ends) return port;
      std::this_thread::sleep_for(kQueuePoll);
    }
  }

  absl::Status open_probe_entrance() {
    const DataplaneConfig& dataplane = config_.dataplane;
    if (dataplane.engine.probe_sources.empty()) return absl::OkStatus();
    auto entrance = ProbeEntrance::open({.interface = dataplane.probe_interface,
                                         .sources = dataplane.engine.probe_sources,
                                         .mtu_bytes = smallest_mtu(ports_),
                                         .queues = worker_count(dataplane, host_.cpus),
                                         .pool = ports_.front()->pool()});
    if (!entrance.ok()) {
      return make_error(entrance.status().code(), "{}: dataplane.probe_interface: {}", config_.file.string(),
                        message(entrance.status()));
    }
    probe_entrance_ = *std::move(entrance);
    return absl::OkStatus();
  }

  std::optional<ProbeQueue> probe_queue(unsigned worker) const {
    if (!probe_entrance_) return std::nullopt;
    return ProbeQueue{probe_entrance_->port(), static_cast<std::uint16_t>(worker), probe_entrance_->wake_fd(worker)};
  }

  // Flows go on where a former process was.
  absl::Status take_over() {
    const unsigned workers = worker_count(config_.dataplane, host_.cpus);
    std::random_device random;
    takeover_ = std::make_unique<Takeover>(Takeover::Options{.folder = config_.run_dir / "takeover",
                                                             .workers = workers,
                                                             .flow_records = config_.dataplane.engine.flow_records,
                                                             .now_ms = monotonic_ms(),
                                                             .boot = boot_name(),
                                                             .new_epoch = std::uint64_t{random()} << 32U | random()});
    forwarding_ = std::make_unique<Forwarding>(config_, ports_.front()->mac(), smallest_mtu(ports_), workers);
    if (const Legacy* legacy = takeover_->legacy()) {
      if (absl::Status status = forwarding_->inherit(*legacy); absl::IsInvalidArgument(status)) {
        takeover_->refuse(status);
      }
    }
    takeover_->open_tables();
    forwarding_->keep_with([this](const Legacy& legacy) { takeover_->keep(legacy); });
    spdlog::info("event=takeover taken={} records={}", takeover_->legacy() != nullptr, takeover_->records_found());
    return absl::OkStatus();
  }

  absl::Status make_workers() {
    const unsigned count = worker_count(config_.dataplane, host_.cpus);
    for (unsigned i = 0; i < count; ++i) {
      workers_.push_back(std::make_unique<Worker>(i, queues_of(i, count, ports_), probe_queue(i), config_,
                                                  takeover_->take_table(i), forwarding_->published()));
    }
    for (const auto& worker : workers_) worker->set_peers(workers_, takeover_->left_over());
    captures_ = std::make_unique<CaptureControl>(io_, *forwarding_, count);
    return absl::OkStatus();
  }

  absl::Status start_workers() {
    reloader_ = std::make_unique<Reloader>(Reloader::Parts{
        io_, *forwarding_, ports_, [this](const PopConfig& config) { return start_neighbours(config); }, neighbours_});
    api_ = {[this] { return report_heartbeat(reporters_); },
            [this] { return report_state(reporters_); },
            [this] { return report_stats(reporters_); },
            [this](const auto& update, auto& unknown) { return set_health(update, unknown); },
            [this](auto request, auto done) { reloader_->reload(std::move(request), std::move(done)); },
            [this](const auto& request) { return captures_->start(request); },
            [this] { return captures_->fetch(); },
            [this] { return captures_->stop(); },
            {}};
    api_.explain = [this](const dataplane_api::ExplainRequest& request) {
      std::vector<const l4lb::FlowTable*> tables;
      for (const auto& worker : workers_) tables.push_back(&worker->flows());
      const std::vector<const l4lb::FlowTable*> left_over = takeover_->left_over();
      return explain_answer(forwarding_->config(), forwarding_->snapshot(), request, worker_now_ms(),
                            {.workers = tables, .left_over = left_over},
                            [this](const IpAddress& backend) { return describe_next_hop(backend); });
    };
    api_.restart = [this] { planned_.begin(); };
    auto threads = WorkerThreads::launch(workers_);
    if (!threads.ok()) return in_file(threads.status());
    threads_ = *std::move(threads);
    watch_ = std::make_unique<Watch>(io_, ports_, workers_, [this](const Port& port) { give_up(port); });
    reporters_ = {make_instance_name(),
                  forwarding_.get(),
                  &ports_,
                  &workers_,
                  watch_.get(),
                  [this](const IpAddress& backend) { return describe_next_hop(backend); },
                  [this] { return planned_.announced_ms(); }};
    tend_takeover();
    return absl::OkStatus();
  }

  void tend_takeover() {
    takeover_->tend(monotonic_ms());
    tend_timer_.expires_after(kTendEvery);
    tend_timer_.async_wait([this](boost::system::error_code error) {
      if (!error) tend_takeover();
    });
  }

  absl::Status follow_neighbours() {
    auto neighbours = start_neighbours(config_);
    if (!neighbours.ok()) return in_file(neighbours.status());
    neighbours_ = *std::move(neighbours);
    if (neighbours_) use_neighbours();
    return absl::OkStatus();
  }

  absl::Status drop_privileges() {
    const std::string& user = config_.dataplane.user;
    return user.empty() ? absl::OkStatus() : in_file(become(user, config_.run_dir, [this](auto uid, auto gid) {
      return takeover_->give_to(uid, gid);
    }));
  }

  absl::StatusOr<std::unique_ptr<NeighbourMonitor>> start_neighbours(const PopConfig& config) {
    std::vector<unsigned> interfaces;
    for (const auto& port : ports_) {
      if (port->interface_index() != 0) interfaces.push_back(port->interface_index());
    }
    if (interfaces.empty()) return std::unique_ptr<NeighbourMonitor>();
    return NeighbourMonitor::start(io_, NeighbourTable(std::move(interfaces), destinations_of(config)),
                                   [this] { use_neighbours(); });
  }

  // A new interface of the same name: the next process, which the init system starts, can use it.
  void give_up(const Port& port) {
    spdlog::error(
        "event=stop port={} device={} error=\"the interface was removed, and is there again; a restart takes it\"",
        port.config().name, port.config().device);
    exit_code_ = 1;
    io_.stop();
  }

  std::string describe_next_hop(const IpAddress& backend) const {
    if (!neighbours_) return "no port with neighbours";
    return neighbours_->table().describe(backend, [](unsigned index) {
      std::array<char, IF_NAMESIZE> name{};
      return ::if_indextoname(index, name.data()) != nullptr ? std::string(name.data()) : fmt::format("{}", index);
    });
  }

  void use_neighbours() {
    const NeighbourTable& table = neighbours_->table();
    log_generation(
        forwarding_->set_next_hops([&](const IpAddress& address) { return find_next_hop(ports_, table, address); }),
        "neighbours");
  }

  absl::Status set_health(const dataplane_api::HealthUpdate& update, std::vector<std::string>& unknown) {
    const absl::Status status = forwarding_->set_health(update, unknown);
    log_generation(status, "health");
    return status;
  }

  void log_generation(const absl::Status& status, std::string_view cause) {
    const std::uint64_t generation = l4lb::generation(forwarding_->snapshot());
    if (!status.ok()) {
      spdlog::warn("event=snapshot cause={} generation={} error=\"{}\"", cause, generation, message(status));
    } else if (generation != logged_generation_) {
      spdlog::info("event=snapshot cause={} generation={}", cause, generation);
    }
    logged_generation_ = generation;
    await_window();
  }

  // When windows of flow consistency close, a snapshot says so. Every change may have opened some.
  void await_window() {
    const auto wait = forwarding_->until_next_change();
    if (!wait) return;
    window_timer_.expires_after(*wait);
    window_timer_.async_wait([this](boost::system::error_code error) {
      if (!error) log_generation(forwarding_->close_windows(), "windows");
    });
  }

  // Destroyed from the last to the first: nobody polls a port that is closed, and the socket goes last.
  PopConfig config_;
  bool replace_;
  HostFacts host_;
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_;
  Successor successor_;
  boost::asio::steady_timer window_timer_{io_};
  boost::asio::steady_timer tend_timer_{io_};
  PlannedRestart planned_{io_, config_.monitor, [this] { io_.stop(); }};
  ControlApi api_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<Eal> eal_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::unique_ptr<Takeover> takeover_;
  std::unique_ptr<ProbeEntrance> probe_entrance_;  // its queues use a port's buffers
  std::unique_ptr<Forwarding> forwarding_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<WorkerThreads> threads_;
  Reporters reporters_;
  std::unique_ptr<NeighbourMonitor> neighbours_;
  std::unique_ptr<Reloader> reloader_;
  std::unique_ptr<CaptureControl> captures_;
  std::unique_ptr<Watch> watch_;
  int exit_code_ = 0;
  std::uint64_t logged_generation_ = 1;  // the first one is part of the start
};

absl::StatusOr<std::unique_ptr<App>> App::start(PopConfig config, Options options) {
  auto impl = std::make_unique<Impl>(std::move(config), std::move(options));
  if (absl::Status status = impl->start(); !status.ok()) return status;
  return std::unique_ptr<App>(new App(std::move(impl)));
}

App::App(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
App::~App() = default;
int App::run() { return impl_->run(); }

}  // namespace anypop::dataplane
