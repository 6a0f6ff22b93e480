// SPDX-License-Identifier: Apache-2.0
#include "dataplane/successor.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include <absl/cleanup/cleanup.h>
#include <poll.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/owned_fd.h"
#include "base/text.h"
#include "dataplane_api/http_client.h"
#include "dataplane_api/messages.h"

namespace anypop::dataplane {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// systemd's watchdog is told by the process that it names here, or by anybody.
std::vector<std::string> environment_for_it() {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("WATCHDOG_PID=")) result.emplace_back(*entry);
  }
  return result;
}

}  // namespace

Successor::Successor(boost::asio::io_context& io, std::vector<std::string> command)
    : command_(std::move(command)), children_(io) {}

absl::Status Successor::start() {
  if (pid_ != 0) return absl::OkStatus();
  boost::system::error_code error;
  children_.add(SIGCHLD, error);
  if (error) return internal_error("cannot wait for a process: {}", error.message());
  std::vector<std::string> command = command_;
  command.emplace_back("--replace");
  std::vector<std::string> environment = environment_for_it();
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  absl::Cleanup destroy = [&] { ::posix_spawn_file_actions_destroy(&files); };
  // The sockets of our ports must end with us.
  ::posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  const int failed =
      ::posix_spawn(&pid_, command[0].c_str(), &files, nullptr, pointers(command).data(), pointers(environment).data());
  if (failed != 0) {
    pid_ = 0;
    return errno_error(failed, "cannot start {}", command[0]);
  }
  wait_for_its_end();
  return absl::OkStatus();
}

void Successor::wait_for_its_end() {
  children_.async_wait([this](boost::system::error_code error, int /*signal*/) {
    if (error) return;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return wait_for_its_end();
    spdlog::error("event=restart error=\"the next process ended before it could follow; this one goes on\" pid={}",
                  pid_);
    pid_ = 0;
  });
}

absl::Status relieve(const std::filesystem::path& socket, std::chrono::milliseconds patience) {
  const auto answer = http_call(socket, {"GET", std::string(dataplane_api::kStatePath), ""}, patience);
  if (absl::IsUnavailable(answer.status())) return absl::OkStatus();
  if (!answer.ok()) return answer.status();
  const auto state = dataplane_api::parse_state(answer->body);
  if (!state.ok()) return state.status();
  const OwnedFd former(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(state->pid), 0)));
  if (former.get() < 0) return errno_error(errno, "cannot watch process {}", state->pid);
  const auto asked = http_call(socket, {"POST", std::string(dataplane_api::kRestartPath), ""}, patience);
  if (!asked.ok()) return asked.status();
  if (asked->status != 200) return failed_precondition("the running dataplane does not leave: HTTP {}", asked->status);
  pollfd ended{.fd = former.get(), .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, static_cast<int>(patience.count())) == 1) return absl::OkStatus();
  return deadline_exceeded("process {}, the running dataplane, is still there after {} ms", state->pid,
                           patience.count());
}

std::string program_path(const char* name) {
  std::error_code error;
  if (std::strchr(name, '/') != nullptr) return std::filesystem::absolute(name, error).string();
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

}  // namespace anypop::dataplane
