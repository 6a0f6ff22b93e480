// SPDX-License-Identifier: Apache-2.0
// For the test of the race between an operator and a monitor: announces as a monitor would, again and again, and prints
// "announcing" when it has begun and in the end how often that was done and how often refused.
//   racer CONFIG ANNOUNCEMENT MILLISECONDS
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include <boost/asio/io_context.hpp>

#include "bgpctl/announcer.h"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto config = anypop::load_config(argv[1]);
  const auto* announcement = config.ok() ? config->find_announcement(argv[2]) : nullptr;
  if (announcement == nullptr) return 2;
  boost::asio::io_context io;
  anypop::bgpctl::Announcer announcer(io, *config);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(std::atoi(argv[3]));
  int done = 0;
  int refused = 0;
  const std::function<void()> again = [&] {
    announcer.set(*announcement, true, [&](const anypop::bgpctl::SetResult& result) {
      ++(result.status.ok() ? done : refused);
      if (result.status.ok() && done == 1) {
        std::puts("announcing");
        std::fflush(stdout);
      }
      std::chrono::steady_clock::now() < end ? again() : io.stop();
    });
  };
  again();
  io.run();
  std::printf("%d %d\n", done, refused);
  return 0;
}
