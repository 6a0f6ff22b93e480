// SPDX-License-Identifier: Apache-2.0
// The terminal while a program draws on all of it: a screen of its own, keys as they are pressed, no cursor. Put back
// on every way out: the end, an error, SIGINT, SIGTERM, SIGHUP, and while the program is stopped (Ctrl-Z).
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <signal.h>
#include <termios.h>

namespace anypop::cli {

class Terminal {
 public:
  // FailedPrecondition: standard input or output is no terminal.
  static absl::StatusOr<Terminal> take();
  Terminal(Terminal&& other) noexcept;
  Terminal& operator=(Terminal&&) = delete;
  ~Terminal();

  struct Size {
    std::size_t columns = 80;
    std::size_t rows = 24;
  };
  Size size() const;
  // As many of them as fit, from the top.
  void draw(const std::vector<std::string>& lines);

  enum class Event { kTime, kKey, kRedraw, kQuit };
  // Waits for whatever comes first. kQuit: a signal, or the terminal has gone; signal() says which. kKey: see key().
  Event wait(std::chrono::milliseconds timeout);
  char key() const { return key_; }
  int signal() const { return signal_; }  // 0: none

 private:
  Terminal() = default;
  void enter();
  void leave();
  Event on_signal();

  termios before_{};
  sigset_t mask_before_{};
  int signals_ = -1;  // a signalfd
  char key_ = 0;
  int signal_ = 0;
};

}  // namespace anypop::cli
