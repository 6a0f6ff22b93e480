// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/event_log.h"

#include <thread>
#include <vector>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "test_pop.h"

namespace anypop::bgpctl {
namespace {

class EventLogFile : public TestPop {
 protected:
  std::vector<std::string_view> lines() {
    text_ = *read_file(config_.event_log());
    EXPECT_EQ(text_.back(), '\n');
    return split(std::string_view(text_).substr(0, text_.size() - 1), '\n');
  }
  std::string text_;
};

TEST_F(EventLogFile, WritesOneObjectALine) {
  const EventLog log(config_.event_log(), "bgpctl", [] { return 1'795'184'777'045'123'456; });
  ASSERT_TRUE(log.append({{"event", "hold"}, {"reason", "line\nbreak"}}).ok());
  ASSERT_TRUE(log.append({{"event", "release"}}).ok());
  const auto got = lines();
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[0], R"({"time":"2026-11-20T14:26:17.045123Z","unix_ns":1795184777045123456,"by":"bgpctl",)"
                    R"("event":"hold","reason":"line\nbreak"})");
  struct stat status {};
  ASSERT_EQ(::stat(config_.event_log().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
}

TEST_F(EventLogFile, LinesOfSeveralWritersDoNotMix) {
  constexpr int kEach = 200;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&] {
      const EventLog log(config_.event_log(), "bgpctl");
      for (int i = 0; i < kEach; ++i) EXPECT_TRUE(log.append({{"event", "x"}, {"pad", std::string(500, 'p')}}).ok());
    });
  }
  for (std::thread& writer : writers) writer.join();
  const auto got = lines();
  EXPECT_EQ(got.size(), 4U * kEach);
  for (const std::string_view line : got) {
    boost::json::error_code error;
    boost::json::parse({line.data(), line.size()}, error);
    ASSERT_FALSE(error) << line;
  }
}

TEST_F(EventLogFile, ErrorsNameThePath) {
  const absl::Status full = EventLog("/dev/full", "bgpctl").append({});
  EXPECT_FALSE(full.ok());
  EXPECT_THAT(std::string(full.message()), testing::HasSubstr("/dev/full"));
  EXPECT_FALSE(EventLog("/proc/nowhere/events", "bgpctl").append({}).ok());
}

}  // namespace
}  // namespace anypop::bgpctl
