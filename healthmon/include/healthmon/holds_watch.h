// SPDX-License-Identifier: Apache-2.0
// Tells when an operator may have changed a hold: at once by inotify(7), and every 200 ms whatever inotify says, which
// also serves expiry. One thread.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

namespace anypop::healthmon {

class HoldsWatch {
 public:
  HoldsWatch(boost::asio::io_context& io, std::filesystem::path folder, std::function<void()> look);
  ~HoldsWatch();  // `look` is not called any more
  HoldsWatch(const HoldsWatch&) = delete;
  HoldsWatch& operator=(const HoldsWatch&) = delete;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace anypop::healthmon
