// SPDX-License-Identifier: Apache-2.0
// One probe of one backend: a TCP connection, or an HTTP/1.1 GET over one (RFC 9112), from the monitor to the backend's
// own address. Bounded in time by probe.timeout_ms, connecting and answering together, and in memory by
// kProbeAnswerMaxBytes, whatever the other side sends. The connection is reset at the end, so that frequent probes
// leave no sockets in TIME_WAIT. One thread.
//
// HTTP: the status must be the expected one, and the answer complete within the time; a body larger than the limit is
// not read to its end and counts as complete.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/address.h"
#include "base/config.h"
#include "healthmon/probe_result.h"

namespace anypop::healthmon {

inline constexpr std::size_t kProbeHeaderMaxBytes = 8U << 10U;
inline constexpr std::size_t kProbeAnswerMaxBytes = 64U << 10U;

struct ProbeTarget {
  ProbeConfig probe;
  IpAddress address;
  std::string host;  // http Host header
};

// The target of a backend: the host defaults to the VIP.
ProbeTarget probe_target(const ServiceConfig& service, const BackendConfig& backend);

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
  class Attempt;
  std::shared_ptr<Attempt> attempt_;
};

}  // namespace anypop::healthmon
