// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/announcement.h"

#include <set>

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

TEST_F(Announcement, RendersADrainThatIsPreferredAndSaysSo) {
  config_.birds.front().local_as = 64512;
  const std::string text = render_bird_config(config_);
  EXPECT_THAT(text, HasSubstr("protocol static anypop_web_v6_drain {\n  disabled ANYPOP_WEB_OFF_DRAIN;\n"
                              "  ipv6 { preference 210; import filter { bgp_community.add((65535,0)); "
                              "bgp_path.prepend(64512); bgp_path.prepend(64512); accept; }; };\n"
                              "  route 2001:db8:53::/48 blackhole;\n}\n"));
  config_.birds.front().local_as = 0;
  EXPECT_THAT(render_bird_config(config_), HasSubstr("{ bgp_community.add((65535,0)); accept; }"));
}

TEST_F(Announcement, RendersForABirdThatHasOneFamily) {
  config_.birds = {{.local_as = 64512, .families = {Family::kV4}}, {.local_as = 64513, .families = {Family::kV6}}};
  const std::string text = render_bird_config(config_, {Family::kV6});
  EXPECT_THAT(text, HasSubstr("protocol static anypop_web_v6 {"));
  EXPECT_THAT(text, HasSubstr("bgp_path.prepend(64513)"));
  EXPECT_THAT(text, HasSubstr("/web.conf\";\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("_v4")));
  EXPECT_THAT(text, testing::Not(HasSubstr("/dns-4.conf"))) << "nothing of it is in this BIRD";
}

TEST_F(Announcement, NoOtherNameMakesTheSameProtocolOrConstant) {
  std::set<std::string> seen;
  for (const char* name : {"web", "web-drain", "web-v4", "web-v4-drain", "web-off", "web-off-drain"}) {
    const AnnouncementConfig other = announcement(name, {"192.0.2.0/24", "2001:db8::/32"});
    for (const LevelCommand& command : commands_for(other, Level::kDrained)) {
      EXPECT_TRUE(seen.insert(command.protocol).second) << command.protocol;
    }
    const std::string text = state_file_text(other, Level::kDrained);
    for (std::size_t at = text.find("ANYPOP"); at != std::string::npos; at = text.find("ANYPOP", at + 1)) {
      EXPECT_TRUE(seen.insert(text.substr(at, text.find(' ', at) - at)).second) << text;
    }
  }
}

TEST_F(Announcement, AStateFileOfAVersionWithoutDrainIsReadAndCompleted) {
  ASSERT_TRUE(write_state_file(config_, web(), Level::kDrained).ok());
  EXPECT_EQ(*read_state_file(config_, web()), Level::kDrained);
  const auto path = state_file_path(config_, web());
  ASSERT_TRUE(write_file_atomically(path, "define ANYPOP_WEB_OFF = 0;\n").ok());
  EXPECT_EQ(*read_state_file(config_, web()), Level::kAnnounced);
  ASSERT_TRUE(create_missing_state_files(config_).ok());
  EXPECT_EQ(*read_file(path), state_file_text(web(), Level::kAnnounced));
}

TEST_F(Announcement, StateFileIsTwoLinesThatBirdMayRead) {
  ASSERT_TRUE(write_state_file(config_, web(), Level::kWithdrawn).ok());
  const auto path = state_file_path(config_, web());
  EXPECT_EQ(*read_file(path), "define ANYPOP_WEB_OFF = 1;\ndefine ANYPOP_WEB_OFF_DRAIN = 1;\n");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0644U);
  EXPECT_EQ(*read_state_file(config_, web()), Level::kWithdrawn);
  ASSERT_TRUE(write_state_file(config_, web(), Level::kAnnounced).ok());
  EXPECT_EQ(*read_file(path), "define ANYPOP_WEB_OFF = 0;\ndefine ANYPOP_WEB_OFF_DRAIN = 1;\n");
  EXPECT_EQ(*read_state_file(config_, web()), Level::kAnnounced);
}

TEST_F(Announcement, StateFileOfSomebodyElseIsAnError) {
  EXPECT_EQ(read_state_file(config_, web()).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(write_state_file(config_, web(), Level::kAnnounced).ok());
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
  ASSERT_TRUE(write_state_file(config_, web(), Level::kAnnounced).ok());
  ASSERT_TRUE(create_missing_state_files(config_).ok());
  EXPECT_EQ(*read_state_file(config_, web()), Level::kAnnounced);
  EXPECT_EQ(*read_state_file(config_, dns()), Level::kWithdrawn);
}

TEST_F(Announcement, ErrorsNameThePath) {
  config_.run_dir = "/proc/nowhere";
  const absl::Status status = create_missing_state_files(config_);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("/proc/nowhere"));
}

}  // namespace
}  // namespace anypop::bgpctl
