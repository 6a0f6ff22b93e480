// SPDX-License-Identifier: Apache-2.0
// Would BIRD take its configuration file as it is now? A broken one stops nothing that Anypop does, but the next
// `configure` and the next start of BIRD fail, and BIRD says so only to whoever tried.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <boost/asio/io_context.hpp>

namespace anypop::bgpctl {

// One thread. `configure check` parses the file and changes nothing; BIRD answers nobody else meanwhile (0.2 ms for a
// PoP's file, a quarter of a second for 300,000 lines).
class ConfigCheck {
 public:
  ConfigCheck(boost::asio::io_context& io, std::string socket_path);
  ~ConfigCheck();  // a pending handler is not called any more
  ConfigCheck(const ConfigCheck&) = delete;
  ConfigCheck& operator=(const ConfigCheck&) = delete;

  // InvalidArgument: no, with BIRD's words, "/etc/bird/bird.conf:33:1 syntax error". Other errors: BIRD does not say.
  // The handler runs from the io_context. One question at a time.
  void ask(std::function<void(absl::Status)> handler);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace anypop::bgpctl
