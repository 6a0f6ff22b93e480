// SPDX-License-Identifier: Apache-2.0
// Notices that somebody broke bird.conf before BIRD is restarted with it. One thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>

namespace anypop::healthmon {

// Asks one BIRD every ten seconds, and down to once a minute when its file is so large that the asking would take more
// than a thousandth of its time. A BIRD that says nothing is asked as often as any other.
class BirdConfigWatch {
 public:
  struct Pace {
    std::chrono::milliseconds interval{10'000};
    std::chrono::milliseconds longest{60'000};
  };

  // `record` gets a line of the event log when the answer has changed: {"event": "bird-config", "good", "cause"}. It is
  // called from the io_context.
  BirdConfigWatch(boost::asio::io_context& io, std::string socket_path,
                  std::function<void(const boost::json::object&)> record, Pace pace);
  ~BirdConfigWatch();
  BirdConfigWatch(const BirdConfigWatch&) = delete;
  BirdConfigWatch& operator=(const BirdConfigWatch&) = delete;

  // BIRD is there again after a silence, or has read its file anew: what is known may be old.
  void ask_now();

  // BIRD's words; empty: the file is good, or BIRD has not said.
  const std::string& error() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace anypop::healthmon
