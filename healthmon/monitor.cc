// SPDX-License-Identifier: Apache-2.0
#include "healthmon/monitor.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/serialize.hpp>
#include <spdlog/spdlog.h>

#include "base/text.h"
#include "bgpctl/announcement.h"
#include "bgpctl/announcer.h"
#include "bgpctl/event_log.h"
#include "bgpctl/good_config.h"
#include "dataplane_api/http_server.h"
#include "dataplane_api/service_manager.h"
#include "event_text.h"
#include "healthmon/api.h"
#include "healthmon/backend_drain.h"
#include "healthmon/bird_config_watch.h"
#include "healthmon/damping_store.h"
#include "healthmon/dataplane_link.h"
#include "healthmon/holds_watch.h"
#include "healthmon/monitor_core.h"
#include "healthmon/prober.h"
#include "healthmon/web.h"

namespace anypop::healthmon {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr std::int64_t kNsPerMs = 1'000'000;

Now now() { return {SteadyTime::clock::now(), bgpctl::unix_now_ns() / kNsPerMs}; }

StateFiles read_state_files(const PopConfig& config) {
  StateFiles files;
  for (const AnnouncementConfig& announcement : config.announcements) {
    files.push_back(bgpctl::read_state_file(config, announcement));
  }
  return files;
}

// State files of ours that no announcement of the configuration has, and that let BIRD announce something.
std::vector<std::string> leftover_files(const PopConfig& config) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(config.bird_state_dir(), error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() != ".conf") continue;
    const std::string name = entry->path().stem().string();
    if (config.find_announcement(name) != nullptr) continue;
    const auto level = bgpctl::read_state_file(config, AnnouncementConfig{.name = name});
    if (level.ok() && *level != bgpctl::Level::kWithdrawn) names.push_back(name);
  }
  return names;
}

absl::Status check_folder(const PopConfig& config, const char* key, const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::is_directory(folder, error)) return absl::OkStatus();
  return failed_precondition("{}: {}: {} is not a folder; create it: install -d -m 0770 -g anypop {}",
                             config.file.string(), key, folder.string(), folder.string());
}

absl::Status make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directory(folder, error);
  if (!error) return absl::OkStatus();
  return permission_denied("cannot create {}: {}; give its parent folder to this user", folder.string(),
                           error.message());
}

absl::Status prepare_folders(const PopConfig& config) {
  if (absl::Status status = check_folder(config, "run_dir", config.run_dir); !status.ok()) return status;
  if (absl::Status status = check_folder(config, "state_dir", config.state_dir); !status.ok()) return status;
  if (absl::Status status = make_folder(drains_dir(config)); !status.ok()) return status;
  return make_folder(config.holds_dir());
}

}  // namespace

class Monitor::Impl {
 public:
  Impl(asio::io_context& io, PopConfig config)
      : io_(io),
        config_(std::move(config)),
        events_(config_.event_log(), "healthmon"),
        announcer_(io, config_),
        timer_(io),
        page_timer_(io),
        web_({.state = [this](const StateDetail& detail) { return state(detail); },
              .backends = [this] { return core_ ? core_->backend_count() : 0; },
              .metrics = [this](MetricsPage& page) { add_metrics(page); },
              .unix_ms = [] { return now().unix_ms; },
              .event_log = config_.event_log()}),
        api_(io, {.config = [this]() -> const PopConfig& { return config_; },
                  .unix_ms = [] { return now().unix_ms; },
                  .record = [this](const json::object& event) { record(event); },
                  .holds_changed = [this] { read_holds(); },
                  .reload = [this] { return reload(); }}) {}
  ~Impl() {
    if (begun_) record({{"event", "stop"}});
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  absl::Status serve() {
    auto server = HttpServer::listen_async(io_, {.socket_path = config_.monitor_socket()}, handler(Role::kOperator));
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    auto readers = HttpServer::listen_async(io_, {.socket_path = read_only_socket(config_), .group = kReadOnlyGroup},
                                            handler(Role::kReader));
    if (!readers.ok()) return readers.status();
    readers_server_ = *std::move(readers);
    return web_.listen(io_, config_, handler(Role::kReader));
  }

  absl::Status begin(std::uint64_t seed) {
    if (absl::Status status = bgpctl::create_missing_state_files(config_); !status.ok()) return status;
    watch_dampings();
    core_.emplace(config_, read_state_files(config_), dampings_->load(now()), now());
    begun_ = true;
    keep_config();
    record({{"event", "start"}, {"pop", config_.pop}, {"version", ANYPOP_VERSION}});
    holds_.emplace(io_, config_.holds_dir(), [this] { read_holds(); });
    drains_.emplace(io_, drains_dir(config_), [this] {
      const Now at = now();
      carry_out(core_->on_drains(load_drains(config_, at.unix_ms), at));
    });
    connect_dataplane();
    seed_ = seed;
    start_probes();
    for (const BirdConfig& bird : config_.birds) {
      bird_configs_.push_back(std::make_unique<BirdConfigWatch>(
          io_, bird.socket, [this](const json::object& event) { record(event); }, BirdConfigWatch::Pace()));
    }
    carry_out(core_->on_time(now()));
    // A loop that hangs does not get here; one that is late does not feed.
    service_manager_.emplace(io_, [this](std::chrono::milliseconds patience) {
      return core_->next_wake() == SteadyTime::max() || now().steady - core_->next_wake() < patience;
    });
    refresh_pages();
    return absl::OkStatus();
  }

  absl::Status reload() {
    absl::StatusOr<PopConfig> next = load_config(config_.file);
    absl::Status status = next.ok() ? can_change_to(config_, *next) : next.status();
    if (status.ok()) status = check_probe_files(*next);
    if (status.ok()) status = bgpctl::create_missing_state_files(*next);
    last_reload_ =
        json::object{{"unix_ms", now().unix_ms}, {"ok", status.ok()}, {"error", json::string(message(status))}};
    record({{"event", "reload"}, {"ok", status.ok()}, {"error", json::string(message(status))}});
    if (status.ok()) change_to(*std::move(next));
    return status;
  }

 private:
  // For bgpctl, should the file break.
  void keep_config() const {
    const absl::Status kept = bgpctl::keep_good_config(config_);
    if (!kept.ok()) spdlog::warn("event=config-not-kept error=\"{}\"", escaped(message(kept)));
  }

  void change_to(PopConfig next) {
    const bool other_services = next.services != config_.services;
    if (other_services) prober_.reset();
    const bool other_heartbeats = next.monitor != config_.monitor;
    dampings_.reset();
    const PopConfig before = std::exchange(config_, std::move(next));
    announcer_.configure(config_);
    keep_config();
    watch_dampings();
    if (other_heartbeats) {
      connect_dataplane();
      core_->forget_questions();
    }
    carry_out(core_->on_reload(before, read_state_files(config_), dampings_->load(now()), now()));
    if (other_services) start_probes();
    read_holds();
  }

  static absl::Status can_change_to(const PopConfig& before, const PopConfig& next) {
    const auto refuse = [&](const char* key) {
      return failed_precondition(
          "{}: {}: found another value, expected it as before; it takes a restart of the monitor", next.file.string(),
          key);
    };
    if (before.pop != next.pop) return refuse("pop");
    if (before.run_dir != next.run_dir) return refuse("run_dir");
    if (before.state_dir != next.state_dir) return refuse("state_dir");
    if (before.birds != next.birds) return refuse(next.birds.size() > 1 ? "birds" : "bird");
    if (before.monitor.http_listen != next.monitor.http_listen) return refuse("monitor.http_listen");
    return absl::OkStatus();
  }

  void watch_dampings() {
    dampings_.emplace(io_, config_, [this](std::size_t announcement) {
      if (core_) carry_out(core_->on_forgiven(announcement, now()));
    });
  }
  void connect_dataplane() {
    dataplane_.emplace(io_, config_, [this](const auto& heartbeat) {
      web_.on_heartbeat(heartbeat);
      carry_out(core_->on_heartbeat(heartbeat, now()));
    });
  }
  void start_probes() {
    prober_.emplace(io_, config_, seed_, [this](ProbeId id, const ProbeResult& result) {
      log_probe(id, result);
      carry_out(core_->on_probe(id, result, now()));
      return core_->probe_interval(id);
    });
  }

  void carry_out(const Actions& actions) {
    for (const Action& action : actions) {
      std::visit([this](const auto& what) { perform(what); }, action);
    }
    arm_timer();
  }

  // Every second the counters are read, and whoever looks at the status page sees them.
  void refresh_pages() {
    dataplane_->read_stats([this](const auto& stats) { web_.on_stats(stats, SteadyTime::clock::now()); });
    web_.publish();
    service_manager_->say(core_->summary());
    page_timer_.expires_after(std::chrono::seconds(1));
    page_timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](boost::system::error_code error) {
      if (!error && !alive.expired()) refresh_pages();
    });
  }

  void log_probe(ProbeId id, const ProbeResult& result) const {
    if (!spdlog::should_log(spdlog::level::debug)) return;
    const ServiceConfig& service = config_.services[id.service];
    spdlog::debug("event=probe service={} backend={} probe={} ok={} latency_us={} cause=\"{}\"", service.name,
                  service.backends[id.backend].name, service.probes[id.probe].name, result.ok, result.latency.count(),
                  escaped(result.cause));
  }

  json::object state(const StateDetail& detail) const {
    json::object state{{"pop", config_.pop}, {"version", ANYPOP_VERSION}, {"started_unix_ms", started_.unix_ms}};
    // If it dies, systemd restarts it, and in the end withdraws by `bgpctl withdraw --all --monitor-lost`.
    const bool watched = service_manager_ && service_manager_->watchdog().count() > 0;
    state["watchdog_ms"] = watched ? json::value(service_manager_->watchdog().count()) : json::value(nullptr);
    state["last_reload"] = last_reload_;
    if (!core_) return state;
    for (auto& [key, value] : core_->state_json(now(), detail)) state[key] = std::move(value);
    json::array& errors = state["bird_config_errors"].emplace_array();
    for (const auto& watch : bird_configs_) {
      if (!watch->error().empty()) errors.emplace_back(watch->error());
    }
    return state;
  }

  void add_metrics(MetricsPage& page) const {
    page.gauge("anypop_healthmon_start_time_seconds", "When the monitor was started, in Unix time.");
    page.add({}, static_cast<double>(started_.unix_ms) / 1000);
    page.gauge("anypop_healthmon_watchdog_seconds", "How long systemd lets the monitor hang; 0: nobody watches it.");
    page.add({}, service_manager_ ? static_cast<double>(service_manager_->watchdog().count()) / 1000 : 0);
    if (!core_) return;
    core_->add_metrics(page, now());
    page.gauge("anypop_bird_config_good", "1: BIRD would take its configuration file as it is now.");
    for (std::size_t i = 0; i < bird_configs_.size(); ++i) {
      page.add({{"socket", config_.birds[i].socket}}, bird_configs_[i]->error().empty() ? 1 : 0);
    }
    const StartDelays& delays = prober_->start_delays();
    page.histogram("anypop_probe_start_delay_seconds", "How much later than planned probes started.");
    page.add({}, kStartDelayBounds, delays.counts, delays.sum_s);
  }

  void arm_timer() {
    if (core_->next_wake() == armed_for_) return;
    armed_for_ = core_->next_wake();
    timer_.expires_at(armed_for_);
    timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](boost::system::error_code error) {
      if (error || alive.expired()) return;
      armed_for_ = SteadyTime::min();
      carry_out(core_->on_time(now()));
    });
  }

  void perform(const SetAnnouncement& set) {
    const AnnouncementConfig& announcement = config_.announcements[set.announcement];
    announcer_.set(announcement, set.level, [this, set, name = announcement.name](const bgpctl::SetResult& result) {
      // By its name: a reload may have come in between.
      const AnnouncementConfig* found = config_.find_announcement(name);
      if (found == nullptr) return;
      const SetAnnouncement done{static_cast<std::size_t>(found - config_.announcements.data()), set.level};
      carry_out(core_->on_set(done, result, bgpctl::read_state_file(config_, *found), now()));
    });
  }
  void perform(const WithdrawStranger& stranger) {
    announcer_.set(stranger.announcement, bgpctl::Level::kWithdrawn,
                   [this, name = stranger.announcement.name](const bgpctl::SetResult& result) {
                     carry_out(core_->on_stranger_set(name, result, now()));
                   });
  }
  void perform(const LookAtBird&) {
    announcer_.look([this](const absl::StatusOr<bgpctl::BirdView>& view) {
      core_->on_leftover_files(leftover_files(config_));
      carry_out(core_->on_bird(view, read_state_files(config_), now()));
    });
  }
  void perform(const ReadDataplaneState&) {
    dataplane_->read_state([this](const auto& state) {
      web_.on_state(state);
      carry_out(core_->on_dataplane_state(state, now()));
    });
  }
  void perform(const PushHealth& push) {
    dataplane_->push_health(push.update,
                            [this](const auto& status) { carry_out(core_->on_health_pushed(status, now())); });
  }
  void perform(const SaveDamping& what) { dampings_->save(what.announcement, what.damping); }
  void perform(const Record& what) {
    record(what.event);
    // What is known of its file may be old.
    const std::string name(what.event.at("event").as_string());
    const bool back = name == "bird" && what.event.at("reachable").as_bool();
    if (!back && name != "bird-configure") return;
    for (const auto& watch : bird_configs_) watch->ask_now();
  }
  void perform(const Note& note) { spdlog::log(note.warning ? spdlog::level::warn : spdlog::level::info, note.text); }

  void record(const json::object& event) {
    spdlog::log(is_bad_news(event) ? spdlog::level::warn : spdlog::level::info, event_text(event));
    // Once, after everything that belongs together.
    if (!std::exchange(publish_posted_, true)) {
      asio::post(io_, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        publish_posted_ = false;
        web_.publish();
      });
    }
    const absl::Status written = events_.append(event);
    web_.on_event(event, written.ok());
    const std::string error(message(written));
    if (!written.ok() && error != event_log_error_) {
      spdlog::error("event=event-log-unwritable error=\"{}\"", escaped(error));
    }
    event_log_error_ = error;
  }

  void read_holds() {
    if (!core_) return;
    Holds holds;
    const Now at = now();
    for (const AnnouncementConfig& announcement : config_.announcements) {
      holds.push_back(bgpctl::load_hold(config_, announcement.name, at.unix_ms));
    }
    carry_out(core_->on_holds(holds, at));
  }

  HttpServer::AsyncHandler handler(Role role) {
    return [this, role](const HttpRequest& request, const HttpServer::Reply& reply) {
      if (web_.answer(request, reply) || api_.answer(request, role, reply)) return;
      reply(http_error(404, fmt::format("found {}, expected one of /, /metrics, /status/stream, /v1/state, {}",
                                        escaped(request.target.substr(0, 100)), fmt::join(Api::routes(), ", "))));
    };
  }

  asio::io_context& io_;
  PopConfig config_;
  Now started_ = now();
  bgpctl::EventLog events_;
  std::string event_log_error_;
  std::optional<MonitorCore> core_;
  bgpctl::Announcer announcer_;
  asio::steady_timer timer_;
  asio::steady_timer page_timer_;
  Web web_;
  Api api_;
  json::value last_reload_;  // null: none
  bool publish_posted_ = false;
  std::uint64_t seed_ = 0;  // of the probes' jitter
  SteadyTime armed_for_ = SteadyTime::min();
  std::shared_ptr<bool> alive_ = std::make_shared<bool>();  // ends with this object, before a handler that is queued
  bool begun_ = false;
  std::optional<DampingStore> dampings_;
  std::optional<HoldsWatch> holds_;
  std::optional<HoldsWatch> drains_;
  std::optional<DataplaneLink> dataplane_;
  std::optional<Prober> prober_;
  std::optional<ServiceManager> service_manager_;
  std::vector<std::unique_ptr<BirdConfigWatch>> bird_configs_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpServer> readers_server_;
};

absl::StatusOr<std::unique_ptr<Monitor>> Monitor::start(asio::io_context& io, PopConfig config, std::uint64_t seed) {
  if (absl::Status status = prepare_folders(config); !status.ok()) return status;
  if (absl::Status status = check_probe_files(config); !status.ok()) return status;
  // Only one monitor: the socket is taken before any file is touched.
  auto impl = std::make_unique<Impl>(io, std::move(config));
  if (absl::Status status = impl->serve(); !status.ok()) return status;
  if (absl::Status status = impl->begin(seed); !status.ok()) return status;
  return std::unique_ptr<Monitor>(new Monitor(std::move(impl)));
}

absl::Status Monitor::reload() { return impl_->reload(); }

Monitor::Monitor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Monitor::~Monitor() = default;

}  // namespace anypop::healthmon
