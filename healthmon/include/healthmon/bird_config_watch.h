// SPDX-License-Identifier: Apache-2.0
// Notices that somebody broke bird.conf before BIRD is restarted with it. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>

namespace anypop::healthmon {

// Asks one BIRD every ten seconds, and more seldom when its file is so large that the asking would take more than a
// thousandth of its time.
class BirdConfigWatch {
 public:
  // `record` gets a line of the event log when the answer has changed: {"event": "bird-config", "good", "cause"}. It is
  // called from the io_context.
  BirdConfigWatch(boost::asio::io_context& io, std::string socket_path,
                  std::function<void(const boost::json::object&)> record);
  ~BirdConfigWatch();
  BirdConfigWatch(const BirdConfigWatch&) = delete;
  BirdConfigWatch& operator=(const BirdConfigWatch&) = delete;

  // BIRD's words; empty: the file is good, or BIRD has not said.
  const std::string& error() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace anypop::healthmon
