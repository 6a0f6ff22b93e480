// SPDX-License-Identifier: Apache-2.0
#include "daemon_fixture.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "bgpctl/announcement.h"
#include "dataplane_api/http_client.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr const char* kBird = "/usr/sbin/bird";

std::string read_all(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

Child::Child(const std::vector<std::string>& command, const std::filesystem::path& log) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::close_range(3, ~0U, 0);  // a child that keeps a backend's listening socket keeps the backend alive
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(output);
}

Child::~Child() {
  if (poll()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Child::signal(int number) const { ::kill(pid_, number); }

std::optional<int> Child::poll() {
  int status = 0;
  if (!ended_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    ended_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  return ended_;
}

void Daemon::SetUp() {
  std::string name = testing::TempDir() + "healthmon_XXXXXX";
  folder_ = ::mkdtemp(name.data());
  std::filesystem::create_directory(folder_ / "run");
  std::filesystem::create_directory(folder_ / "state");
  start_backends();
  const std::string text = fmt::format(
      R"(pop: ams
run_dir: {0}/run
state_dir: {0}/state
bird: {{socket: {0}/bird.ctl}}
dataplane: {{ports: [{{name: uplink, af_xdp: lo}}], hash_key: 8f0c1d2e3b4a59687786a5b4c3d2e1f0}}
services:
  - name: web4
    vip: 198.51.100.1
    protocol: tcp
    port: {1}
    backends: [{{name: b1, address: 127.0.0.1}}, {{name: b2, address: 127.0.0.2}}]
    probe: {{type: http, path: /, interval_ms: {2}, timeout_ms: 90, rise: 2, fall: {3}}}
announcements:
  - {{name: web, prefixes: [198.51.100.0/24, "2001:db8:53::/48"], services: [web4], hold_down_ms: {4}}}
)",
      folder_.string(), port_, kIntervalMs, kFall, kHoldDownMs);
  ASSERT_TRUE(write_file_atomically(folder_ / "pop.yaml", text).ok());
  const auto config = load_config(folder_ / "pop.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  config_ = *config;
}

void Daemon::TearDown() {
  monitor_.reset();
  bird_.reset();
  stop_dataplane();
  stop_backends();
  if (HasFailure()) {
    std::cerr << read_all(folder_ / "monitor.log") << read_all(folder_ / "bird.log")
              << read_all(folder_ / "state" / "events.jsonl");
  }
  std::filesystem::remove_all(folder_);
}

void Daemon::start_backends() {
  backend_thread_ = std::make_unique<ServerThread>();
  backend_thread_->run([this] {
    for (const char* address : {"127.0.0.1", "127.0.0.2"}) {
      backends_.push_back(TestBackend::listen(backend_thread_->io(), address, port_));
      ASSERT_NE(backends_.back(), nullptr);
      port_ = backends_.back()->port();
    }
  });
}

void Daemon::stop_backends() {
  if (!backend_thread_) return;
  backend_thread_->run([this] {
    for (const auto& backend : backends_) backend->close();
    backends_.clear();
  });
  backend_thread_.reset();
}

HttpResponse Daemon::answer(const HttpRequest& request) {
  if (request.target == dataplane_api::kHeartbeatPath) return {200, to_json(*dataplane_->heartbeat())};
  if (request.target == dataplane_api::kStatePath) return {200, to_json(*dataplane_->state())};
  if (request.target == dataplane_api::kStatsPath) {
    return {200, to_json(dataplane_api::Stats{.instance = "model", .verdicts = {{"forward", 1}}})};
  }
  const auto update = dataplane_api::parse_health_update(request.body);
  if (request.target != dataplane_api::kHealthPath || !update.ok()) return http_error(400, "unexpected request");
  (void)dataplane_->take_health(*update);
  return {200, "{\"generation\": 2}"};
}

void Daemon::start_dataplane() {
  dataplane_ = std::make_unique<sim::DataplaneModel>(config_);
  dataplane_thread_ = std::make_unique<ServerThread>();
  dataplane_thread_->run([this] {
    auto server = HttpServer::listen(dataplane_thread_->io(), {.socket_path = config_.dataplane_socket()},
                                     [this](const HttpRequest& request) { return answer(request); });
    ASSERT_TRUE(server.ok()) << server.status();
    dataplane_server_ = *std::move(server);
  });
}

void Daemon::stop_dataplane() {
  if (!dataplane_thread_) return;
  dataplane_thread_->run([this] { dataplane_server_.reset(); });
  dataplane_thread_.reset();
}

void Daemon::start_bird() {
  ASSERT_TRUE(bgpctl::create_missing_state_files(config_).ok());
  const std::string text = "log stderr all;\ndebug protocols { states };\nrouter id 192.0.2.1;\nprotocol device {}\n" +
                           bgpctl::render_bird_config(config_);
  ASSERT_TRUE(write_file_atomically(folder_ / "bird.conf", text).ok());
  bird_.emplace(std::vector<std::string>{kBird, "-f", "-c", (folder_ / "bird.conf").string(), "-s",
                                         config_.birds.front().socket, "-P", (folder_ / "bird.pid").string()},
                folder_ / "bird.log");
  wait_for("BIRD answers", [this] { return bird("show status").find("up and running") != std::string::npos; });
}

void Daemon::start_monitor() {
  monitor_.emplace(std::vector<std::string>{ANYPOP_HEALTHMON, "--config", config_.file.string()},
                   folder_ / "monitor.log");
}

void Daemon::start_everything() {
  start_bird();
  start_dataplane();
  start_monitor();
  ASSERT_TRUE(wait_for_level(true));
}

bool Daemon::wait_for(const std::string& what, const std::function<bool()>& fact) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!fact()) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "waited in vain: " << what;
      return false;
    }
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

bool Daemon::wait_for_level(bgpctl::Level level) {
  const std::string name(bgpctl::level_name(level));
  return wait_for(name, [&] {
    const auto file = state_file();
    if (!file.ok() || *file != level || bird_level() != level) return false;
    const auto commands = events("command");  // written when the last answer has come
    return !commands.empty() && commands.back().at("level").as_string() == name;
  });
}

absl::StatusOr<bgpctl::Level> Daemon::state_file() const {
  return bgpctl::read_state_file(config_, config_.announcements[0]);
}

std::string Daemon::bird(const std::string& command) const {
  const std::string line = fmt::format("/usr/sbin/birdc -s {} '{}' 2>&1", config_.birds.front().socket, command);
  std::string output;
  FILE* pipe = ::popen(line.c_str(), "r");
  std::array<char, 512> chunk;
  while (::fgets(chunk.data(), chunk.size(), pipe) != nullptr) output += chunk.data();
  ::pclose(pipe);
  return output;
}

std::optional<bgpctl::Level> Daemon::bird_level() const {
  const std::string protocols = bird("show protocols");
  for (const bgpctl::Level level : {bgpctl::Level::kWithdrawn, bgpctl::Level::kDrained, bgpctl::Level::kAnnounced}) {
    const auto commands = bgpctl::commands_for(config_.announcements[0], level);
    const bool all = std::all_of(commands.begin(), commands.end(), [&](const bgpctl::LevelCommand& command) {
      const std::size_t at = protocols.find(command.protocol + " ");
      const std::string line = at == std::string::npos ? "" : protocols.substr(at, protocols.find('\n', at) - at);
      return line.find(command.enable ? " up " : " down ") != std::string::npos;
    });
    if (all) return level;
  }
  return std::nullopt;
}

std::optional<bool> Daemon::in_bird() const {
  const auto level = bird_level();
  return level ? std::optional(*level != bgpctl::Level::kWithdrawn) : std::nullopt;
}

std::size_t Daemon::bird_changes() const {
  std::ifstream log(folder_ / "bird.log");
  std::size_t count = 0;
  for (std::string line; std::getline(log, line);) {
    if (line.find("anypop_web") != std::string::npos && line.find("State changed") != std::string::npos) ++count;
  }
  return count;
}

json::object Daemon::state() const {
  const auto response = http_call(config_.monitor_socket(), {"GET", "/v1/state", ""}, 5s);
  if (!response.ok()) return {};
  return json::parse(response->body).as_object();
}

std::string Daemon::cause() const {
  const json::object found = state();
  return found.empty() ? "" : std::string(found.at("announcements").at(0).at("cause").as_string());
}

void Daemon::rename_the_announcement() {
  std::string text = *read_file(config_.file);
  text.replace(text.find("name: web,"), 10, "name: www,");
  ASSERT_TRUE(write_file_atomically(config_.file, text).ok());
}

std::size_t Daemon::strangers() const {
  const json::object found = state();
  const json::value* list = found.if_contains("strangers");
  return list == nullptr ? 99 : list->as_array().size();
}

std::vector<json::object> Daemon::events(const std::string& name) const {
  std::vector<json::object> found;
  std::ifstream log(config_.event_log());
  for (std::string line; std::getline(log, line);) {
    json::error_code error;
    const json::value value = json::parse(line, error);
    if (!error && value.is_object() && value.at("event").as_string() == name) found.push_back(value.as_object());
  }
  return found;
}

std::int64_t Daemon::verdict_to_command_us() const {
  const auto verdicts = events("verdict");
  const auto commands = events("command");
  if (verdicts.empty() || commands.empty()) return -1;
  return (commands.back().at("sent_unix_ns").as_int64() - verdicts.back().at("unix_ns").as_int64()) / 1000;
}

}  // namespace anypop::healthmon
