// SPDX-License-Identifier: Apache-2.0
// `anypop capture` and `anypop trace`: what the running dataplane does with single packets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace anypop::capture {

struct Request {
  std::filesystem::path config;
  std::string filter;                 // as of tcpdump; empty: all
  std::vector<std::string> verdicts;  // empty: all
  std::uint64_t packets = 1000;
  std::uint64_t per_second = 1000;
  unsigned seconds = 60;
  std::string out;  // pcapng; "-": standard output; empty: a line of text per packet
};

// Until that many packets were seen, or the time is over, or Ctrl-C. 0 good, 1 not.
int run(const Request& request);

}  // namespace anypop::capture
