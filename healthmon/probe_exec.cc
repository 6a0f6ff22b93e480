// SPDX-License-Identifier: Apache-2.0
// A probe by a program: exit code 0 is good. It gets a process group of its own, an empty standard input, its output in
// a pipe of which only the beginning is kept, and ANYPOP_* in its environment. When it ends, or when its time is up,
// the whole group is killed, and the program is waited for: a pidfd makes its end an event like any other, so that no
// SIGCHLD handler is needed and no zombie stays. A process that left the group by itself (setsid) is not followed.
#include <array>
#include <cerrno>
#include <csignal>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "probe_attempt.h"

namespace anypop::healthmon {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

constexpr std::size_t kOutputMaxBytes = 256;

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// 0 and the process, or an error number.
int spawn(const ProbeTarget& target, int output, pid_t& pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  ::posix_spawn_file_actions_addclosefrom_np(&files, 3);
  sigset_t none;
  sigset_t ignored_here;
  sigemptyset(&none);
  sigemptyset(&ignored_here);
  for (const int number : {SIGPIPE, SIGHUP}) sigaddset(&ignored_here, number);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &ignored_here);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const std::vector<char*> arguments = pointers(target.probe.exec.command);
  const std::vector<char*> environment = pointers(target.environment);
  const int error = ::posix_spawn(&pid, arguments[0], &files, &attributes, arguments.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  return error;
}

class ExecAttempt : public ProbeAttempt {
 public:
  ExecAttempt(asio::io_context& io, const ProbeTarget& target, Probe::Handler handler)
      : ProbeAttempt(io, target, std::move(handler)), output_(io), end_(io) {}

 protected:
  void begin() override {
    stage_ = "running";
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return give_up("no pipe", errno);
    output_.assign(ends[0]);
    ::fcntl(ends[1], F_SETFL, 0);  // of the program's end only
    const int error = spawn(target_, ends[1], pid_);
    ::close(ends[1]);
    if (error != 0) {
      pid_ = -1;
      return give_up(escaped(target_.probe.exec.command[0]), error);
    }
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (pidfd < 0) {
      const int why = errno;
      ::kill(-pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      pid_ = -1;
      return give_up("no pidfd", why);
    }
    end_.assign(pidfd);
    end_.async_wait(asio::posix::descriptor_base::wait_read, [self = self_as<ExecAttempt>()](ErrorCode failed) {
      if (!failed && !self->over()) self->on_end();
    });
    read();
  }

  void close() override {
    ErrorCode ignored;
    output_.close(ignored);
    if (pid_ < 0) return void(end_.close(ignored));
    ::kill(-pid_, SIGKILL);
    // Killed is not ended: a process that waits for a dead disk takes its time, and nobody may wait with it.
    const auto end = std::make_shared<asio::posix::stream_descriptor>(std::move(end_));
    end->async_wait(asio::posix::descriptor_base::wait_read,
                    [end, pid = pid_](ErrorCode) { ::waitpid(pid, nullptr, WNOHANG); });
    pid_ = -1;
  }

 private:
  void give_up(std::string_view what, int error_number) {
    finish_soon({false,
                 fmt::format("{}: {}", what, ErrorCode(error_number, boost::system::system_category()).message()),
                 Evidence::kLocal});
  }

  // What is over the limit is read and thrown away, so that the program is not held up by a full pipe.
  void read() {
    output_.async_read_some(asio::buffer(chunk_), [self = self_as<ExecAttempt>()](ErrorCode error, std::size_t size) {
      if (self->over()) return;
      self->keep(size);
      if (!error) self->read();
    });
  }

  void keep(std::size_t size) {
    text_.append(chunk_.data(), std::min(size, kOutputMaxBytes - std::min(kOutputMaxBytes, text_.size())));
  }

  void on_end() {
    // What it wrote last may still be in the pipe; others may hold its other end open, so its end is not waited for.
    ErrorCode error;
    output_.non_blocking(true, error);
    for (int i = 0; i < 4 && !error; ++i) keep(output_.read_some(asio::buffer(chunk_), error));
    int status = 0;
    ::kill(-pid_, SIGKILL);  // what it has left behind
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    std::string cause = WIFEXITED(status) ? fmt::format("exit code {}", WEXITSTATUS(status))
                                          : fmt::format("killed by signal {}", WTERMSIG(status));
    if (const std::string line = text_.substr(0, text_.find('\n')); !line.empty()) cause += ": " + escaped(line);
    finish({WIFEXITED(status) && WEXITSTATUS(status) == 0, cause});
  }

  asio::posix::stream_descriptor output_;
  asio::posix::stream_descriptor end_;
  pid_t pid_ = -1;
  std::string text_;
  std::array<char, 512> chunk_{};
};

}  // namespace

std::shared_ptr<ProbeAttempt> exec_attempt(asio::io_context& io, const ProbeTarget& target, Probe::Handler handler) {
  return std::make_shared<ExecAttempt>(io, target, std::move(handler));
}

}  // namespace anypop::healthmon
