// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/announcement.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "test_pop.h"

namespace anypop::bgpctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Announcement : public TestPop {};

TEST_F(Announcement, HasOneProtocolAFamily) {
  EXPECT_THAT(protocol_names(web()), ElementsAre("anypop_web_v4", "anypop_web_v6"));
  EXPECT_THAT(protocol_names(dns()), ElementsAre("anypop_dns_4_v4"));
}

TEST_F(Announcement, RendersAllPrefixesOfAFamilyInOneProtocol) {
  const std::string text = render_bird_config(config_);
  EXPECT_THAT(text, HasSubstr("include \"" + config_.bird_state_dir().string() + "/web.conf\";\n"));
  EXPECT_THAT(text, HasSubstr("protocol static anypop_web_v4 {\n  disabled ANYPOP_WEB_OFF;\n"
                              "  ipv4 { preference 200; };\n  route 198.51.100.0/24 blackhole;\n"
                              "  route 203.0.113.0/24 blackhole;\n}\n"));
  EXPECT_THAT(text, HasSubstr("protocol static anypop_web_v6 {\n  disabled ANYPOP_WEB_OFF;\n"
                              "  ipv6 { preference 200; };\n  route 2001:db8:53::/48 blackhole;\n}\n"));
  EXPECT_THAT(text, HasSubstr("disabled ANYPOP_DNS_4_OFF;"));
  EXPECT_EQ(text, render_bird_config(config_));
}

TEST_F(Announcement, StateFileIsOneLineThatBirdMayRead) {
  ASSERT_TRUE(write_state_file(config_, web(), false).ok());
  const auto path = state_file_path(config_, web());
  EXPECT_EQ(*read_file(path), "define ANYPOP_WEB_OFF = 1;\n");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0644U);
  EXPECT_EQ(*read_state_file(config_, web()), false);
  ASSERT_TRUE(write_state_file(config_, web(), true).ok());
  EXPECT_EQ(*read_file(path), "define ANYPOP_WEB_OFF = 0;\n");
  EXPECT_EQ(*read_state_file(config_, web()), true);
}

TEST_F(Announcement, StateFileOfSomebodyElseIsAnError) {
  EXPECT_EQ(read_state_file(config_, web()).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(write_state_file(config_, web(), true).ok());
  for (const std::string text : {"", "define ANYPOP_WEB_OFF = 2;\n", "define ANYPOP_DNS_OFF = 0;\n",
                                 "define ANYPOP_WEB_OFF = 0;\nroute 0.0.0.0/0;\n", "\x1b[2J"}) {
    ASSERT_TRUE(write_file_atomically(state_file_path(config_, web()), text).ok());
    const auto read = read_state_file(config_, web());
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(read.status().message()), HasSubstr("web.conf"));
    EXPECT_THAT(std::string(read.status().message()), testing::Not(HasSubstr("\x1b")));
  }
}

TEST_F(Announcement, CreatesOnlyWhatIsMissingAndCreatesItWithdrawn) {
  ASSERT_TRUE(write_state_file(config_, web(), true).ok());
  ASSERT_TRUE(create_missing_state_files(config_).ok());
  EXPECT_EQ(*read_state_file(config_, web()), true);
  EXPECT_EQ(*read_state_file(config_, dns()), false);
}

TEST_F(Announcement, ErrorsNameThePath) {
  config_.run_dir = "/proc/nowhere";
  const absl::Status status = create_missing_state_files(config_);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("/proc/nowhere"));
}

}  // namespace
}  // namespace anypop::bgpctl
