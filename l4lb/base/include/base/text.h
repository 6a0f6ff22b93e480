// SPDX-License-Identifier: Apache-2.0
// Text between fmt, abseil and the standard library. Debian builds abseil with a string_view of its own, so that
// absl::StrCat and std::string_view do not meet: text is formatted by fmt, and errors are made here.
#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <fmt/format.h>

namespace anypop {

// An error whose message is formatted: invalid_argument("found '{}', expected a port", text).
template <typename... Args>
absl::Status make_error(absl::StatusCode code, fmt::format_string<Args...> format, Args&&... args) {
  return absl::Status(code, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
absl::Status invalid_argument(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(absl::StatusCode::kInvalidArgument, format, std::forward<Args>(args)...);
}
template <typename... Args>
absl::Status failed_precondition(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(absl::StatusCode::kFailedPrecondition, format, std::forward<Args>(args)...);
}
template <typename... Args>
absl::Status unavailable(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(absl::StatusCode::kUnavailable, format, std::forward<Args>(args)...);
}
template <typename... Args>
absl::Status deadline_exceeded(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(absl::StatusCode::kDeadlineExceeded, format, std::forward<Args>(args)...);
}
template <typename... Args>
absl::Status permission_denied(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(absl::StatusCode::kPermissionDenied, format, std::forward<Args>(args)...);
}
template <typename... Args>
absl::Status already_exists(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(absl::StatusCode::kAlreadyExists, format, std::forward<Args>(args)...);
}
template <typename... Args>
absl::Status not_found(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(absl::StatusCode::kNotFound, format, std::forward<Args>(args)...);
}
template <typename... Args>
absl::Status resource_exhausted(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(absl::StatusCode::kResourceExhausted, format, std::forward<Args>(args)...);
}
template <typename... Args>
absl::Status internal_error(fmt::format_string<Args...> format, Args&&... args) {
  return make_error(absl::StatusCode::kInternal, format, std::forward<Args>(args)...);
}
// From errno, which is read first: errno_error("cannot open {}", path).
template <typename... Args>
absl::Status errno_error(int error_number, fmt::format_string<Args...> format, Args&&... args) {
  return absl::ErrnoToStatus(error_number, fmt::format(format, std::forward<Args>(args)...));
}

// The message of a status, as the standard library's view of it. Valid as long as the status.
inline std::string_view message(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

// A whole decimal number without sign or blanks, between `least` and `most`; nullopt for everything else.
template <std::integral T>
std::optional<T> parse_number(std::string_view text, T least, T most) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.front() == '-' || value < least ||
      value > most) {
    return std::nullopt;
  }
  return value;
}

// The parts between separators: "a,,b" gives "a", "", "b"; "" gives one empty part. Views into `text`.
std::vector<std::string_view> split(std::string_view text, char separator);

// Everything outside printable ASCII, backslashes and quotes as escapes: what came from elsewhere goes into messages
// so.
std::string escaped(std::string_view text);

}  // namespace anypop
