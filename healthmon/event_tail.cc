// SPDX-License-Identifier: Apache-2.0
#include "healthmon/event_tail.h"

#include <algorithm>

#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/owned_fd.h"
#include "base/text.h"

namespace anypop::healthmon {

void EventTail::push(const boost::json::object& event) {
  events_.push_back(event);
  if (events_.size() > kEvents) events_.pop_front();
}

void EventTail::refresh() {
  const OwnedFd file(::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (info.st_ino != inode_ || size < offset_) {
    inode_ = info.st_ino;
    offset_ = 0;
    rest_.clear();
  }
  bool cut = false;
  if (size - offset_ > kReadMax) {
    offset_ = size - kReadMax;
    rest_.clear();
    cut = true;  // in the middle of a line
  }
  std::string text(size - offset_, '\0');
  const ssize_t read = ::pread(file.get(), text.data(), text.size(), static_cast<off_t>(offset_));
  if (read <= 0) return;
  text.resize(static_cast<std::size_t>(read));
  offset_ += text.size();
  text.insert(0, rest_);
  const std::size_t end = text.rfind('\n');
  rest_ = text.substr(end == std::string::npos ? 0 : end + 1);
  if (rest_.size() > kReadMax) rest_.clear();
  if (end == std::string::npos) return;
  for (const std::string_view line : split(std::string_view(text).substr(0, end), '\n')) {
    if (std::exchange(cut, false)) continue;
    boost::json::error_code error;
    const boost::json::value value = boost::json::parse({line.data(), line.size()}, error);
    if (!error && value.is_object()) push(value.get_object());
  }
}

}  // namespace anypop::healthmon
