// SPDX-License-Identifier: Apache-2.0
// The event log read back, as it grows and across its rotations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

namespace anypop::bgpctl {

// Gives each complete line once, oldest first. A file that is rotated away (renamed, as logrotate does it, or
// truncated) is read to its end before the new one is begun; what several rotations moved on meanwhile is found again.
// One thread.
class EventReader {
 public:
  // Lines that are longer are passed over: no event is.
  static constexpr std::size_t kLineMaxBytes = 64U << 10U;

  enum class Begin : std::uint8_t {
    kOldest,  // with what was rotated: PATH.3, PATH.2, PATH.1, PATH
    kTail,    // with the last 256 KiB of PATH
    kEnd,     // with what comes from now on
  };
  EventReader(std::filesystem::path path, Begin begin);
  ~EventReader();
  EventReader(EventReader&&) noexcept;
  EventReader& operator=(EventReader&&) noexcept;

  // Everything that is there and has not been given yet. OK while there is no file: it may come. Other errors name the
  // path; to be tried again.
  absl::Status read(const std::function<void(std::string_view line)>& on_line);

 private:
  struct File;
  absl::Status start(const std::function<void(std::string_view)>& on_line);
  absl::Status follow(const std::function<void(std::string_view)>& on_line);
  void begin_file(std::unique_ptr<File> file);
  unsigned rotations() const;        // PATH.1 to PATH.n that are there
  unsigned newer_rotations() const;  // of these, how many are newer than what is being read

  std::filesystem::path path_;
  Begin begin_;
  bool started_ = false;
  std::unique_ptr<File> current_;
  std::unique_ptr<File> previous_;  // a writer may still have it open
};

}  // namespace anypop::bgpctl
