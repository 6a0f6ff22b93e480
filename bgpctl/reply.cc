// SPDX-License-Identifier: Apache-2.0
#include "reply.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace anypop::bgpctl {
namespace {

constexpr std::size_t kCodeDigits = 4;

// Four digits and then a blank or a hyphen.
bool has_code(std::string_view line) {
  return line.size() > kCodeDigits && (line[kCodeDigits] == ' ' || line[kCodeDigits] == '-') &&
         std::all_of(line.begin(), line.begin() + kCodeDigits, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

const ReplyLine* Reply::error() const {
  const auto at = std::find_if(lines.begin(), lines.end(), [](const ReplyLine& l) { return l.code >= kFirstError; });
  return at == lines.end() ? nullptr : &*at;
}

absl::Status ReplyParser::feed(std::string_view bytes, std::vector<Reply>& replies) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (partial_.size() + piece.size() > kLineMaxBytes) {
      return resource_exhausted("a line of more than {} bytes", kLineMaxBytes);
    }
    partial_.append(piece);
    if (end == std::string_view::npos) return absl::OkStatus();
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(partial_, {});
    if (absl::Status taken = take_line(line, replies); !taken.ok()) return taken;
  }
  return absl::OkStatus();
}

absl::Status ReplyParser::take_line(std::string_view line, std::vector<Reply>& replies) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (has_code(line)) {
    const int code = *parse_number<int>(line.substr(0, kCodeDigits), 0, 9999);
    const bool last = line[kCodeDigits] == ' ';
    if (absl::Status added = add(code, line.substr(kCodeDigits + 1)); !added.ok()) return added;
    if (last) {
      replies.push_back(std::exchange(reply_, {}));
      reply_bytes_ = 0;
    }
    return absl::OkStatus();
  }
  // A blank at the start continues a line with a code; without one it belongs to nothing.
  if (!line.empty() && line.front() == ' ' && !reply_.lines.empty()) {
    return add(reply_.lines.back().code, line.substr(1));
  }
  return absl::OkStatus();
}

absl::Status ReplyParser::add(int code, std::string_view text) {
  reply_bytes_ += text.size() + sizeof(ReplyLine);
  if (reply_bytes_ > reply_max_bytes_) return resource_exhausted("a reply of more than {} bytes", reply_max_bytes_);
  reply_.lines.push_back({code, std::string(text)});
  return absl::OkStatus();
}

}  // namespace anypop::bgpctl
