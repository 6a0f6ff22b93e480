// SPDX-License-Identifier: Apache-2.0
#include "healthmon/probe.h"

#include <chrono>
#include <fstream>
#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/probe_source.h"
#include "base/text.h"
#include "healthmon/prober.h"
#include "probe_fixture.h"
#include "test_servers.h"

namespace anypop::healthmon {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

class ProbeTest : public ProbeRunner {
 protected:
  void TearDown() override {
    servers_->run([this] { backend_.reset(); });
    servers_.reset();
  }

  std::uint16_t serve(BackendScript script, const std::string& address = "127.0.0.1") {
    std::uint16_t port = 0;
    servers_->run([&] {
      backend_ = TestBackend::listen(servers_->io(), address, 0, std::move(script));
      if (backend_) port = backend_->port();
    });
    EXPECT_NE(port, 0);
    return port;
  }

  ProbeResult probe(ProbeConfig config, const std::string& address = "127.0.0.1") {
    return run(std::move(config), address);
  }
  ProbeResult probe_http(const BackendScript& script, unsigned timeout_ms = 5000) {
    return probe({.type = ProbeType::kHttp, .port = serve(script), .timeout_ms = timeout_ms});
  }

  std::optional<ServerThread> servers_{std::in_place};
  std::shared_ptr<TestBackend> backend_;
};

std::string answer(const std::string& status, const std::string& body = "") {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n\r\n{}", status, body.size(), body);
}

TEST_F(ProbeTest, TcpConnects) {
  const ProbeResult result = probe({.type = ProbeType::kTcp, .port = serve({.answer = ""})});
  EXPECT_TRUE(result.ok);
  EXPECT_EQ(result.cause, "connected");
}

TEST_F(ProbeTest, BothFamilies) {
  EXPECT_TRUE(probe({.type = ProbeType::kHttp, .port = serve({}, "::1"), .timeout_ms = 5000}, "::1").ok);
}

TEST_F(ProbeTest, HttpChecksTheStatus) {
  EXPECT_TRUE(probe_http({}).ok);
  const ProbeResult bad = probe_http({.answer = answer("503 Service Unavailable", "busy")});
  EXPECT_FALSE(bad.ok);
  EXPECT_EQ(bad.cause, "HTTP 503, expected 200");
  EXPECT_TRUE(probe({.type = ProbeType::kHttp,
                     .port = serve({.answer = answer("204 No Content")}),
                     .timeout_ms = 5000,
                     .http = {.expected_status = {{204, 299}}}})
                  .ok);
}

TEST_F(ProbeTest, NobodyThereIsRefusedAtOnce) {
  const std::uint16_t port = serve({});
  servers_->run([&] { backend_->close(); });
  const ProbeResult result = probe({.type = ProbeType::kHttp, .port = port, .timeout_ms = 5000});
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.cause, "connection refused");
  EXPECT_LT(took_, 2s);
}

TEST_F(ProbeTest, SilenceIsATimeout) {
  EXPECT_EQ(probe_http({.answer = ""}, 90).cause, "timeout after 90 ms waiting for the answer");
}

TEST_F(ProbeTest, HostileAnswersEndInTimeAndInBounds) {
  EXPECT_THAT(probe_http({.answer = "HTTP/1.1 200 OK\r\n" + std::string(20'000, 'x')}).cause,
              StartsWith("the answer's header is larger than"));
  EXPECT_THAT(probe_http({.answer = "x: y\r\n", .answer_for_ever = true}).cause, testing::Not(HasSubstr("HTTP 200")));
  EXPECT_EQ(probe_http({.answer = "HTTP/1.1 200 OK\r\n\r\n"}, 90).cause, "timeout after 90 ms waiting for the answer")
      << "a body without an end is no complete answer";
  EXPECT_FALSE(probe_http({.answer = "\x01\x02 garbage\r\n\r\n"}).ok);
  EXPECT_FALSE(probe_http({.answer = answer("200 OK").substr(0, 20), .close = true}).ok);
  EXPECT_FALSE(probe_http({.answer = "", .close = true}).ok);
  EXPECT_EQ(probe_http({.reset = true}).cause, "connection reset by peer");
}

TEST_F(ProbeTest, AHugeBodyIsNotRead) {
  EXPECT_TRUE(probe_http({.answer = answer("200 OK", std::string(4'000'000, 'x'))}).ok);
  EXPECT_TRUE(probe_http({.answer = "HTTP/1.1 200 OK\r\n\r\n" + std::string(50'000, 'x'), .answer_for_ever = true}).ok);
}

TEST_F(ProbeTest, ADestroyedProbeSaysNothing) {
  boost::asio::io_context io;
  const ProbeTarget target{.probe = {.type = ProbeType::kTcp, .port = serve({})},
                           .address = *IpAddress::parse("127.0.0.1")};
  {
    const Probe probe(io, target, [](const ProbeResult&) { ADD_FAILURE(); });
  }
  io.run_for(5s);
  EXPECT_TRUE(io.stopped()) << "nothing may be left behind";
}

// Sockets of this port that the kernel keeps in TIME_WAIT.
unsigned time_wait_sockets(std::uint16_t port) {
  std::ifstream table("/proc/net/tcp");
  const std::string wanted = fmt::format(":{:04X} ", port);
  unsigned count = 0;
  for (std::string line; std::getline(table, line);) {
    if (line.find(wanted) != std::string::npos && line.find(" 06 ") != std::string::npos) ++count;
  }
  return count;
}

TEST_F(ProbeTest, LeavesNoSocketBehind) {
  const std::uint16_t port = serve({.close = false});
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(probe({.type = i % 2 == 0 ? ProbeType::kHttp : ProbeType::kTcp, .port = port, .timeout_ms = 5000}).ok);
  }
  EXPECT_EQ(time_wait_sockets(port), 0U);
}

TEST_F(ProbeTest, TheHostDefaultsToTheVip) {
  const ServiceConfig service{
      .name = "web6", .vip = *IpAddress::parse("2001:db8:53::1"), .port = 80, .backends = {BackendConfig{}}};
  EXPECT_EQ(probe_targets(service, {}, {})[0].host, "[2001:db8:53::1]");
  EXPECT_EQ(probe_targets(service, {}, {})[0].probe.port, 80);
  EXPECT_EQ(probe_targets(service, {.http = {.host = "www.example.com"}}, {})[0].host, "www.example.com");
}

TEST_F(ProbeTest, ThroughTheDataPathItGoesToTheVipFromTheSourceThatNamesTheBackend) {
  const ServiceConfig service{.name = "web",
                              .vip = *IpAddress::parse("198.51.100.1"),
                              .port = 80,
                              .backends = {{.name = "b1", .address = *IpAddress::parse("10.0.0.1")},
                                           {.name = "b2", .address = *IpAddress::parse("10.0.0.2")}}};
  const std::vector<IpPrefix> sources = {*IpPrefix::parse("127.9.0.0/24")};
  const ProbeTarget direct = probe_targets(service, {}, sources)[1];
  EXPECT_EQ(direct.address.to_string(), "10.0.0.2");
  EXPECT_FALSE(direct.source);
  const ProbeTarget through =
      probe_targets(service, {.type = ProbeType::kExec, .via = ProbeVia::kDataplane}, sources)[1];
  EXPECT_EQ(through.address, service.vip);
  EXPECT_EQ(through.source, probe_sources(sources[0], service.backends)[1]);
  EXPECT_THAT(through.environment, testing::Contains("ANYPOP_ADDRESS=198.51.100.1"));
  EXPECT_THAT(through.environment, testing::Contains("ANYPOP_SOURCE=" + through.source->to_string()));
}

TEST_F(ProbeTest, SaysThatTheProbeInterfaceIsMissing) {
  for (const ProbeType type : {ProbeType::kTcp, ProbeType::kUdp, ProbeType::kDns}) {
    ProbeConfig config{.type = type, .via = ProbeVia::kDataplane, .port = 80};
    const ProbeResult result = run(config, "127.0.0.1", "host", {*IpPrefix::parse("203.0.113.0/24")});
    EXPECT_FALSE(result.ok);
    EXPECT_EQ(result.evidence, Evidence::kLocal);
    EXPECT_THAT(result.cause, testing::AllOf(testing::StartsWith("203.0.113."),
                                             testing::HasSubstr("the dataplane's probe interface is not there")));
  }
}

TEST_F(ProbeTest, ASilentBackendDelaysNoOther) {
  const std::uint16_t silent = serve({.answer = ""});
  const auto keep = backend_;
  const std::uint16_t good = serve({});
  PopConfig config;
  for (const std::uint16_t port : {silent, good}) {
    ServiceConfig& service = config.services.emplace_back();
    service.backends = {{.name = "b", .address = *IpAddress::parse("127.0.0.1")}};
    service.probes = {
        {.type = ProbeType::kHttp, .port = port, .interval_ms = 20, .timeout_ms = port == silent ? 600U : 5000U}};
  }
  boost::asio::io_context io;
  unsigned silent_results = 0;
  unsigned good_results = 0;
  const Prober prober(io, config, 1, [&](ProbeId id, const ProbeResult& result) {
    EXPECT_EQ(result.ok, id.service == 1) << result.cause;
    if (id.service == 0) ++silent_results;
    if (id.service == 1) ++good_results;
    if (silent_results == 2) io.stop();
    return Milliseconds(20);
  });
  io.run_for(10s);
  EXPECT_EQ(silent_results, 2U);
  EXPECT_GE(good_results, 15U) << "two timeouts of 600 ms are room for 60";
}

}  // namespace
}  // namespace anypop::healthmon
