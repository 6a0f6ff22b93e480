// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/fleet.h"

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop::cli {
namespace {

using testing::HasSubstr;

TEST(ParseTarget, TakesANameOrNone) {
  EXPECT_EQ(parse_target("ams=http://192.0.2.1:9000").name, "ams");
  EXPECT_EQ(parse_target("ams=http://192.0.2.1:9000").address, "http://192.0.2.1:9000");
  EXPECT_EQ(parse_target("/run/a=b/healthmon.sock").name, "");
  EXPECT_EQ(parse_target("/run/a=b/healthmon.sock").address, "/run/a=b/healthmon.sock");
}

TEST(ParseInventory, TakesLinesAndComments) {
  const auto targets = parse_inventory("# all\nams  http://192.0.2.1:9000 # the first\r\n\n\t/run/anypop\n", "pops");
  ASSERT_TRUE(targets.ok()) << targets.status();
  ASSERT_EQ(targets->size(), 2U);
  EXPECT_EQ((*targets)[0].name, "ams");
  EXPECT_EQ((*targets)[0].address, "http://192.0.2.1:9000");
  EXPECT_EQ((*targets)[1].name, "");
  EXPECT_EQ((*targets)[1].address, "/run/anypop");
  EXPECT_EQ(parse_inventory("a b\na b c\n", "pops").status().message(),
            "pops:2: found 3 words, expected a name and an address");
  EXPECT_THAT(std::string(parse_inventory("# nobody\n", "pops").status().message()), HasSubstr("pops: found no PoP"));
}

FleetAnswer answer(const std::string& name, bool announced) {
  const std::string text = fmt::format(
      R"({{"pop": "said-{}", "announcements": [{{"name": "web", "announce": {}, "cause": "because"}}],
          "services": [{{"backends": [{{"healthy": true}}, {{"healthy": false}}]}}]}})",
      name, announced);
  return {{.name = name, .address = "somewhere"}, boost::json::parse(text)};
}
FleetAnswer silent(const std::string& name) {
  return {{.name = name, .address = "there"}, unavailable("there: Connection refused")};
}

TEST(Fleet, SaysWhatIsNotAsItShouldBe) {
  const std::string page = fleet_text({answer("ams", true), answer("fra", false), silent("london"), answer("", true)});
  EXPECT_THAT(page, HasSubstr("ams     good       1 of 1 announced, 1 of 2 backends healthy\n"));
  EXPECT_THAT(page, HasSubstr("fra     NOT GOOD   0 of 1 announced"));
  EXPECT_THAT(page, HasSubstr("        web is withdrawn: because\n"));
  EXPECT_THAT(page, HasSubstr("london  no answer  there: Connection refused\n"));
  EXPECT_THAT(page, HasSubstr("said-   good"));
}

TEST(Fleet, HasExitCodesForScripts) {
  EXPECT_EQ(fleet_exit_code({answer("a", true), answer("b", true)}), 0);
  EXPECT_EQ(fleet_exit_code({answer("a", true), answer("b", false)}), 1);
  EXPECT_EQ(fleet_exit_code({silent("a"), answer("b", false)}), 3);
  const auto object = fleet_json({answer("a", true), silent("b")});
  EXPECT_FALSE(object.at("good").as_bool());
  EXPECT_TRUE(object.at("pops").at(0).at("error").is_null());
  EXPECT_EQ(object.at("pops").at(1).at("error").as_string(), "there: Connection refused");
}

}  // namespace
}  // namespace anypop::cli
