// SPDX-License-Identifier: Apache-2.0
#include "load.h"

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <gmock/gmock.h>

namespace anypop::loadgen {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

// Answers every request on a connection, or none of them.
class Server {
 public:
  Server(asio::io_context& io, bool answers)
      : answers_(answers), acceptor_(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    accept();
  }
  Target target() const { return {"v4", acceptor_.local_endpoint()}; }
  void close() { acceptor_.close(); }

 private:
  struct Session : std::enable_shared_from_this<Session> {
    explicit Session(tcp::socket accepted) : socket(std::move(accepted)) {}
    void read(bool answers) {
      asio::async_read_until(socket, buffer, "\r\n\r\n",
                             [self = shared_from_this(), answers](boost::system::error_code error, std::size_t size) {
                               if (error) return;
                               self->buffer.consume(size);
                               if (answers) self->write();
                             });
    }
    void write() {
      asio::async_write(socket, asio::buffer(answer),
                        [self = shared_from_this()](boost::system::error_code error, std::size_t) {
                          if (!error) self->read(true);
                        });
    }
    tcp::socket socket;
    asio::streambuf buffer;
    std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\npop=ams backend=ams-b1\n";
  };

  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
      if (error) return;
      auto session = std::make_shared<Session>(std::move(socket));
      session->read(answers_);
      if (!answers_) silent_.push_back(session);  // keeps the connection open
      accept();
    });
  }

  bool answers_;
  tcp::acceptor acceptor_;
  std::vector<std::shared_ptr<Session>> silent_;
};

std::vector<Record> run(bool answers, LoadOptions options) {
  asio::io_context io;
  Server server(io, answers);
  options.targets = {server.target()};
  std::vector<Record> records;
  Load load(io, options, [&](const Record& record) { records.push_back(record); });
  load.start();
  while (!load.idle()) io.run_one();
  return records;
}

TEST(Load, WritesDownWhoAnswered) {
  LoadOptions options;
  options.rate_per_s = 1000;
  options.requests_max = 20;
  const auto records = run(true, options);
  ASSERT_EQ(records.size(), 20U);
  for (const Record& record : records) {
    EXPECT_EQ(record.error, "");
    EXPECT_EQ(record.pop, "ams");
    EXPECT_EQ(record.backend, "ams-b1");
    EXPECT_EQ(record.target, "v4");
    EXPECT_LE(record.scheduled_unix_ns, record.start_unix_ns);
    EXPECT_LE(record.start_unix_ns, record.end_unix_ns);
  }
}

TEST(Load, SilentServerDoesNotDelayThePlan) {
  LoadOptions options;
  options.rate_per_s = 500;
  options.duration = 200ms;
  options.timeout = 300ms;
  const auto records = run(false, options);
  ASSERT_THAT(records.size(), testing::AllOf(testing::Ge(95U), testing::Le(101U)));
  for (std::size_t i = 1; i < records.size(); ++i) {
    EXPECT_EQ(records[i].error, "timeout");
    EXPECT_NEAR(static_cast<double>(records[i].scheduled_unix_ns - records[i - 1].scheduled_unix_ns), 2e6, 10);
  }
}

TEST(Load, LongLivedConnectionsAreKept) {
  LoadOptions options;
  options.rate_per_s = 0;
  options.long_connections = 2;
  options.long_interval = 5ms;
  options.requests_max = 12;
  const auto records = run(true, options);
  ASSERT_EQ(records.size(), 12U);
  for (const Record& record : records) {
    EXPECT_EQ(record.error, "");
    EXPECT_EQ(record.kind, Kind::kLong);
    EXPECT_THAT(record.connection, testing::AnyOf(1U, 2U));
  }
}

TEST(Load, NobodyListensIsRefused) {
  asio::io_context io;
  Server server(io, true);
  LoadOptions options;
  options.targets = {server.target()};
  options.requests_max = 1;
  server.close();
  std::vector<Record> records;
  Load load(io, options, [&](const Record& record) { records.push_back(record); });
  load.start();
  while (!load.idle()) io.run_one();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].error, "refused");
}

TEST(Load, StopEndsThePlan) {
  asio::io_context io;
  Server server(io, true);
  LoadOptions options;
  options.targets = {server.target()};
  options.duration = 60s;
  std::uint64_t seen = 0;
  Load load(io, options, [&](const Record&) {
    if (++seen == 3) load.stop();
  });
  load.start();
  while (!load.idle()) io.run_one();
  EXPECT_GE(seen, 3U);
  EXPECT_EQ(seen, load.requests());
}

TEST(ParseTarget, TakesBothFamilies) {
  EXPECT_EQ(parse_target("v4=198.51.100.1:80")->endpoint.port(), 80);
  EXPECT_TRUE(parse_target("v6=[2001:db8:53::1]:8080")->endpoint.address().is_v6());
}

TEST(ParseTarget, SaysWhatItFound) {
  for (const char* text : {"", "v4", "=1.2.3.4:80", "v4=1.2.3.4", "v4=1.2.3.4:0", "v4=1.2.3.4:70000", "v4=host:80",
                           "v6=2001:db8::1:80", "v4=[1.2.3.4]:80", "v4=1.2.3.4:"}) {
    const auto target = parse_target(text);
    ASSERT_FALSE(target.ok()) << text;
    EXPECT_THAT(std::string(target.status().message()), testing::HasSubstr("expected NAME=ADDRESS:PORT")) << text;
  }
}

TEST(Record, IsOneLineOfJson) {
  Record record;
  record.kind = Kind::kLong;
  record.target = "v6";
  record.scheduled_unix_ns = 1'000'000;
  record.end_unix_ns = 3'500'000;
  record.error = "timeout";
  const std::string line = to_json(record);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto object = boost::json::parse(line).as_object();
  EXPECT_EQ(object.at("kind").as_string(), "long");
  EXPECT_EQ(object.at("latency_us").as_int64(), 2500);
  EXPECT_EQ(object.at("error").as_string(), "timeout");
}

TEST(AnswerField, FindsWholeKeysOnly) {
  EXPECT_EQ(answer_field("pop=ams backend=ams-b1\n", "pop"), "ams");
  EXPECT_EQ(answer_field("pop=ams backend=ams-b1\n", "backend"), "ams-b1");
  EXPECT_EQ(answer_field("xpop=ams\n", "pop"), "");
  EXPECT_EQ(answer_field("", "pop"), "");
}

}  // namespace
}  // namespace anypop::loadgen
