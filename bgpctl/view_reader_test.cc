// SPDX-License-Identifier: Apache-2.0
// The readers on what BIRD 2.0.12, 2.19.2 and 3.3.2 really sent (testdata/).
#include "view_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "bgpctl/announcer.h"
#include "operations.h"

namespace anypop::bgpctl {
namespace {

using testing::ElementsAre;
using testing::Pair;

Reply parse(std::string_view bytes) {
  ReplyParser parser;
  std::vector<Reply> replies;
  EXPECT_TRUE(parser.feed(bytes, replies).ok());
  EXPECT_EQ(replies.size(), 1U) << bytes;
  return replies.empty() ? Reply{{{0, ""}}} : replies[0];
}

IpPrefix prefix(std::string_view text) { return *IpPrefix::parse(text); }

class ViewReader : public testing::TestWithParam<std::string> {
 protected:
  static Reply recorded(const std::string& name) { return parse(*read_file(fmt_path(name))); }
  static std::filesystem::path fmt_path(const std::string& name) {
    return std::filesystem::path(ANYPOP_TESTDATA) / ("bird-" + GetParam()) / (name + ".txt");
  }
};

TEST_P(ViewReader, ReadsStatus) {
  BirdView view;
  ASSERT_TRUE(read_status(recorded("status"), view).ok());
  EXPECT_EQ(view.version, GetParam());
  EXPECT_TRUE(view.server_time.starts_with("2026-11-20 14:50:")) << view.server_time;
  EXPECT_TRUE(view.last_reboot.starts_with("2026-11-20 14:50:")) << view.last_reboot;
  EXPECT_TRUE(view.last_reconfiguration.starts_with("2026-11-20 14:50:")) << view.last_reconfiguration;
}

TEST_P(ViewReader, ReadsProtocols) {
  const auto protocols = read_protocols(recorded("protocols"));
  ASSERT_TRUE(protocols.ok()) << protocols.status();
  EXPECT_EQ(protocols->at("vip4_web").kind, "Static");
  EXPECT_EQ(protocols->at("vip4_web").state, "up");
  EXPECT_EQ(protocols->at("vip4_web").info, "");
  EXPECT_EQ(protocols->at("vip4_dns").state, "down");
}

TEST_P(ViewReader, ReadsExports) {
  const auto exported = read_exports(recorded("exports"));
  ASSERT_TRUE(exported.ok());
  EXPECT_TRUE(exported->established);
  EXPECT_THAT(exported->prefixes,
              ElementsAre(Pair(prefix("198.51.100.1/32"), "vip4_web"), Pair(prefix("2001:db8:53::1/128"), "vip6_web")));
}

TEST_P(ViewReader, SuccessAndFailureGoByCode) {
  for (const char* good : {"disable", "enable", "configure"}) EXPECT_EQ(recorded(good).error(), nullptr) << good;
  EXPECT_EQ(recorded("unknown").error()->code, kReplyNoProtocol);
  EXPECT_EQ(recorded("no_route").error()->code, kReplyNoRoute);
}

INSTANTIATE_TEST_SUITE_P(Versions, ViewReader, testing::Values("2.0.12", "2.19.2", "3.3.2"), [](const auto& param) {
  std::string name = param.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return "Bird" + name;
});

TEST(Protocols, OfBgpTellTheState) {
  const auto protocols = read_protocols(parse(*read_file(std::string(ANYPOP_TESTDATA) + "/bird-2.0.12/protocols.txt")));
  ASSERT_TRUE(protocols.ok());
  EXPECT_EQ(protocols->size(), 7U);
  EXPECT_EQ(protocols->at("upstream1").info, "Established");
  EXPECT_TRUE(is_established(protocols->at("upstream1")));
  EXPECT_EQ(protocols->at("upstream_down").info, "Idle");
  EXPECT_FALSE(is_established(protocols->at("upstream_down")));
}

// `timeformat protocol` is the operator's to set: one word, two, or any.
TEST(Protocols, DoNotDependOnTheTimeFormat) {
  for (const std::string since : {"14:50:25.860", "2026-11-20", "2026-11-20 14:50:25", "Nov 20 14:50", ""}) {
    const auto protocols =
        read_protocols(parse("2002-Name Proto Table State Since Info\n1002-up1 BGP --- up " + since +
                             "  Established   \n down1 BGP --- start " + since + " Active        Socket: No route\n" +
                             " r1 RPKI --- up 14:50 Established\n0000 \n"));
    ASSERT_TRUE(protocols.ok());
    EXPECT_TRUE(is_established(protocols->at("up1"))) << since;
    EXPECT_EQ(protocols->at("down1").info, "Active        Socket: No route") << since;
    EXPECT_EQ(protocols->at("r1").info, "Established");
    EXPECT_FALSE(is_established(protocols->at("r1")));
  }
}

TEST(Exports, TellASessionThatIsDownFromOneThatSendsNothing) {
  EXPECT_FALSE(read_exports(parse("9001 No valid tables\n"))->established);
  EXPECT_TRUE(read_exports(parse("0000 \n"))->established);
  EXPECT_TRUE(read_exports(parse("8001 Network not found\n"))->established);
  EXPECT_TRUE(absl::IsAborted(read_exports(parse("8004 Stopped due to reconfiguration\n")).status()));
  EXPECT_FALSE(read_exports(parse("8007 Access denied\n")).ok());
}

TEST(Exports, TakeOnlyTheFirstLineOfAPrefixAndOnlyPrefixes) {
  const auto exported =
      read_exports(parse("1007-Table master4:\n 10.0.0.0/8  unicast [a] * (100)\n"
                         "             unicast [b] (90)\n \tvia 192.0.2.1 on eth0\n"
                         " 1:1 10.1.0.0/16 x\n 10.2.0.1/8 y\n1008-\tType: static univ\n0000 \n"));
  EXPECT_THAT(exported->prefixes, ElementsAre(Pair(prefix("10.0.0.0/8"), "a")));
}

TEST(Others, AreRoutesByBgpThatAreNotDrained) {
  const std::map<std::string, BirdProtocol> protocols = {{"anypop_web_v4", {"Static", "up", ""}},
                                                         {"rr1", {"BGP", "up", "Established"}},
                                                         {"rr2", {"BGP", "up", "Established"}}};
  const auto others = [&](std::string_view text) { return count_others(parse(text), protocols); };
  EXPECT_EQ(*others("8001 Network not found\n"), 0U);
  EXPECT_TRUE(absl::IsAborted(others("8004 Stopped due to reconfiguration\n").status()));
  EXPECT_FALSE(others("8007 Access denied\n").ok());
  EXPECT_EQ(*others("1007-Table master4:\n"
                    " 198.51.100.0/24      blackhole [anypop_web_v4 2026-11-20 14:26:17.047300] * (200)\n"
                    "1008-\tType: static univ\n0000 \n"),
            0U)
      << "that is us";
  const std::string two =
      "1007-Table master4:\n 198.51.100.0/24      unicast [rr1 2026-11-20 14:26:17.047300] * (100) [AS64512i]\n"
      " \tvia 192.0.2.2 on eth0\n1008-\tType: BGP univ\n1012-\tBGP.origin: IGP\n \tBGP.community: (64512,1)\n"
      "1007-                     unicast [rr2 2026-11-20 14:26:17.047300] (100) [AS64512i]\n \tvia 192.0.2.3 on eth0\n"
      "1012-\tBGP.origin: IGP\n";
  EXPECT_EQ(*others(two + "0000 \n"), 2U);
  EXPECT_EQ(*others(two + " \tBGP.community: (64512,1) (65535,0)\n0000 \n"), 1U) << "GRACEFUL_SHUTDOWN";
  EXPECT_EQ(*others(two + " \tbgp_community: (65535, 0)\n0000 \n"), 1U) << "in BIRD 3's words";
  EXPECT_EQ(
      *others(two + " \tBGP.large_community: (65535,0,1) (1,65535,0)\n \tBGP.ext_community: (rt,65535,0)\n0000 \n"),
      2U);
}

TEST(Symbols, AreQuotedOnlyWhenNeeded) {
  EXPECT_EQ(symbol_text("upstream1"), "upstream1");
  EXPECT_EQ(symbol_text("up-stream.1"), "'up-stream.1'");
  EXPECT_EQ(symbol_text("1up"), "'1up'");
  EXPECT_EQ(symbol_text("a'b"), "");
  EXPECT_EQ(symbol_text("a b"), "");
  EXPECT_EQ(symbol_text(""), "");
}

class Standing : public testing::Test {
 protected:
  void SetUp() override {
    web_.name = "web";
    web_.prefixes = {prefix("198.51.100.0/24"), prefix("2001:db8:53::/48")};
    view_.protocols = {{"anypop_web_v4", {"Static", "up", ""}}, {"anypop_web_v6", {"Static", "up", ""}}};
    view_.sessions = {{"a", {true, {{prefix("198.51.100.0/24"), "anypop_web_v4"}, {prefix("10.0.0.0/8"), "x"}}}},
                      {"b", {true, {{prefix("10.0.0.0/8"), "x"}}}},
                      {"c", {false, {}}}};
  }
  AnnouncementConfig web_;
  BirdView view_;
};

TEST_F(Standing, TellsTableAndSessionsApart) {
  const AnnouncementStanding got = standing(web_, view_);
  EXPECT_TRUE(got.configured && got.in_table && !got.partly_in_table);
  EXPECT_THAT(got.exported_to, ElementsAre("a"));
  EXPECT_THAT(got.not_exported_to, ElementsAre("b"));
}

TEST_F(Standing, HalfIsPartly) {
  view_.protocols["anypop_web_v6"].state = "flush";
  const AnnouncementStanding got = standing(web_, view_);
  EXPECT_TRUE(got.configured && !got.in_table && got.partly_in_table);
}

TEST_F(Standing, ADrainIsWhatTheSessionsAreTold) {
  EXPECT_FALSE(standing(web_, view_).drainable);
  EXPECT_EQ(standing(web_, view_).level, Level::kAnnounced);
  view_.protocols["anypop_web_v4_drain"] = view_.protocols["anypop_web_v6_drain"] = {"Static", "down", ""};
  EXPECT_TRUE(standing(web_, view_).drainable);
  EXPECT_EQ(standing(web_, view_).level, Level::kAnnounced);
  view_.protocols["anypop_web_v4_drain"].state = "up";
  EXPECT_EQ(standing(web_, view_).level, std::nullopt) << "one family of two";
  view_.protocols["anypop_web_v6_drain"].state = "up";
  EXPECT_EQ(standing(web_, view_).level, Level::kDrained);
  EXPECT_THAT(standing(web_, view_).drained_to, ElementsAre());
  view_.sessions["a"].prefixes[prefix("198.51.100.0/24")] = "anypop_web_v4_drain";
  EXPECT_THAT(standing(web_, view_).drained_to, ElementsAre("a"));
  view_.protocols["anypop_web_v4"].state = view_.protocols["anypop_web_v6"].state = "down";
  EXPECT_TRUE(standing(web_, view_).in_table);
  EXPECT_EQ(standing(web_, view_).level, std::nullopt) << "without the plain route beneath it is no level of ours";
}

TEST_F(Standing, AFamilyWhoseBirdIsSilentIsLeftOut) {
  view_.missing = {Family::kV6};
  view_.protocols.erase("anypop_web_v6");
  EXPECT_TRUE(is_told(web_, view_));
  EXPECT_TRUE(standing(web_, view_).configured);
  EXPECT_TRUE(standing(web_, view_).in_table);
  EXPECT_EQ(standing(web_, view_).level, Level::kAnnounced);
  view_.missing = {Family::kV4, Family::kV6};
  EXPECT_FALSE(is_told(web_, view_));
}

TEST_F(Standing, SessionsOfAnotherFamilyDoNotCount) {
  web_.prefixes = {prefix("198.51.100.0/24")};
  view_.sessions["b"].families = {Family::kV6};
  EXPECT_THAT(standing(web_, view_).not_exported_to, ElementsAre());
}

TEST_F(Standing, OthersMustBeThereForEachPrefix) {
  EXPECT_EQ(has_others(web_, view_), std::nullopt) << "not asked for";
  view_.others = {{prefix("198.51.100.0/24"), 2}, {prefix("2001:db8:53::/48"), 0}};
  EXPECT_EQ(has_others(web_, view_), false);
  view_.others[prefix("2001:db8:53::/48")] = 1;
  EXPECT_EQ(has_others(web_, view_), true);
}

class Merge : public testing::Test {
 protected:
  const std::vector<BirdConfig> birds_ = {{.socket = "/a", .families = {Family::kV4}},
                                          {.socket = "/b", .families = {Family::kV6}}};
  BirdView v4_{.version = "2.0.12",
               .protocols = {{"anypop_web_v4", {"Static", "up", ""}},
                             {"anypop_web_v6", {"Static", "up", ""}},
                             {"up1", {"BGP", "up", "Established"}}},
               .sessions = {{"up1", {.established = true}}}};
  BirdView v6_{.version = "2.0.13",
               .protocols = {{"anypop_web_v6", {"Static", "down", ""}}, {"up1", {"BGP", "start", "Active"}}},
               .sessions = {{"up1", {}}}};
};

TEST_F(Merge, TakesOfEachBirdWhatIsItsFamilys) {
  const auto all = merge_views(birds_, {v4_, v6_});
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->protocols.at("anypop_web_v6").state, "down");
  EXPECT_TRUE(all->sessions.at("v4/up1").established);
  EXPECT_FALSE(all->sessions.at("v6/up1").established);
  EXPECT_THAT(all->sessions.at("v6/up1").families, ElementsAre(Family::kV6));
  EXPECT_EQ(all->protocols.at("v6/up1").info, "Active");
  EXPECT_EQ(all->instances[1].version, "2.0.13");
  EXPECT_TRUE(all->missing.empty());
}

TEST_F(Merge, OneThatIsSilentIsMissingAndAllOfThemAreAnError) {
  const absl::Status dead = absl::UnavailableError("no BIRD at /b");
  const auto half = merge_views(birds_, {v4_, dead});
  ASSERT_TRUE(half.ok());
  EXPECT_THAT(half->missing, ElementsAre(Family::kV6));
  EXPECT_EQ(half->instances[1].error, "no BIRD at /b");
  EXPECT_FALSE(half->protocols.contains("anypop_web_v6"));
  EXPECT_EQ(merge_views(birds_, {absl::UnavailableError("no BIRD at /a"), dead}).status().message(), "no BIRD at /a");
  const auto one = merge_views({BirdConfig{}}, {v4_});
  EXPECT_TRUE(one->sessions.contains("up1")) << "its name as it is";
}

TEST_F(Standing, AMissingProtocolIsNotConfigured) {
  view_.protocols.erase("anypop_web_v6");
  EXPECT_FALSE(standing(web_, view_).configured);
  EXPECT_FALSE(standing(web_, view_).in_table);
}

}  // namespace
}  // namespace anypop::bgpctl
