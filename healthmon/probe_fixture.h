// SPDX-License-Identifier: Apache-2.0
// One probe, run to its result.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "healthmon/probe.h"

namespace anypop::healthmon {

class ProbeRunner : public testing::Test {
 protected:
  ProbeResult run(ProbeConfig config, const std::string& address = "127.0.0.1",
                  const std::string& host = "198.51.100.1", const std::vector<IpPrefix>& probe_sources = {}) {
    boost::asio::io_context io;
    std::optional<ProbeResult> result;
    const auto tls = probe_tls(config.tls);
    EXPECT_TRUE(tls.ok()) << tls.status();
    config.http.host = host;
    const ServiceConfig service{.name = "web",
                                .vip = *IpAddress::parse("198.51.100.1"),
                                .backends = {{.name = "b1", .address = *IpAddress::parse(address)}}};
    const ProbeTarget target = probe_targets(service, config, probe_sources, *tls)[0];
    const auto start = std::chrono::steady_clock::now();
    {
      const Probe probe(io, target, [&](const ProbeResult& found) {
        EXPECT_FALSE(result) << "called twice";
        result = found;
        took_ = std::chrono::steady_clock::now() - start;
      });
      io.run_for(std::chrono::seconds(10));
    }
    EXPECT_TRUE(io.stopped()) << "something is left behind";
    EXPECT_TRUE(result) << "no result";
    return result.value_or(ProbeResult{});
  }

  std::chrono::steady_clock::duration took_{};
};

}  // namespace anypop::healthmon
