// SPDX-License-Identifier: Apache-2.0
// What the monitor sees of the world, as small models for the simulation: BIRD with its state files and control socket,
// and the dataplane. No time in them but what they are told.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/config.h"
#include "base/text.h"
#include "bgpctl/announcement.h"
#include "bgpctl/announcer.h"
#include "dataplane_api/messages.h"
#include "healthmon/monitor_core.h"

namespace anypop::healthmon::sim {

enum class ProcessState { kRunning, kHung, kDead };

// The state files decide after every start and every `configure`; enable and disable last until then.
class BirdModel {
 public:
  explicit BirdModel(const PopConfig& config)
      : config_(config),
        files(config.announcements.size(), bgpctl::Level::kWithdrawn),
        others(config.announcements.size(), 0) {
    for (const AnnouncementConfig& announcement : config.announcements) protocols_.emplace_back(announcement);
    protocols_.emplace_back(old);
    reread_files();
  }

  // With a bird.conf that it would not take it does not start; one that runs goes on as it is.
  void restart() {
    ++reboots_;
    if (conf_broken) {
      process = ProcessState::kDead;
      return;
    }
    process = ProcessState::kRunning;
    reread_files();
  }
  void configure() {
    if (process != ProcessState::kRunning || conf_broken) return;
    ++configures_;
    reread_files();
  }
  // An announcement that pop.yaml has no more.
  void leave_behind() {
    old_file = bgpctl::Level::kAnnounced;
    if (process == ProcessState::kRunning) protocols_.back().obey(old_file);
  }
  // Its file at once, whatever else is under way; its protocols when its turn has come.
  bgpctl::SetResult withdraw_old(bool families, bool disk_full) {
    bgpctl::SetResult result;
    result.status.Update(disk_full ? absl::ResourceExhaustedError("disk full") : absl::OkStatus());
    if (!disk_full) old_file = bgpctl::Level::kWithdrawn;
    if (!families) return result;
    result.status.Update(answer());
    if (answer().ok()) protocols_.back().obey(bgpctl::Level::kWithdrawn);
    return result;
  }
  // By somebody else's hand.
  void set_protocols(std::size_t announcement, bool up) {
    for (Protocol& protocol : protocols_[announcement].all) {
      if (!protocol.drain) protocol.up = up;
    }
  }

  absl::Status answer() const {
    if (process == ProcessState::kDead) return absl::UnavailableError("no BIRD");
    if (process == ProcessState::kHung) return absl::DeadlineExceededError("BIRD hangs");
    return absl::OkStatus();
  }

  bgpctl::SetResult set(std::size_t announcement, bgpctl::Level level, bool disk_full) {
    bgpctl::SetResult result;
    if (disk_full) {
      result.status = absl::ResourceExhaustedError("disk full");
      if (level != bgpctl::Level::kWithdrawn) return result;
    } else {
      files[announcement] = level;
    }
    result.status.Update(answer());
    if (answer().ok()) protocols_[announcement].obey(level);
    return result;
  }

  absl::StatusOr<bgpctl::BirdView> look() const {
    if (const absl::Status status = answer(); !status.ok()) return status;
    bgpctl::BirdView view;
    view.version = "2.0.12";
    view.last_reboot = std::to_string(reboots_);
    view.last_reconfiguration = fmt::format("{}.{}", reboots_, configures_);
    view.instances = {{.socket = "bird.ctl",
                       .families = {Family::kV4, Family::kV6},
                       .version = view.version,
                       .last_reboot = view.last_reboot,
                       .last_reconfiguration = view.last_reconfiguration}};
    bgpctl::BirdSessionExport session{.established = true};
    for (std::size_t i = 0; i < config_.announcements.size(); ++i) {
      const AnnouncementConfig& announcement = config_.announcements[i];
      for (const IpPrefix& prefix : announcement.prefixes) {
        if (announcement.keep_last) view.others[prefix] = others[i];
      }
      // A drain protocol's routes are preferred.
      for (const Protocol& protocol : protocols_[i].all) {
        view.protocols[protocol.name] = {"Static", protocol.up ? "up" : "down", ""};
        for (const IpPrefix& prefix : announcement.prefixes) {
          if (protocol.up && prefix.family() == protocol.family) session.prefixes[prefix] = protocol.name;
        }
      }
    }
    for (const Protocol& protocol : protocols_.back().all) {
      view.protocols[protocol.name] = {"Static", protocol.up ? "up" : "down", ""};
    }
    for (std::size_t i = 0; i < sessions_up.size(); ++i) {
      view.sessions[fmt::format("transit{}", i + 1)] = sessions_up[i] ? session : bgpctl::BirdSessionExport{};
    }
    return view;
  }

  // To the routers: what is preferred. By announcement, and last the old one.
  bgpctl::Level level(std::size_t announcement) const {
    bgpctl::Level level = bgpctl::Level::kWithdrawn;
    if (process == ProcessState::kDead) return level;
    for (const Protocol& protocol : protocols_[announcement].all) {
      if (protocol.up && protocol.drain) return bgpctl::Level::kDrained;
      if (protocol.up) level = bgpctl::Level::kAnnounced;
    }
    return level;
  }
  std::size_t old_index() const { return config_.announcements.size(); }

  StateFiles state_files() const { return {files.begin(), files.end()}; }

 private:
  struct Protocol {
    std::string name;
    Family family;
    bool drain;
    bool up = false;
  };
  // Of one announcement. What each level commands is looked up once, because days of simulation ask for it all the
  // time.
  struct Protocols {
    explicit Protocols(const AnnouncementConfig& announcement) {
      for (const auto& command : bgpctl::commands_for(announcement, bgpctl::Level::kWithdrawn)) {
        all.push_back({command.protocol, command.family, command.drain});
      }
      for (const auto level : {bgpctl::Level::kWithdrawn, bgpctl::Level::kDrained, bgpctl::Level::kAnnounced}) {
        for (const auto& command : bgpctl::commands_for(announcement, level)) {
          const auto at =
              std::find_if(all.begin(), all.end(), [&](const Protocol& p) { return p.name == command.protocol; });
          orders[static_cast<std::size_t>(level)].emplace_back(static_cast<std::size_t>(at - all.begin()),
                                                               command.enable);
        }
      }
    }
    void obey(bgpctl::Level level) {
      for (const auto& [protocol, enable] : orders[static_cast<std::size_t>(level)]) all[protocol].up = enable;
    }
    std::vector<Protocol> all;
    std::array<std::vector<std::pair<std::size_t, bool>>, 3> orders;  // by level
  };

  static AnnouncementConfig old_announcement() {
    return {.name = "old", .prefixes = {*IpPrefix::parse("203.0.113.0/25"), *IpPrefix::parse("2001:db8:99::/48")}};
  }
  void reread_files() {
    for (std::size_t i = 0; i < files.size(); ++i) protocols_[i].obey(files[i]);
    protocols_.back().obey(old_file);
  }

  const PopConfig& config_;
  std::vector<Protocols> protocols_;  // by announcement, and last the old one
  unsigned reboots_ = 0;
  unsigned configures_ = 0;

 public:
  bool conf_broken = false;
  const AnnouncementConfig old = old_announcement();
  bgpctl::Level old_file = bgpctl::Level::kWithdrawn;
  std::vector<bgpctl::Level> files;
  std::vector<std::size_t> others;  // PoPs that announce it, undrained, besides this one
  std::vector<bool> sessions_up{true};
  std::size_t established() const {
    return static_cast<std::size_t>(std::count(sessions_up.begin(), sessions_up.end(), true));
  }
  ProcessState process = ProcessState::kRunning;
};

class DataplaneModel {
 public:
  explicit DataplaneModel(const PopConfig& config) : config_(config) { restart(); }

  void restart() {
    process = ProcessState::kRunning;
    worker_age_ms = 0;
    planned_restart_ms = 0;
    state_ = {.pop = config_.pop, .instance = std::to_string(++starts_), .generation = 1};
    for (const ServiceConfig& service : config_.services) {
      dataplane_api::ServiceState& out = state_.services.emplace_back();
      out.name = service.name;
      for (const BackendConfig& backend : service.backends) {
        out.backends.push_back({.name = backend.name, .healthy = true, .resolved = true});
      }
    }
  }

  absl::Status answer() const {
    if (process == ProcessState::kDead) return absl::UnavailableError("refused");
    if (process == ProcessState::kHung) return absl::DeadlineExceededError("no answer in time");
    return absl::OkStatus();
  }
  absl::StatusOr<dataplane_api::Heartbeat> heartbeat() const {
    if (const absl::Status status = answer(); !status.ok()) return status;
    return dataplane_api::Heartbeat{
        state_.instance, state_.generation, {{.worker = 0, .age_ms = worker_age_ms}}, planned_restart_ms};
  }
  absl::StatusOr<dataplane_api::State> state() const {
    if (const absl::Status status = answer(); !status.ok()) return status;
    return state_;
  }
  absl::Status take_health(const dataplane_api::HealthUpdate& update) {
    if (const absl::Status status = answer(); !status.ok()) return status;
    for (const dataplane_api::BackendHealth& health : update.backends) {
      for (dataplane_api::ServiceState& service : state_.services) {
        for (dataplane_api::BackendState& backend : service.backends) {
          if (service.name != health.service || backend.name != health.backend) continue;
          backend.healthy = health.healthy;
          backend.weight_permille = health.weight_permille;
        }
      }
    }
    ++state_.generation;
    return absl::OkStatus();
  }
  void resolve(BackendId id, bool resolved) {
    state_.services[id.service].backends[id.backend].resolved = resolved;
    ++state_.generation;
  }
  const dataplane_api::BackendState& backend(BackendId id) const {
    return state_.services[id.service].backends[id.backend];
  }

 private:
  const PopConfig& config_;
  dataplane_api::State state_;
  unsigned starts_ = 0;

 public:
  ProcessState process = ProcessState::kRunning;
  double worker_age_ms = 0;
  std::uint64_t planned_restart_ms = 0;
};

}  // namespace anypop::healthmon::sim
