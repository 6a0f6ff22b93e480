// SPDX-License-Identifier: Apache-2.0
// Every kind of probe against other sides that behave badly. Those that behave well are the real servers of
// probe_servers_test.cc.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "healthmon/dns_message.h"
#include "probe_fixture.h"
#include "test_servers.h"

namespace anypop::healthmon {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::udp;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

class StreamProbes : public ProbeRunner {
 protected:
  void TearDown() override {
    servers_->run([this] { backend_.reset(); });
    servers_.reset();
  }
  std::uint16_t serve(BackendScript script) {
    std::uint16_t port = 0;
    servers_->run([&] {
      backend_ = TestBackend::listen(servers_->io(), "127.0.0.1", 0, std::move(script));
      port = backend_->port();
    });
    return port;
  }
  std::optional<ServerThread> servers_{std::in_place};
  std::shared_ptr<TestBackend> backend_;
};

std::string answer(const std::string& body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

TEST_F(StreamProbes, TheBodyIsMatched) {
  const auto with = [&](const std::string& body) {
    return run({.type = ProbeType::kHttp,
                .port = serve({.answer = answer(body)}),
                .timeout_ms = 5000,
                .http = {.expected_body = "\"status\": *\"(ok|warm)\""}});
  };
  EXPECT_TRUE(with("{\"status\": \"warm\"}").ok);
  EXPECT_EQ(with("{\"status\": \"sick\"}").cause,
            "HTTP 200, but no match of '\\\"status\\\": *\\\"(ok|warm)\\\"' in 18 bytes of body");
  EXPECT_TRUE(with("{\"status\": \"ok\"}" + std::string(3'000'000, 'x')).ok) << "in what is read of it";
  EXPECT_FALSE(with(std::string(3'000'000, 'x') + "{\"status\": \"ok\"}").ok) << "beyond it";
}

// The result of an answer that comes byte by byte; there must be none before the end.
std::string after_its_last_byte(Exchange& exchange, const std::string& text) {
  std::optional<ProbeResult> result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (result) return fmt::format("'{}' before the end, at {}", result->cause, i);
    result = exchange.input(text.substr(i, 1));
  }
  return result ? result->cause : "none";
}

TEST_F(StreamProbes, AnswersInPiecesAndInChunks) {
  const ProbeConfig probe{.type = ProbeType::kHttp, .timeout_ms = 5000, .http = {.expected_body = "^hello world$"}};
  const std::string text =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: 1\r\n\r\n";
  const auto exchange = http_exchange(http_question(probe, "h"));
  EXPECT_THAT(exchange->output(),
              AllOf(StartsWith("GET / HTTP/1.1\r\nHost: h\r\n"), HasSubstr("Connection: close\r\n")));
  EXPECT_EQ(after_its_last_byte(*exchange, text), "HTTP 200, body as expected");
}

TEST_F(StreamProbes, AnEmptyAnswerInChunksAndPieces) {
  const ProbeConfig probe{.type = ProbeType::kHttp, .timeout_ms = 5000};
  for (const std::string_view end : {"0\r\n\r\n", "0\r\nTrailer: 1\r\n\r\n"}) {
    const std::string text = fmt::format("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", end);
    EXPECT_EQ(after_its_last_byte(*http_exchange(http_question(probe, "h")), text), "HTTP 200");
  }
  const auto cut = http_exchange(http_question(probe, "h"));
  EXPECT_FALSE(cut->input("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r"));
  EXPECT_EQ(cut->closed().cause, "closed in the middle of the answer");
}

TEST_F(StreamProbes, ALieAboutTheLengthReservesNothing) {
  EXPECT_EQ(
      run({.type = ProbeType::kHttp,
           .port = serve({.answer = "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx", .close = true}),
           .timeout_ms = 200})
          .cause,
      "closed in the middle of the answer");
}

TEST_F(StreamProbes, AHeadHasNoBody) {
  EXPECT_TRUE(run({.type = ProbeType::kHttp,
                   .port = serve({.answer = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"}),
                   .timeout_ms = 5000,
                   .http = {.method = "HEAD"}})
                  .ok);
}

TEST_F(StreamProbes, GarbageInsteadOfTlsAndOfHttp2) {
  const TlsProbeConfig tls{.enabled = true, .verify = false};
  EXPECT_THAT(run({.type = ProbeType::kHttps, .port = serve({}), .timeout_ms = 5000, .tls = tls}).cause,
              StartsWith("TLS: "));
  EXPECT_EQ(run({.type = ProbeType::kHttps, .port = serve({.answer = ""}), .timeout_ms = 90, .tls = tls}).cause,
            "timeout after 90 ms in the TLS handshake");
  EXPECT_EQ(run({.type = ProbeType::kHttps, .port = serve({.reset = true}), .timeout_ms = 5000, .tls = tls}).cause,
            "connection reset by peer");
  EXPECT_FALSE(run({.type = ProbeType::kGrpc, .port = serve({}), .timeout_ms = 5000}).ok);
  EXPECT_FALSE(run({.type = ProbeType::kGrpc, .port = serve({.answer = "", .close = true}), .timeout_ms = 5000}).ok);
  // An endless run of PING frames is HTTP/2, and no answer.
  const std::string ping("\0\0\x08\x06\0\0\0\0\0pingping", 17);
  const std::string settings("\0\0\0\x04\0\0\0\0\0", 9);
  EXPECT_FALSE(run({.type = ProbeType::kGrpc,
                    .port = serve({.answer = settings + ping, .answer_for_ever = true}),
                    .timeout_ms = 2000})
                   .ok);
}

// Answers each datagram by what `reply` makes of it.
class DatagramProbes : public ProbeRunner {
 protected:
  using Reply = std::function<std::vector<std::string>(const std::string&)>;

  std::uint16_t serve(Reply reply) {
    servers_.run([&] {
      socket_.emplace(servers_.io(), udp::endpoint(boost::asio::ip::make_address("127.0.0.1"), 0));
      reply_ = std::move(reply);
      receive();
    });
    return socket_->local_endpoint().port();
  }
  void TearDown() override {
    servers_.run([this] { socket_.reset(); });
  }
  void receive() {
    socket_->async_receive_from(boost::asio::buffer(buffer_), from_, [this](auto error, std::size_t size) {
      if (error) return;
      for (const std::string& text : reply_(std::string(buffer_, size)))
        socket_->send_to(boost::asio::buffer(text), from_);
      receive();
    });
  }
  ProbeResult udp_probe(Reply reply, UdpProbeConfig config) {
    return run({.type = ProbeType::kUdp, .port = serve(std::move(reply)), .timeout_ms = 150, .udp = std::move(config)});
  }
  ProbeResult dns_probe(Reply reply, DnsProbeConfig config = {.name = "example.com", .type = 1}) {
    return run({.type = ProbeType::kDns, .port = serve(std::move(reply)), .timeout_ms = 150, .dns = std::move(config)});
  }

  ServerThread servers_;
  std::optional<udp::socket> socket_;
  udp::endpoint from_;
  char buffer_[2048];
  Reply reply_;
};

TEST_F(DatagramProbes, UdpComparesTheBeginning) {
  const auto echo = [](const std::string& query) { return std::vector{"pong " + query}; };
  EXPECT_EQ(udp_probe(echo, {.payload = "ping", .expected_prefix = "pong p"}).cause, "answered 9 bytes");
  EXPECT_EQ(udp_probe(echo, {.payload = "ping", .expected_prefix = "ping"}).cause,
            "answered 9 bytes that begin with 706f6e672070696e67");
  const ProbeResult silent = udp_probe([](const auto&) { return std::vector<std::string>{}; }, {.payload = "x"});
  EXPECT_EQ(silent.cause, "timeout after 150 ms waiting for the answer");
  EXPECT_EQ(silent.evidence, Evidence::kSilence);
}

TEST_F(DatagramProbes, NobodyThereIsSeenAtOnce) {
  const std::uint16_t port = serve([](const auto&) { return std::vector<std::string>{}; });
  servers_.run([this] { socket_->close(); });
  EXPECT_EQ(run({.type = ProbeType::kUdp, .port = port, .timeout_ms = 5000}).cause, "connection refused");
  EXPECT_EQ(run({.type = ProbeType::kDns, .port = port, .timeout_ms = 5000}).cause, "connection refused");
}

// The query with the bits of an answer, and records behind it instead of the OPT record.
std::string dns_reply(std::string query, const std::string& flags, const std::string& records = "", char count = 0) {
  query = query.substr(0, query.size() - 11) + records;
  query[2] = flags[0];
  query[3] = flags[1];
  query[7] = count;
  query[11] = 0;
  return query;
}
const std::string kGoodFlags("\x81\x80", 2);
const std::string kAddress("\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01", 16);

TEST_F(DatagramProbes, DnsIgnoresWhatIsNotItsAnswer) {
  const ProbeResult result = dns_probe([](const std::string& query) {
    std::string other_id = dns_reply(query, std::string("\x81\x82", 2));
    other_id[0] = static_cast<char>(other_id[0] ^ 1);
    std::string other_name = dns_reply(query, std::string("\x81\x82", 2));
    other_name[13] = 'x';
    return std::vector{std::string(), std::string("x"), query, other_id, other_name, dns_reply(query, kGoodFlags)};
  });
  EXPECT_EQ(result.cause, "NOERROR");
}

TEST_F(DatagramProbes, DnsComparesCodeAndAnswer) {
  const auto with = [&](const std::string& flags, const std::string& records, char count, const std::string& expected) {
    return dns_probe([=](const std::string& q) { return std::vector{dns_reply(q, flags, records, count)}; },
                     {.name = "example.com", .type = 1, .expected_answer = expected})
        .cause;
  };
  EXPECT_EQ(with(kGoodFlags, kAddress, 1, "10.0.0.1"), "NOERROR, 10.0.0.1");
  EXPECT_EQ(with(kGoodFlags, kAddress, 1, "10.0.0.2"), "A 10.0.0.1, expected 10.0.0.2");
  EXPECT_EQ(with(kGoodFlags, "", 0, "10.0.0.2"), "NOERROR without A, expected 10.0.0.2");
  EXPECT_EQ(with(std::string("\x81\x82", 2), "", 0, ""), "SERVFAIL, expected NOERROR");
  EXPECT_EQ(with(kGoodFlags, kAddress.substr(0, 12), 120, "10.0.0.2"), "NOERROR without A, expected 10.0.0.2") << "cut";
  const std::string loop("\xc0\x1d\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01", 16);  // a name that points to itself
  EXPECT_EQ(with(kGoodFlags, loop, 1, "10.0.0.1"), "NOERROR without A, expected 10.0.0.1");
}

TEST_F(DatagramProbes, DnsGoesOverTcpWhenItIsToldTo) {
  const ProbeResult result =
      dns_probe([](const std::string& query) { return std::vector{dns_reply(query, std::string("\x83\x80", 2))}; });
  EXPECT_EQ(result.cause, "connection refused") << "there is no TCP server; the real one is in probe_servers_test.cc";
}

class ExecProbes : public ProbeRunner {
 protected:
  ProbeResult exec(std::vector<std::string> command, unsigned timeout_ms = 5000) {
    return run({.type = ProbeType::kExec, .timeout_ms = timeout_ms, .exec = {.command = std::move(command)}});
  }
  ProbeResult script(const std::string& text, unsigned timeout_ms = 5000) {
    return exec({"/bin/sh", "-c", text}, timeout_ms);
  }
  static bool have_children() { return ::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD; }
  void TearDown() override { EXPECT_FALSE(have_children()) << "a zombie, or worse"; }
};

TEST_F(ExecProbes, TheExitCodeIsTheResult) {
  EXPECT_EQ(script("exit 0").cause, "exit code 0");
  EXPECT_TRUE(script("echo all is well; exit 0").ok);
  const ProbeResult bad = script("echo no disk >&2; exit 3");
  EXPECT_FALSE(bad.ok);
  EXPECT_EQ(bad.cause, "exit code 3: no disk");
  EXPECT_EQ(script("kill -9 $$").cause, "killed by signal 9");
  const ProbeResult missing = exec({"/nonexistent"});
  EXPECT_EQ(missing.cause, "/nonexistent: No such file or directory");
  EXPECT_EQ(missing.evidence, Evidence::kLocal);
}

TEST_F(ExecProbes, ItKnowsWhatItIsAskedAbout) {
  EXPECT_EQ(script("echo $ANYPOP_SERVICE/$ANYPOP_BACKEND $ANYPOP_ADDRESS; env | wc -l").cause,
            "exit code 0: web/b1 127.0.0.1");
  EXPECT_EQ(script("ls /proc/self/fd | wc -l").cause, "exit code 0: 4")
      << "no descriptor of ours but the three, and ls's own";
}

TEST_F(ExecProbes, OutputWithoutEndIsThrownAwayAndNotWaitedFor) {
  const ProbeResult result = script("dd if=/dev/zero bs=65536 count=64 status=none | tr '\\0' x; exit 1");
  EXPECT_THAT(result.cause, StartsWith("exit code 1: xxx"));
  EXPECT_LT(result.cause.size(), 300U);
}

TEST_F(ExecProbes, TimeIsUpForTheWholeGroup) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / fmt::format("exec_{}", ::getpid());
  const ProbeResult result =
      script(fmt::format("sleep 100 & echo $! > {}; trap '' TERM; sleep 100", file.string()), 150);
  EXPECT_EQ(result.cause, "timeout after 150 ms running");
  EXPECT_LT(took_, 2s);
  pid_t grandchild = 0;
  std::ifstream(file) >> grandchild;
  ASSERT_GT(grandchild, 0);
  // It may be a zombie until whoever adopted it looks; what counts is that it does not run.
  const auto runs = [&] {
    std::ifstream status(fmt::format("/proc/{}/status", grandchild));
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("State:")) return line.find('Z') == std::string::npos && line.find('X') == std::string::npos;
    }
    return false;
  };
  for (const auto deadline = std::chrono::steady_clock::now() + 5s;
       runs() && std::chrono::steady_clock::now() < deadline;) {
  }
  EXPECT_FALSE(runs());
  std::filesystem::remove(file);
}

TEST_F(ExecProbes, AProgramThatHoldsThePipeOpenDoesNotHoldTheProbe) {
  const ProbeResult result = script("sleep 100 & exit 0");
  EXPECT_TRUE(result.ok);
  EXPECT_LT(took_, 2s);
}

}  // namespace
}  // namespace anypop::healthmon
