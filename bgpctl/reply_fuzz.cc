// SPDX-License-Identifier: Apache-2.0
// Whatever comes out of the socket: the parser must not crash, must not depend on how the bytes are cut, and the
// readers must take every reply.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "reply.h"
#include "view_reader.h"

namespace {

using anypop::bgpctl::BirdView;
using anypop::bgpctl::Reply;
using anypop::bgpctl::ReplyParser;

constexpr std::size_t kReplyMaxBytes = 20'000;

bool parse(std::string_view bytes, std::size_t step, std::vector<Reply>& replies) {
  ReplyParser parser(kReplyMaxBytes);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
    if (!parser.feed(bytes.substr(0, step), replies).ok()) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::vector<Reply> whole;
  std::vector<Reply> pieces;
  const bool whole_ok = parse(bytes, size + 1, whole);
  const bool pieces_ok = parse(bytes, size == 0 ? 1 : 1 + data[0] % 7U, pieces);
  if (whole_ok != pieces_ok || whole != pieces) std::abort();
  for (const Reply& reply : whole) {
    if (reply.lines.empty()) std::abort();
    BirdView view;
    [[maybe_unused]] const bool status_ok = anypop::bgpctl::read_status(reply, view).ok();
    [[maybe_unused]] const bool protocols_ok = anypop::bgpctl::read_protocols(reply).ok();
    [[maybe_unused]] const bool exports_ok = anypop::bgpctl::read_exports(reply).ok();
  }
  return 0;
}
