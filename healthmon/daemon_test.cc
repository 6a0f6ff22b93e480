// SPDX-License-Identifier: Apache-2.0
// anypop-healthmon with a real BIRD: what fails, what it says, and what it does.
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "bgpctl/flaps.h"
#include "bgpctl/good_config.h"
#include "bgpctl/holds.h"
#include "daemon_fixture.h"
#include "dataplane_api/http_client.h"

namespace anypop::healthmon {
namespace {

using namespace std::chrono_literals;
using bgpctl::Level;
using testing::HasSubstr;
using testing::StartsWith;
using Clock = std::chrono::steady_clock;

TEST_F(Daemon, AnnouncesAfterTheFirstFullRound) {
  start_bird();
  start_dataplane();
  EXPECT_EQ(in_bird(), false);
  start_monitor();
  ASSERT_TRUE(wait_for_level(true));
  EXPECT_EQ(cause(), "every condition is good");
  EXPECT_EQ(events("drift").size(), 0U);
  const auto state = this->state();
  EXPECT_EQ(state.at("pop").as_string(), "ams");
  EXPECT_TRUE(state.at("dataplane").at("alive").as_bool());
  EXPECT_TRUE(state.at("bird").at("reachable").as_bool());
  EXPECT_THAT(std::string(state.at("bird").at("version").as_string()), StartsWith("2."));
  EXPECT_EQ(state.at("services").at(0).at("backends").at(1).at("cause").as_string(), "HTTP 200");
}

TEST_F(Daemon, AllBackendsDeadWithdrawsAndTheirReturnAnnouncesAfterTheHoldDown) {
  start_everything();
  const auto fault = Clock::now();
  stop_backends();
  ASSERT_TRUE(wait_for_level(false));
  EXPECT_LT(Clock::now() - fault, std::chrono::milliseconds(kFall * kIntervalMs) + 1s);
  EXPECT_EQ(cause(), "web4: 0 of 2 backends healthy (0 %), 50 % wanted");
  EXPECT_TRUE(wait_for("the dataplane was told", [this] {
    bool told = false;
    dataplane_thread_->run([&] {
      told = !dataplane_->backend({0, 0}).healthy && !dataplane_->backend({0, 1}).healthy;
    });
    return told;
  }));
  fmt::print("verdict to command: {} us\n", verdict_to_command_us());
  EXPECT_LT(verdict_to_command_us(), 50'000);

  start_backends();
  ASSERT_TRUE(wait_for("hold-down", [this] { return cause().starts_with("hold-down: healthy for "); }));
  EXPECT_EQ(in_bird(), false);
  ASSERT_TRUE(wait_for_level(true));
  const auto verdicts = events("verdict");
  ASSERT_EQ(verdicts.size(), 3U);
  EXPECT_GE(verdicts[2].at("unix_ns").as_int64() - verdicts[1].at("unix_ns").as_int64(), kHoldDownMs * 1'000'000LL);
}

TEST_F(Daemon, OneOfTwoBackendsDeadIsToldToTheDataplaneOnly) {
  start_everything();
  backend_thread_->run([this] { backends_[1]->close(); });
  EXPECT_TRUE(wait_for("the dataplane was told", [this] {
    bool told = false;
    dataplane_thread_->run([&] { told = dataplane_->backend({0, 0}).healthy && !dataplane_->backend({0, 1}).healthy; });
    return told;
  }));
  EXPECT_EQ(in_bird(), true);
  EXPECT_EQ(events("verdict").size(), 1U);
}

TEST_F(Daemon, ADeadDataplaneWithdrawsAtOnce) {
  start_everything();
  stop_dataplane();
  ASSERT_TRUE(wait_for_level(false));
  EXPECT_THAT(cause(), HasSubstr("the dataplane is gone: "));
  fmt::print("verdict to command: {} us\n", verdict_to_command_us());
  start_dataplane();
  ASSERT_TRUE(wait_for_level(true));
  const auto verdicts = events("verdict");
  ASSERT_EQ(verdicts.size(), 3U);
  EXPECT_GE(verdicts[2].at("unix_ns").as_int64() - verdicts[1].at("unix_ns").as_int64(), kHoldDownMs * 1'000'000LL);
}

TEST_F(Daemon, AStuckWorkerAndALostNextHopWithdraw) {
  start_everything();
  dataplane_thread_->run([this] { dataplane_->worker_age_ms = 5000; });
  ASSERT_TRUE(wait_for_level(false));
  EXPECT_THAT(cause(), StartsWith("worker 0 of the dataplane stands still"));
  dataplane_thread_->run([this] { dataplane_->worker_age_ms = 0; });
  ASSERT_TRUE(wait_for_level(true));
  dataplane_thread_->run([this] {
    dataplane_->resolve({0, 0}, false);
    dataplane_->resolve({0, 1}, false);
  });
  ASSERT_TRUE(wait_for_level(false));
  EXPECT_EQ(cause(), "web4: 0 of 2 backends usable (0 %), 50 % wanted; next hop unresolved: b1, b2");
}

TEST_F(Daemon, ANewDataplaneIsToldWhatIsHealthy) {
  start_everything();
  backend_thread_->run([this] { backends_[1]->close(); });
  const auto told = [this] {
    bool result = false;
    dataplane_thread_->run([&] { result = !dataplane_->backend({0, 1}).healthy; });
    return result;
  };
  EXPECT_TRUE(wait_for("told", told));
  dataplane_thread_->run([this] { dataplane_->restart(); });
  EXPECT_TRUE(wait_for("told again", told));
}

TEST_F(Daemon, AHoldOutranksHealth) {
  start_everything();
  ASSERT_TRUE(bgpctl::place_hold(config_, "web", {.reason = "maintenance", .who = "alice", .placed_unix_ms = 1}).ok());
  ASSERT_TRUE(wait_for_level(false));
  EXPECT_EQ(cause(), "held out by alice: maintenance");
  EXPECT_EQ(state().at("announcements").at(0).at("hold").at("kind").as_string(), "withdraw");
  ASSERT_TRUE(bgpctl::release_hold(config_, "web").ok());
  ASSERT_TRUE(wait_for_level(true));
}

TEST_F(Daemon, ItsDeathAndItsRestartChangeNothing) {
  start_everything();
  const std::size_t before = bird_changes();
  EXPECT_GE(before, 2U) << "both protocols went up";
  const std::size_t commands = events("command").size();
  monitor_->signal(SIGKILL);
  ASSERT_TRUE(wait_for("dead", [this] { return monitor_->poll().has_value(); }));
  EXPECT_EQ(*state_file(), Level::kAnnounced);
  EXPECT_EQ(in_bird(), true);
  start_monitor();
  ASSERT_TRUE(wait_for("the first full round", [this] { return cause() == "every condition is good"; }));
  EXPECT_EQ(bird_changes(), before);
  EXPECT_EQ(events("command").size(), commands);
}

TEST_F(Daemon, SigtermLeavesTheAnnouncement) {
  start_everything();
  monitor_->signal(SIGTERM);
  ASSERT_TRUE(wait_for("it ended", [this] { return monitor_->poll().has_value(); }));
  EXPECT_EQ(monitor_->poll(), 0);
  EXPECT_EQ(*state_file(), Level::kAnnounced);
  EXPECT_EQ(in_bird(), true);
  EXPECT_FALSE(std::filesystem::exists(config_.monitor_socket()));
  EXPECT_EQ(events("stop").size(), 1U);
}

TEST_F(Daemon, SomebodyElsesHandIsRepairedAndReported) {
  start_everything();
  bird("disable \"anypop_web_v4\"");
  ASSERT_TRUE(wait_for("reported", [this] { return !events("drift").empty(); }));
  ASSERT_TRUE(wait_for_level(true));
  EXPECT_EQ(events("drift")[0].at("intended").as_string(), "announced");
  EXPECT_EQ(events("drift")[0].at("found").as_string(), "only partly in BIRD's table");
}

TEST_F(Daemon, BirdMayComeLaterAndMayDie) {
  start_dataplane();
  start_monitor();
  ASSERT_TRUE(wait_for("the state file is right without BIRD",
                       [this] { return state_file().value_or(Level::kWithdrawn) == Level::kAnnounced; }));
  start_bird();
  EXPECT_EQ(in_bird(), true) << "by its state file";
  ASSERT_TRUE(wait_for("seen", [this] { return state().at("bird").at("reachable") == true; }));
  bird_->signal(SIGKILL);
  ASSERT_TRUE(wait_for("missed", [this] { return state().at("bird").at("reachable") == false; }));
  stop_backends();
  ASSERT_TRUE(wait_for("the state file is right without BIRD",
                       [this] { return state_file().value_or(Level::kAnnounced) == Level::kWithdrawn; }));
  start_bird();
  EXPECT_EQ(in_bird(), false);
  EXPECT_EQ(events("drift").size(), 0U);
  ASSERT_TRUE(wait_for("back", [this] { return events("bird").size() == 4; })) << "gone, back, gone, back";
  EXPECT_EQ(events("bird")[2].at("reachable"), false);
  EXPECT_EQ(events("bird-restart").size(), 1U);
  EXPECT_EQ(events("bird-configure").size(), 0U);
  bird("configure");
  ASSERT_TRUE(wait_for("somebody ran configure", [this] { return events("bird-configure").size() == 1; }));
}

TEST_F(Daemon, TheSocketAnswersWhatItKnows) {
  start_dataplane();
  start_monitor();
  ASSERT_TRUE(wait_for("it serves", [this] { return !state().empty(); }));
  EXPECT_EQ(http_call(config_.monitor_socket(), {"GET", "/v1/nothing", ""}, 5s)->status, 404U);
  EXPECT_EQ(http_call(config_.monitor_socket(), {"PUT", "/v1/state", ""}, 5s)->status, 405U);
  monitor_->signal(SIGHUP);
  EXPECT_EQ(http_call(config_.monitor_socket(), {"GET", "/v1/state", ""}, 5s)->status, 200U);
}

// As the last good copy has it.
std::string without_secret(std::string text) {
  const std::string_view key = "hash_key: ";
  return text.replace(text.find(key) + key.size(), 32, 32, '0');
}

TEST_F(Daemon, AReloadForgetsNothingThatDidNotChange) {
  start_everything();
  backend_thread_->run([this] { backends_[1]->close(); });
  ASSERT_TRUE(wait_for("b2 is down", [this] { return events("backend").size() == 3; }));
  std::string text = *read_file(config_.file);
  const auto reload = [&](const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, from.size(), to);
    const std::size_t before = events("reload").size();
    ASSERT_TRUE(write_file_atomically(config_.file, text).ok());
    monitor_->signal(SIGHUP);
    ASSERT_TRUE(wait_for("reloaded", [&] { return events("reload").size() > before; }));
  };
  reload("interval_ms: 100", "interval_ms: 50");
  EXPECT_EQ(events("backend").size(), 3U) << "verdicts stay";
  EXPECT_EQ(cause(), "every condition is good");
  reload("hold_down_ms: 700", "hold_down_ms: 700, min_healthy_percent: 60");
  ASSERT_TRUE(wait_for_level(false));
  EXPECT_EQ(cause(), "web4: 1 of 2 backends healthy (50 %), 60 % wanted");
  reload("min_healthy_percent: 60", "min_healthy_percent: 40");
  EXPECT_THAT(cause(), StartsWith("hold-down: healthy for ")) << "a hold-down is not forgotten either";
  ASSERT_TRUE(wait_for_level(true));
  EXPECT_EQ(events("verdict").size(), 3U) << "announced, withdrawn, announced";
  EXPECT_THAT(*read_file(bgpctl::good_config_path(config_.state_dir)), StartsWith(without_secret(text)));
  EXPECT_TRUE(events("drift").empty());
}

TEST_F(Daemon, AReloadThatIsWrongChangesNothing) {
  start_everything();
  const std::string good = *read_file(config_.file);
  const auto refused = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    const std::size_t before = events("reload").size();
    ASSERT_TRUE(write_file_atomically(config_.file, text).ok());
    monitor_->signal(SIGHUP);
    ASSERT_TRUE(wait_for("refused", [&] { return events("reload").size() > before; }));
    EXPECT_FALSE(events("reload").back().at("ok").as_bool());
  };
  refused("hold_down_ms: 700", "hold_down_ms: soon");
  refused("pop: ams", "pop: fra");
  EXPECT_THAT(std::string(events("reload").back().at("error").as_string()),
              HasSubstr("pop: found another value, expected it as before"));
  EXPECT_EQ(http_call(config_.monitor_socket(), {"POST", "/v1/reload", ""}, 5s)->status, 409U);
  EXPECT_EQ(state().at("pop").as_string(), "ams");
  EXPECT_EQ(state().at("last_reload").at("ok"), false);
  EXPECT_THAT(std::string(state().at("last_reload").at("error").as_string()), HasSubstr("pop: found another value"));
  EXPECT_EQ(cause(), "every condition is good");
  EXPECT_THAT(*read_file(bgpctl::good_config_path(config_.state_dir)), StartsWith(without_secret(good)))
      << "bgpctl goes by this one";
}

TEST_F(Daemon, AnAnnouncementThatIsGoneIsWithdrawn) {
  start_everything();
  rename_the_announcement();
  monitor_->signal(SIGHUP);
  ASSERT_TRUE(wait_for("withdrawn", [this] { return bird_level() == Level::kWithdrawn; }));
  EXPECT_EQ(*state_file(), Level::kWithdrawn);
  EXPECT_EQ(state().at("announcements").at(0).at("name").as_string(), "www");
}

// The old name is not in pop.yaml any more, and the routers must not keep it.
TEST_F(Daemon, AnAnnouncementThatIsGoneAtAStartIsWithdrawn) {
  start_everything();
  monitor_->signal(SIGKILL);
  ASSERT_TRUE(wait_for("dead", [this] { return monitor_->poll().has_value(); }));
  rename_the_announcement();
  stop_backends();
  start_monitor();
  ASSERT_TRUE(wait_for("withdrawn", [this] { return bird_level() == Level::kWithdrawn; }));
  EXPECT_EQ(*state_file(), Level::kWithdrawn);
  ASSERT_TRUE(wait_for("read back", [this] { return strangers() == 0; }));
  ASSERT_EQ(events("drift").size(), 1U);
  EXPECT_EQ(events("drift")[0].at("announcement").as_string(), "web");
  EXPECT_EQ(events("drift")[0].at("found").as_string(), "anypop_web_v4, anypop_web_v6: up, but not in pop.yaml");
}

TEST_F(Daemon, AnAnnouncementThatIsGoneWhileBirdHangsIsWithdrawnWhenItAnswers) {
  start_everything();
  bird_->signal(SIGSTOP);
  rename_the_announcement();
  monitor_->signal(SIGHUP);
  ASSERT_TRUE(wait_for("at once in the file", [this] { return *state_file() == Level::kWithdrawn; }));
  ASSERT_TRUE(wait_for("given up", [this] {
    const auto commands = events("command");
    return !commands.empty() && commands.back().at("announcement") == "web" && commands.back().at("ok") == false;
  }));
  EXPECT_EQ(strangers(), 1U) << "nobody has confirmed it";
  ASSERT_TRUE(write_file_atomically(folder_ / "bird.conf", *read_file(folder_ / "bird.conf") + "\nnonsense;\n").ok());
  bird_->signal(SIGCONT);
  ASSERT_TRUE(wait_for("withdrawn", [this] { return bird_level() == Level::kWithdrawn; }));
  ASSERT_TRUE(wait_for("read back", [this] { return strangers() == 0; }));
  ASSERT_TRUE(wait_for("and its bird.conf was looked at, at once", [this] { return !events("bird-config").empty(); }));
  EXPECT_EQ(events("bird-config")[0].at("good"), false);
}

TEST_F(Daemon, ACrashDoesNotEndAHoldDown) {
  start_everything();
  stop_backends();
  ASSERT_TRUE(wait_for_level(false));
  ASSERT_TRUE(wait_for("on disk", [this] { return std::filesystem::exists(config_.flaps_dir() / "web.json"); }));
  monitor_->signal(SIGKILL);
  ASSERT_TRUE(wait_for("dead", [this] { return monitor_->poll().has_value(); }));
  start_backends();
  start_monitor();
  ASSERT_TRUE(wait_for("hold-down", [this] { return cause().starts_with("hold-down: healthy for "); }));
  EXPECT_EQ(state().at("announcements").at(0).at("flaps").as_int64(), 1);
  EXPECT_EQ(in_bird(), false);
  ASSERT_TRUE(wait_for_level(true));
}

TEST_F(Daemon, RemovingTheFileOfItsFlapsEndsAHoldDown) {
  std::string text = *read_file(config_.file);
  text.replace(text.find("hold_down_ms: 700"), 17, "hold_down_ms: 3600000");
  ASSERT_TRUE(write_file_atomically(config_.file, text).ok());
  start_everything();
  stop_backends();
  ASSERT_TRUE(wait_for_level(false));
  start_backends();
  ASSERT_TRUE(wait_for("hold-down", [this] { return cause().starts_with("hold-down: healthy for "); }));
  ASSERT_TRUE(bgpctl::forget_flaps(config_, "web").ok());
  ASSERT_TRUE(wait_for_level(true));
  EXPECT_EQ(events("forgive").size(), 1U);
}

// systemd's side of sd_notify(3).
class NotifySocket {
 public:
  explicit NotifySocket(const std::filesystem::path& path) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    ::setenv("WATCHDOG_USEC", "200000", 1);
  }
  ~NotifySocket() {
    ::close(socket_);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC"}) ::unsetenv(name);
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // Everything said since the last call.
  std::string heard() const {
    std::string all;
    std::array<char, 512> chunk{};
    for (ssize_t size; (size = ::recv(socket_, chunk.data(), chunk.size(), 0)) > 0;) {
      all.append(chunk.data(), static_cast<std::size_t>(size)).append("\n");
    }
    return all;
  }

 private:
  int socket_;
};

TEST_F(Daemon, SystemdIsToldAndItsWatchdogFedWhileTheLoopTurns) {
  const NotifySocket systemd(folder_ / "notify");
  start_everything();
  EXPECT_EQ(state().at("watchdog_ms").as_int64(), 200);
  std::string said;
  ASSERT_TRUE(wait_for("ready, fed, and what it does", [&] {
    said += systemd.heard();
    return said.find("READY=1") != std::string::npos && said.find("WATCHDOG=1") != std::string::npos &&
           said.find("STATUS=announces 1 of 1") != std::string::npos;
  }));
  monitor_->signal(SIGSTOP);
  (void)systemd.heard();
  std::this_thread::sleep_for(400ms);  // twice systemd's patience
  EXPECT_EQ(systemd.heard(), "") << "a stopped one must look dead";
  monitor_->signal(SIGCONT);
  ASSERT_TRUE(wait_for("fed again", [&] { return systemd.heard().find("WATCHDOG=1") != std::string::npos; }));
}

TEST_F(Daemon, AMissingFolderIsOneLineWithTheRemedy) {
  std::filesystem::remove_all(folder_ / "run");
  start_monitor();
  ASSERT_TRUE(wait_for("it ended", [this] { return monitor_->poll().has_value(); }));
  EXPECT_EQ(monitor_->poll(), 1);
  const std::string path = (folder_ / "run").string();
  const auto log = read_file(folder_ / "monitor.log");
  EXPECT_EQ(*log, fmt::format("anypop-healthmon: {}: run_dir: {} is not a folder; create it: install -d -m 0770 -g "
                              "anypop {}\n",
                              (folder_ / "pop.yaml").string(), path, path));
}

}  // namespace
}  // namespace anypop::healthmon
