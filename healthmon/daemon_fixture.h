// SPDX-License-Identifier: Apache-2.0
// The real program on loopback: HTTP backends and a dataplane in this process, the real BIRD beside it, everything in a
// folder of its own.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>
#include <gtest/gtest.h>
#include <sys/types.h>

#include "base/config.h"
#include "dataplane_api/http_server.h"
#include "sim_models.h"
#include "test_servers.h"

namespace anypop::healthmon {

// A child process, killed at the end.
class Child {
 public:
  Child(const std::vector<std::string>& command, const std::filesystem::path& log);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void signal(int number) const;
  // The exit code, or minus the signal that ended it; nullopt while it runs.
  std::optional<int> poll();

 private:
  pid_t pid_ = -1;
  std::optional<int> ended_;
};

class Daemon : public testing::Test {
 protected:
  static constexpr unsigned kIntervalMs = 100;
  static constexpr unsigned kFall = 3;
  static constexpr unsigned kHoldDownMs = 700;

  void SetUp() override;
  void TearDown() override;

  // Two backends of web4, at 127.0.0.1 and 127.0.0.2.
  void start_backends();
  void stop_backends();
  void start_dataplane();
  void stop_dataplane();  // closes the socket and every connection, as SIGKILL does
  void start_bird();
  void start_monitor();
  void start_everything();

  // Waits for a fact; a failure names it. Never longer than ten seconds.
  bool wait_for(const std::string& what, const std::function<bool()>& fact);
  bool wait_for_level(bgpctl::Level level);  // in the state file, in BIRD and in the event log
  bool wait_for_level(bool announced) {
    return wait_for_level(announced ? bgpctl::Level::kAnnounced : bgpctl::Level::kWithdrawn);
  }
  absl::StatusOr<bgpctl::Level> state_file() const;
  std::string bird(const std::string& command) const;  // birdc's output
  std::optional<bgpctl::Level> bird_level() const;     // nullopt: between two of them
  std::optional<bool> in_bird() const;                 // the same without a drain
  std::size_t bird_changes() const;                    // of our protocols' states, ever
  boost::json::object state() const;                   // GET /v1/state
  std::string cause() const;                           // of the announcement's level
  void rename_the_announcement();                      // in pop.yaml: from "web" to "www"
  std::size_t strangers() const;                       // announcements in BIRD that are not in pop.yaml
  std::vector<boost::json::object> events(const std::string& name) const;
  // From the last verdict to its command handed to BIRD.
  std::int64_t verdict_to_command_us() const;

  std::filesystem::path folder_;
  PopConfig config_;
  std::optional<Child> monitor_;
  std::optional<Child> bird_;
  std::unique_ptr<ServerThread> backend_thread_;
  std::vector<std::shared_ptr<TestBackend>> backends_;
  std::unique_ptr<sim::DataplaneModel> dataplane_;  // used on its thread while that runs
  std::unique_ptr<ServerThread> dataplane_thread_;
  std::unique_ptr<HttpServer> dataplane_server_;

 private:
  HttpResponse answer(const HttpRequest& request);
  std::uint16_t port_ = 0;
};

}  // namespace anypop::healthmon
