// SPDX-License-Identifier: Apache-2.0
#include "terminal.h"

#include <cerrno>
#include <string_view>
#include <utility>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop::cli {
namespace {

// Alternate screen and cursor: xterm's private modes, which every terminal of today knows.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kToEndOfLine = "\x1b[K";
constexpr std::string_view kToEndOfScreen = "\x1b[J";

void put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

sigset_t our_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH}) ::sigaddset(&set, number);
  return set;
}

}  // namespace

absl::StatusOr<Terminal> Terminal::take() {
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
    return failed_precondition("found no terminal; --once prints a page, --json lines for programs");
  }
  Terminal terminal;
  if (::tcgetattr(STDIN_FILENO, &terminal.before_) != 0) return errno_error(errno, "cannot use the terminal");
  const sigset_t set = our_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, &terminal.mask_before_);
  terminal.signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (terminal.signals_ < 0) return errno_error(errno, "cannot wait for signals");
  terminal.enter();
  return terminal;
}

Terminal::Terminal(Terminal&& other) noexcept
    : before_(other.before_), mask_before_(other.mask_before_), signals_(std::exchange(other.signals_, -1)) {}

Terminal::~Terminal() {
  if (signals_ < 0) return;
  leave();
  ::close(signals_);
  ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

void Terminal::enter() {
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  put(kEnter);
}

void Terminal::leave() {
  put(kLeave);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

Terminal::Size Terminal::size() const {
  winsize found{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &found) != 0 || found.ws_col == 0 || found.ws_row == 0) return {};
  return {.columns = found.ws_col, .rows = found.ws_row};
}

void Terminal::draw(const std::vector<std::string>& lines) {
  const std::size_t rows = size().rows;
  std::string out(kHome);
  for (std::size_t i = 0; i < lines.size() && i < rows; ++i) {
    if (i > 0) out += "\r\n";
    out += lines[i];
    out += kToEndOfLine;
  }
  out += kToEndOfScreen;
  put(out);
}

Terminal::Event Terminal::on_signal() {
  signalfd_siginfo info{};
  if (::read(signals_, &info, sizeof(info)) != sizeof(info)) return Event::kTime;
  const int number = static_cast<int>(info.ssi_signo);
  if (number == SIGWINCH) return Event::kRedraw;
  if (number != SIGTSTP) {
    signal_ = number;
    return Event::kQuit;
  }
  leave();
  ::raise(SIGSTOP);
  enter();
  return Event::kRedraw;
}

Terminal::Event Terminal::wait(std::chrono::milliseconds timeout) {
  pollfd watched[] = {{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                      {.fd = signals_, .events = POLLIN, .revents = 0}};
  const int ready = ::poll(watched, 2, static_cast<int>(timeout.count()));
  if (ready <= 0) return Event::kTime;
  if ((watched[1].revents & POLLIN) != 0) return on_signal();
  return ::read(STDIN_FILENO, &key_, 1) == 1 ? Event::kKey : Event::kQuit;
}

}  // namespace anypop::cli
