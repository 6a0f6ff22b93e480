// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane_api/http_client.h"
#include "dataplane_api/http_server.h"

namespace anypop {
namespace {

using namespace std::chrono_literals;

constexpr auto kLong = 5000ms;

// A server on a thread of its own, echoing method, target and body.
class Http : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "http_XXXXXX";
    folder_ = ::mkdtemp(name.data());
    socket_ = folder_ / "s";
    start({.socket_path = socket_, .body_max_bytes = 1000, .connections_max = 4});
  }
  void TearDown() override {
    stop();
    std::filesystem::remove_all(folder_);
  }
  void start(HttpServerOptions options) {
    io_.emplace();
    auto server = HttpServer::listen(*io_, std::move(options), [](const HttpRequest& request) {
      return HttpResponse{200, request.method + " " + request.target + " " + request.body, "text/plain"};
    });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
    thread_ = std::thread([this] { io_->run(); });
  }
  void stop() {
    if (!io_) return;
    boost::asio::post(*io_, [this] {
      server_.reset();
      io_->stop();
    });
    thread_.join();
    io_.reset();
  }

  // Sends bytes as they are and returns everything that comes back until the server closes.
  std::string raw(const std::string& bytes) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    ::shutdown(fd, SHUT_WR);
    std::string got;
    char chunk[512];
    for (ssize_t n = 0; (n = ::recv(fd, chunk, sizeof(chunk), 0)) > 0;) got.append(chunk, static_cast<std::size_t>(n));
    ::close(fd);
    return got;
  }

  std::filesystem::path folder_;
  std::filesystem::path socket_;
  std::optional<boost::asio::io_context> io_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

TEST_F(Http, AnswersARequest) {
  const auto answer = http_call(socket_, {"PUT", "/v1/x?y=1", "body"}, kLong);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200U);
  EXPECT_EQ(answer->body, "PUT /v1/x?y=1 body");
}

TEST_F(Http, RefusesALargeBody) {
  const auto answer = http_call(socket_, {"PUT", "/", std::string(1001, 'x')}, kLong);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 413U);
}

TEST_F(Http, KnowsWhoIsAtTheOtherEnd) {
  stop();
  std::optional<HttpPeer> peer;
  io_.emplace();
  auto server = HttpServer::listen(*io_, {.socket_path = socket_}, [&](const HttpRequest& request) {
    peer = request.peer;
    return HttpResponse{200, request.last_event_id};
  });
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = std::move(*server);
  thread_ = std::thread([this] { io_->run(); });
  EXPECT_THAT(raw("GET / HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 42\r\nConnection: close\r\n\r\n"),
              testing::EndsWith("\r\n\r\n42"));
  stop();
  ASSERT_TRUE(peer.has_value());
  EXPECT_EQ(peer->uid, ::getuid());
  EXPECT_EQ(peer->gid, ::getgid());
  EXPECT_EQ(peer->pid, ::getpid());
}

// A server on this thread whose every answer is a stream.
class HttpStreams : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "http_XXXXXX";
    folder_ = ::mkdtemp(name.data());
    auto server = HttpServer::listen_async(io_, {.socket_path = folder_ / "s", .request_timeout = 100ms},
                                           [this](const HttpRequest&, const HttpServer::Reply& reply) {
                                             HttpResponse response{200, "", "text/event-stream"};
                                             response.stream = [this](auto stream) { stream_ = std::move(stream); };
                                             reply(std::move(response));
                                           });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
    client_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder_ / "s").string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(::connect(client_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    ASSERT_EQ(::send(client_, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    ASSERT_TRUE(wait_for([this] { return stream_ != nullptr; }));
  }
  void TearDown() override {
    stream_.reset();
    server_.reset();
    io_.poll();
    if (client_ >= 0) ::close(client_);
    std::filesystem::remove_all(folder_);
  }
  bool wait_for(const std::function<bool()>& fact) {
    for (const auto end = std::chrono::steady_clock::now() + kLong; !fact();) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.run_one_for(5ms);
      take();
    }
    return true;
  }
  void take() {
    char chunk[4096];
    ssize_t size = 0;
    while (reading_ && (size = ::recv(client_, chunk, sizeof(chunk), 0)) > 0) {
      got_.append(chunk, static_cast<std::size_t>(size));
    }
    ended_ = ended_ || (reading_ && size == 0);
  }

  std::filesystem::path folder_;
  boost::asio::io_context io_;
  std::unique_ptr<HttpServer> server_;
  std::shared_ptr<HttpStream> stream_;
  int client_ = -1;
  bool reading_ = true;
  std::string got_;
  bool ended_ = false;
};

TEST_F(HttpStreams, GoOnUntilTheServerEndsThem) {
  EXPECT_TRUE(stream_->send("one\n"));
  EXPECT_TRUE(stream_->send("two\n"));
  ASSERT_TRUE(wait_for([this] { return got_.ends_with("one\ntwo\n"); }));
  EXPECT_THAT(got_, testing::StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(got_, testing::HasSubstr("Content-Type: text/event-stream\r\n"));
  // Longer than a request may take: nobody is late here.
  const auto start = std::chrono::steady_clock::now();
  wait_for([&] { return std::chrono::steady_clock::now() - start > 250ms; });
  EXPECT_FALSE(ended_);
  EXPECT_TRUE(stream_->send("three\n"));
  stream_.reset();
  ASSERT_TRUE(wait_for([this] { return ended_; }));
  EXPECT_THAT(got_, testing::EndsWith("three\n")) << "what was sent before the end arrives";
}

TEST_F(HttpStreams, AClientThatLeavesIsSeen) {
  ::close(client_);
  client_ = -1;
  reading_ = false;
  EXPECT_TRUE(wait_for([this] { return !stream_->is_open(); })) << "without anything being sent";
  EXPECT_FALSE(stream_->send("x"));
}

TEST_F(HttpStreams, AClientThatDoesNotReadIsDropped) {
  reading_ = false;
  std::size_t sent = 0;
  const std::string text(10'000, 'x');
  EXPECT_TRUE(wait_for([&] {
    const bool taken = stream_->send(text);
    if (taken) sent += text.size();
    return !taken;
  }));
  EXPECT_LT(sent, 2U << 20U) << "the kernel's buffer and ours";
  EXPECT_FALSE(stream_->send("more"));
}

TEST_F(Http, AnswersGarbageWithAnError) {
  EXPECT_THAT(raw("\x01\x02garbage\r\n\r\n"), testing::StartsWith("HTTP/1.1 400"));
  EXPECT_TRUE(http_call(socket_, {"GET", "/", ""}, kLong).ok());
}

TEST_F(Http, ASecondServerOnALivingSocketIsRefused) {
  boost::asio::io_context io;
  const auto second = HttpServer::listen(io, {.socket_path = socket_}, {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(http_call(socket_, {"GET", "/", ""}, kLong).ok()) << "the first one must not be disturbed";
}

TEST_F(Http, AStaleSocketIsReplacedAndTheSocketIsRemovedAtTheEnd) {
  stop();
  EXPECT_FALSE(std::filesystem::exists(socket_));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ::close(fd);
  ASSERT_TRUE(std::filesystem::exists(socket_));
  start({.socket_path = socket_});
  EXPECT_TRUE(http_call(socket_, {"GET", "/", ""}, kLong).ok());
}

TEST_F(Http, NobodyThereIsUnavailableAndNamesTheSocket) {
  const auto answer = http_call(folder_ / "none", {"GET", "/", ""}, kLong);
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(answer.status().message()), testing::HasSubstr((folder_ / "none").string()));
}

TEST_F(Http, ASilentServerIsADeadline) {
  const std::filesystem::path path = folder_ / "silent";
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  EXPECT_EQ(http_call(path, {"GET", "/", ""}, 50ms).status().code(), absl::StatusCode::kDeadlineExceeded);
  ::close(fd);
}

// Runs `io` until `done` holds, or fails.
void run_until(boost::asio::io_context& io, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + kLong;
  while (!done() && std::chrono::steady_clock::now() < deadline) {
    io.restart();
    io.run_one_for(50ms);
  }
  ASSERT_TRUE(done());
}

TEST_F(Http, AKeptConnectionServesManyRequestsAndSeesTheServerDie) {
  boost::asio::io_context io;
  HttpConnection connection(io, socket_);
  bool closed = false;
  connection.on_closed([&] { closed = true; });
  for (int i = 0; i < 20; ++i) {
    std::optional<absl::StatusOr<HttpResponse>> answer;
    connection.call({"GET", "/" + std::to_string(i), ""}, kLong, [&](auto result) { answer = std::move(result); });
    run_until(io, [&] { return answer.has_value(); });
    ASSERT_TRUE(answer->ok()) << answer->status();
    EXPECT_EQ((*answer)->body, "GET /" + std::to_string(i) + " ");
  }
  EXPECT_FALSE(closed);
  stop();
  run_until(io, [&] { return closed; });

  std::optional<absl::StatusOr<HttpResponse>> answer;
  connection.call({"GET", "/", ""}, kLong, [&](auto result) { answer = std::move(result); });
  run_until(io, [&] { return answer.has_value(); });
  EXPECT_EQ(answer->status().code(), absl::StatusCode::kUnavailable);

  start({.socket_path = socket_});
  answer.reset();
  connection.call({"GET", "/again", ""}, kLong, [&](auto result) { answer = std::move(result); });
  run_until(io, [&] { return answer.has_value(); });
  EXPECT_TRUE(answer->ok()) << answer->status();
}

TEST_F(Http, ASecondRequestAtTheSameTimeIsRefused) {
  boost::asio::io_context io;
  HttpConnection connection(io, socket_);
  absl::Status first = absl::UnknownError("");
  absl::Status second = absl::UnknownError("");
  connection.call({"GET", "/", ""}, kLong, [&](auto result) { first = result.status(); });
  connection.call({"GET", "/", ""}, kLong, [&](auto result) { second = result.status(); });
  run_until(io, [&] { return first.ok(); });
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(Http, ClientsThatSayNothingDoNotKeepOthersOut) {
  boost::asio::io_context io;
  HttpConnection regular(io, socket_);
  const auto ask = [&] {
    std::optional<absl::StatusOr<HttpResponse>> answer;
    regular.call({"GET", "/again", ""}, kLong, [&](auto a) { answer = std::move(a); });
    io.restart();
    while (!answer) io.run_one();
    return std::move(*answer);
  };
  ASSERT_TRUE(ask().ok());
  std::vector<int> silent;
  for (int i = 0; i < 200; ++i) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    silent.push_back(fd);
    if (i % 50 == 0) {
      const auto fresh = http_call(socket_, {"GET", "/x", ""}, kLong);
      EXPECT_TRUE(fresh.ok()) << fresh.status();
    }
  }
  EXPECT_TRUE(ask().ok()) << "one that has asked before keeps its connection";
  for (const int fd : silent) ::close(fd);
}

}  // namespace
}  // namespace anypop
