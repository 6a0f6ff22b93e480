// SPDX-License-Identifier: Apache-2.0
// The bytes of BIRD's control socket as replies. Pure: no socket, no clock.
//
// A reply is lines of "dddd-text" (more follow), " text" (more follow, code as before) and at last "dddd text". Between
// them may stand lines that belong to no reply: "+text" (a log echo, a config timeout) and noise such as
// "<12 messages lost>". They are passed over.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

namespace anypop::bgpctl {

// Reply codes that we act on (doc/reply_codes of BIRD); whatever is at or above kFirstError is an error.
inline constexpr int kReplyWelcome = 1;
inline constexpr int kReplyVersion = 1000;
inline constexpr int kReplyProtocols = 1002;
inline constexpr int kReplyRoutes = 1007;
inline constexpr int kReplyStatus = 1011;
inline constexpr int kReplyAttributes = 1012;
inline constexpr int kFirstError = 8000;
inline constexpr int kReplyNoRoute = 8001;
inline constexpr int kReplyBadConfiguration = 8002;
inline constexpr int kReplyNoProtocol = 8003;
inline constexpr int kReplyStoppedByReconfiguration = 8004;
inline constexpr int kReplyAccessDenied = 8007;
inline constexpr int kReplyParseError = 9001;

struct ReplyLine {
  int code = 0;
  std::string text;
  friend bool operator==(const ReplyLine&, const ReplyLine&) = default;
};

struct Reply {
  std::vector<ReplyLine> lines;  // the last one ended the reply

  // The first line that is an error, or nullptr. An error may stand before a good last line.
  const ReplyLine* error() const;
  friend bool operator==(const Reply&, const Reply&) = default;
};

class ReplyParser {
 public:
  // BIRD's lines are at most 512 bytes. 8 MiB are about 100,000 exported routes.
  static constexpr std::size_t kLineMaxBytes = 4096;
  static constexpr std::size_t kReplyMaxBytes = 8U << 20U;

  explicit ReplyParser(std::size_t reply_max_bytes = kReplyMaxBytes) : reply_max_bytes_(reply_max_bytes) {}

  // Appends the replies that `bytes` complete. ResourceExhausted: a line or reply is too long; the parser must not be
  // used after that. Holds at most one line and one reply, however the bytes are cut.
  absl::Status feed(std::string_view bytes, std::vector<Reply>& replies);

 private:
  absl::Status take_line(std::string_view line, std::vector<Reply>& replies);
  absl::Status add(int code, std::string_view text);

  std::size_t reply_max_bytes_;
  std::size_t reply_bytes_ = 0;
  std::string partial_;
  Reply reply_;
};

}  // namespace anypop::bgpctl
