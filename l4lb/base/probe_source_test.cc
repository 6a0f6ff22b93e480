// SPDX-License-Identifier: Apache-2.0
#include "base/probe_source.h"

#include <set>

#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop {
namespace {

std::vector<BackendConfig> named(std::initializer_list<const char*> names) {
  std::vector<BackendConfig> backends;
  for (const char* name : names) backends.push_back({.name = name, .address = {}, .mac = {}, .server_ids = {}});
  return backends;
}

TEST(ProbeSource, CountsWhatFits) {
  EXPECT_EQ(probe_source_count(*IpPrefix::parse("10.0.0.0/24")), 254U);
  EXPECT_EQ(probe_source_count(*IpPrefix::parse("10.0.0.0/30")), 2U);
  EXPECT_EQ(probe_source_count(*IpPrefix::parse("10.0.0.0/31")), 0U);
  EXPECT_EQ(probe_source_count(*IpPrefix::parse("10.0.0.1/32")), 0U);
  EXPECT_EQ(probe_source_count(*IpPrefix::parse("2001:db8::/127")), 1U);
  EXPECT_EQ(probe_source_count(*IpPrefix::parse("2001:db8::/64")), 0xffffffffU);
}

TEST(ProbeSource, EachBackendHasItsOwnInsideThePrefix) {
  for (const char* text : {"10.9.0.0/28", "10.9.0.0/16", "2001:db8:9::/124", "2001:db8:9::/64"}) {
    const IpPrefix prefix = *IpPrefix::parse(text);
    const auto backends =
        named({"b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9", "b10", "b11", "b12", "b13", "b14"});
    const std::vector<IpAddress> sources = probe_sources(prefix, backends);
    EXPECT_EQ(std::set<IpAddress>(sources.begin(), sources.end()).size(), backends.size()) << text;
    for (const IpAddress& source : sources) {
      EXPECT_TRUE(prefix.contains(source)) << source.to_string();
      EXPECT_NE(source, prefix.address()) << "nobody's";
      EXPECT_FALSE(prefix.family() == Family::kV4 && source.bytes().back() == (prefix.length_bits() == 28 ? 15 : 255) &&
                   (prefix.length_bits() == 28 || source.bytes()[2] == 255))
          << "the last one is nobody's";
    }
  }
}

// The two processes reload one after the other: a backend that came or went must not make the others change places.
TEST(ProbeSource, DependsOnTheNameAndNotOnThePlaceInTheFile) {
  const IpPrefix prefix = *IpPrefix::parse("2001:db8:9::/64");
  const auto before = probe_sources(prefix, named({"b1", "b2", "b3"}));
  const auto after = probe_sources(prefix, named({"b0", "b3", "b2"}));
  EXPECT_EQ(before[1], after[2]);
  EXPECT_EQ(before[2], after[1]);
  const IpPrefix narrow = *IpPrefix::parse("10.9.0.0/29");
  EXPECT_EQ(probe_sources(narrow, named({"b1", "b2", "b3", "b4"})).at(3),
            probe_sources(narrow, named({"b4", "b3", "b2", "b1"})).at(0))
      << "also where names fall on the same address";
}

TEST(ProbeSource, FindsThePrefixOfAFamily) {
  const std::vector<IpPrefix> prefixes = {*IpPrefix::parse("10.9.0.0/24"), *IpPrefix::parse("2001:db8:9::/64")};
  EXPECT_EQ(find_probe_prefix(prefixes, Family::kV6), &prefixes[1]);
  EXPECT_EQ(find_probe_prefix({}, Family::kV4), nullptr);
}

}  // namespace
}  // namespace anypop
