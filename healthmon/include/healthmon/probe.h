// SPDX-License-Identifier: Apache-2.0
// One probe of one backend, from the monitor to the backend's own address, or to the VIP from the reserved source
// address that makes the dataplane send it there. Bounded in time by timeout_ms, connecting and answering together, and
// in memory by kAnswerMaxBytes and a header, whatever the other side sends. A TCP connection is reset at the end, so
// that frequent probes leave no sockets in TIME_WAIT; a program that is still running is killed with its process group.
// One thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include "base/address.h"
#include "base/config.h"
#include "healthmon/exchange.h"
#include "healthmon/probe_result.h"

namespace anypop::healthmon {

// What to probe, with everything that is the same each time.
struct ProbeTarget {
  ProbeConfig probe;
  IpAddress address;                               // to which: the backend's, or the VIP
  std::optional<IpAddress> source;                 // from which; nullopt: as the kernel likes
  std::string host;                                // Host header, :authority, and the default of SNI
  std::shared_ptr<boost::asio::ssl::context> tls;  // nullptr: without TLS
  std::shared_ptr<const HttpQuestion> http;        // of http and https
  std::vector<std::string> environment;            // of exec: "NAME=value"
};

// What all probes of one configuration share; nullptr without TLS. The error names a CA file that cannot be read.
absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> probe_tls(const TlsProbeConfig& tls);
// One of `service`'s probes for its backends 0, 1, 2, …, as many as there are: the host defaults to the VIP.
// `probe_sources` are EngineConfig::probe_sources, for probes through the data path.
std::vector<ProbeTarget> probe_targets(const ServiceConfig& service, const ProbeConfig& probe,
                                       const std::vector<IpPrefix>& probe_sources,
                                       const std::shared_ptr<boost::asio::ssl::context>& tls = nullptr);

class ProbeAttempt;

class Probe {
 public:
  // The handler runs once, from the io_context. An empty cause: the probe's own deadline came so late that this process
  // must have been kept from running; it says nothing about the backend.
  using Handler = std::function<void(const ProbeResult&)>;

  Probe(boost::asio::io_context& io, const ProbeTarget& target, Handler handler);
  ~Probe();  // the handler is not called any more
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

 private:
  std::shared_ptr<ProbeAttempt> attempt_;
};

}  // namespace anypop::healthmon
