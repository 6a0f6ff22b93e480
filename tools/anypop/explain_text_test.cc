// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/explain_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anypop::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ParseEndpoint, TakesBothFamilies) {
  const auto v4 = parse_endpoint("198.51.100.7:4242");
  ASSERT_TRUE(v4.ok()) << v4.status();
  EXPECT_EQ(v4->address.to_string(), "198.51.100.7");
  EXPECT_EQ(v4->port, 4242);
  const auto v6 = parse_endpoint("[2001:db8::7]:0");
  ASSERT_TRUE(v6.ok()) << v6.status();
  EXPECT_EQ(v6->address.to_string(), "2001:db8::7");
  EXPECT_EQ(v6->port, 0);
}

TEST(ParseEndpoint, RefusesTheRest) {
  for (const char* text :
       {"", ":", "198.51.100.7", "198.51.100.7:", "198.51.100.7:x", "198.51.100.7:65536", ":80", "2001:db8::7:80",
        "[2001:db8::7]", "[198.51.100.7]:80", "[]:80", "web:80", "[:80", "1.2.3.4:-1"}) {
    EXPECT_THAT(std::string(parse_endpoint(text).status().message()), HasSubstr("expected an address and a port"))
        << text;
  }
}

TEST(OuterHeaderText, ReadsEveryTunnel) {
  EXPECT_EQ(outer_header_text("4500003c000040004004b7a9ac1000010a000001"), "ipip 172.16.0.1 -> 10.0.0.1");
  EXPECT_EQ(outer_header_text("6000000000142940"
                              "20010db8000f00000000000000000001"
                              "20010db8000a00000000000000000001"),
            "ipip 2001:db8:f::1 -> 2001:db8:a::1");
  EXPECT_EQ(outer_header_text("4500003c00004000402fb7a9ac1000010a00000100000800"), "gre 172.16.0.1 -> 10.0.0.1");
  EXPECT_EQ(outer_header_text("4500003c000040004011b7a9ac1000010a000001c00117c00020000000040000"),
            "gue 172.16.0.1 -> 10.0.0.1, UDP 49153 -> 6080");
  EXPECT_EQ(outer_header_text(""), "");
  for (const char* odd : {"45", "zz", "450", "ff00", "4500003c000040004099b7a9ac1000010a000001"}) {
    EXPECT_EQ(outer_header_text(odd), odd);
  }
}

TEST(ExplainText, ShowsWhatThereIsAndNothingElse) {
  const dataplane_api::ExplainRequest request{.protocol = "tcp",
                                              .source = "2001:db8::7",
                                              .source_port = 4242,
                                              .destination = "2001:db8:53::1",
                                              .destination_port = 80};
  dataplane_api::ExplainAnswer answer{.verdict = "drop_no_service"};
  const std::string bare = explain_text(request, answer, "pop.yaml");
  EXPECT_THAT(bare, HasSubstr("tcp [2001:db8::7]:4242 -> [2001:db8:53::1]:80, by pop.yaml"));
  EXPECT_THAT(bare, HasSubstr("drop_no_service: for a VIP, but no service has that protocol and port"));
  for (const char* name : {"slot", "owner", "next hop", "outer"}) EXPECT_THAT(bare, Not(HasSubstr(name)));
  answer = {.verdict = "forward",
            .decision = "connection_id",
            .service = "web6",
            .backend = "b1",
            .backend_address = "10.0.0.1",
            .slots = 251,
            .slot = 7,
            .owner = "b2",
            .next_hop = "02:00:00:00:00:01",
            .sent_bytes = 60};
  const std::string full = explain_text(request, answer, "the dataplane");
  EXPECT_THAT(full, HasSubstr("7 of 251"));
  EXPECT_THAT(full, HasSubstr("b1 at 10.0.0.1, named by the QUIC connection ID"));
  EXPECT_THAT(full, HasSubstr("02:00:00:00:00:01"));
}

TEST(ExplainText, ShowsWhatIsRemembered) {
  const dataplane_api::ExplainRequest request{.protocol = "tcp",
                                              .source = "192.0.2.7",
                                              .source_port = 4242,
                                              .destination = "198.51.100.1",
                                              .destination_port = 80};
  dataplane_api::ExplainAnswer answer{
      .verdict = "forward",
      .decision = "tracked",
      .service = "web4",
      .backend = "b1",
      .backend_address = "10.0.0.1",
      .owner = "b2",
      .next_hop = "02:00:00:00:00:01",
      .next_hop_way = "10.0.0.1 on eth1",
      .outer_header = "4500003c000040004004b7a9ac1000010a000001",
      .window = true,
      .previous_owner = "b1",
      .records = {{.worker = 3, .backend = "b1", .expires_ms = 60'000},
                  {.worker = 0, .left_over = true, .half_open = true, .expires_ms = 5000},
                  {.worker = 1, .backend = "b2", .closing = true, .expires_ms = 1000}}};
  const std::string page = explain_text(request, answer, "the dataplane");
  EXPECT_THAT(page, HasSubstr("  owner          b2\n"
                              "  previous owner b1\n"
                              "  record         worker 3: b1, for 60 s more\n"
                              "  record         left over, table 0: a backend that is dead, half-open, for 5 s more\n"
                              "  record         worker 1: b2, closing, for 1 s more\n"
                              "  backend        b1 at 10.0.0.1, by a record of the flow\n"
                              "  outer header   ipip 172.16.0.1 -> 10.0.0.1\n"
                              "  next hop       02:00:00:00:00:01, 10.0.0.1 on eth1\n"));
  answer.previous_owner = "";
  answer.decision = "previous_owner";
  answer.next_hop = "";
  answer.next_hop_way = "10.0.0.1 does not answer on eth1";
  const std::string changed = explain_text(request, answer, "the dataplane");
  EXPECT_THAT(changed, HasSubstr("  previous owner dead\n"));
  EXPECT_THAT(changed, HasSubstr("b1 at 10.0.0.1, previous owner of the flow's slot, which has changed of late\n"));
  EXPECT_THAT(changed, HasSubstr("  next hop       none: 10.0.0.1 does not answer on eth1\n"));
}

}  // namespace
}  // namespace anypop::cli
