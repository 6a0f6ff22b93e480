// SPDX-License-Identifier: Apache-2.0
// For the test of the race between an operator and a monitor: announces as a monitor would, again and again, until a
// hold has refused it often. Prints "announcing" when it has begun, and "refused" at the end.
//   racer CONFIG ANNOUNCEMENT
#include <cstdio>
#include <functional>

#include <boost/asio/io_context.hpp>

#include "bgpctl/announcer.h"

int main(int argc, char** argv) {
  constexpr int kRefusals = 100;
  if (argc != 3) return 2;
  const auto config = anypop::load_config(argv[1]);
  const auto* announcement = config.ok() ? config->find_announcement(argv[2]) : nullptr;
  if (announcement == nullptr) return 2;
  boost::asio::io_context io;
  anypop::bgpctl::Announcer announcer(io, *config);
  int done = 0;
  int refused = 0;
  const std::function<void()> again = [&] {
    announcer.set(*announcement, anypop::bgpctl::Level::kAnnounced, [&](const anypop::bgpctl::SetResult& result) {
      if (result.status.ok() && ++done == 1) {
        std::puts("announcing");
        std::fflush(stdout);
      }
      if (absl::IsFailedPrecondition(result.status) && ++refused == kRefusals) return io.stop();
      again();
    });
  };
  again();
  io.run();
  std::puts("refused");
  return 0;
}
