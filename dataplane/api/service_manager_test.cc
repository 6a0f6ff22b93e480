// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/service_manager.h"

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace anypop {
namespace {

// systemd's side: a datagram socket that NOTIFY_SOCKET names; an abstract one leaves no file.
class ServiceManagerTest : public testing::Test {
 protected:
  void SetUp() override {
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ASSERT_GE(socket_, 0);
    const std::string name = "anypop-notify-" + std::to_string(::getpid());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    ASSERT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), length), 0);
    ::setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
    ::setenv("WATCHDOG_USEC", "40000", 1);
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  }

  void TearDown() override {
    ::close(socket_);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }

  std::vector<std::string> heard() const {
    std::vector<std::string> messages;
    std::array<char, 256> buffer{};
    for (ssize_t size; (size = ::recv(socket_, buffer.data(), buffer.size(), 0)) > 0;) {
      messages.emplace_back(buffer.data(), static_cast<std::size_t>(size));
    }
    return messages;
  }

  int socket_ = -1;
  boost::asio::io_context io_;
};

TEST_F(ServiceManagerTest, SaysReadyFeedsTheWatchdogAndSaysStopping) {
  auto manager = std::make_unique<ServiceManager>(io_, [](std::chrono::milliseconds patience) {
    EXPECT_EQ(patience.count(), 40);
    return true;
  });
  EXPECT_EQ(heard(), (std::vector<std::string>{"READY=1", "WATCHDOG=1"}));
  io_.run_one();
  EXPECT_EQ(heard(), (std::vector<std::string>{"WATCHDOG=1"}));
  manager.reset();
  EXPECT_EQ(heard(), (std::vector<std::string>{"STOPPING=1"}));
}

TEST_F(ServiceManagerTest, NamesItsSuccessorInsteadOfStopping) {
  auto manager = std::make_unique<ServiceManager>(io_, [](std::chrono::milliseconds) { return false; });
  manager->has_successor(77);
  heard();
  manager.reset();
  EXPECT_EQ(heard(), (std::vector<std::string>{"MAINPID=77"}));
}

TEST_F(ServiceManagerTest, DoesNotFeedWhileAWorkerHangsAndGoesOnWhenItTurnsAgain) {
  bool turning = false;
  ServiceManager manager(io_, [&](std::chrono::milliseconds) { return turning; });
  EXPECT_EQ(heard(), (std::vector<std::string>{"READY=1"}));
  io_.run_one();
  EXPECT_EQ(heard(), (std::vector<std::string>{}));
  turning = true;
  io_.run_one();
  EXPECT_EQ(heard(), (std::vector<std::string>{"WATCHDOG=1"}));
}

TEST_F(ServiceManagerTest, SaysWhatItDoesOnce) {
  ::unsetenv("WATCHDOG_USEC");
  ServiceManager manager(io_, [](std::chrono::milliseconds) { return true; });
  manager.say("announces 1 of 2");
  manager.say("announces 1 of 2");
  EXPECT_EQ(heard(), (std::vector<std::string>{"READY=1", "STATUS=announces 1 of 2"}));
  EXPECT_EQ(manager.watchdog().count(), 0);
}

TEST_F(ServiceManagerTest, WithoutAWatchdogThereIsNoTimer) {
  ::unsetenv("WATCHDOG_USEC");
  ServiceManager manager(io_, [](std::chrono::milliseconds) { return true; });
  EXPECT_EQ(heard(), (std::vector<std::string>{"READY=1"}));
  EXPECT_EQ(io_.run(), 0U);
}

}  // namespace
}  // namespace anypop
