// SPDX-License-Identifier: Apache-2.0
#include "base/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anypop {
namespace {

using testing::HasSubstr;

TEST(IpAddress, ReadsAndWritesBothFamiliesCanonically) {
  EXPECT_EQ(IpAddress::parse("192.0.2.1")->to_string(), "192.0.2.1");
  EXPECT_EQ(IpAddress::parse("2001:DB8:0:0::1")->to_string(), "2001:db8::1");
  EXPECT_EQ(IpAddress::parse("2001:db8::1")->family(), Family::kV6);
}

TEST(IpAddress, RefusesWhatIsNotAnAddressAndNamesIt) {
  for (const char* text : {"", "192.0.2", "192.0.2.256", "192.0.2.1/32", "fe80::1%eth0", "host", "0x7f.1"}) {
    const auto parsed = IpAddress::parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(text));
  }
}

TEST(IpPrefix, ContainsExactlyItsAddresses) {
  const IpPrefix prefix = *IpPrefix::parse("198.51.100.0/23");
  EXPECT_TRUE(prefix.contains(*IpAddress::parse("198.51.100.0")));
  EXPECT_TRUE(prefix.contains(*IpAddress::parse("198.51.101.255")));
  EXPECT_FALSE(prefix.contains(*IpAddress::parse("198.51.102.0")));
  EXPECT_FALSE(prefix.contains(*IpAddress::parse("2001:db8::1")));
  EXPECT_TRUE(IpPrefix::parse("::/0")->contains(*IpAddress::parse("2001:db8::1")));
}

TEST(IpPrefix, RefusesHostBitsAndBadLengths) {
  EXPECT_THAT(std::string(IpPrefix::parse("198.51.100.1/24").status().message()), HasSubstr("no bits set behind"));
  for (const char* text : {"198.51.100.0", "198.51.100.0/33", "198.51.100.0/-1", "198.51.100.0/+4", "2001:db8::/129",
                           "198.51.100.0/24/1", "/24"}) {
    EXPECT_FALSE(IpPrefix::parse(text).ok()) << text;
  }
}

TEST(MacAddress, ReadsAndWrites) {
  EXPECT_EQ(MacAddress::parse("02:00:5E:10:00:ff")->to_string(), "02:00:5e:10:00:ff");
  for (const char* text : {"02:00:5e:10:00", "02:00:5e:10:00:1", "02-00-5e-10-00-01", "02:00:5e:10:00:0g"}) {
    EXPECT_FALSE(MacAddress::parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace anypop
