// SPDX-License-Identifier: Apache-2.0
// The kernel's neighbour messages and the table made of them.
#include <cstring>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "dataplane/neighbour_message.h"
#include "dataplane/neighbour_table.h"

namespace anypop::dataplane {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Bytes = std::vector<std::byte>;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
const MacAddress kMac({2, 0, 0, 0, 0, 0x11});

void append(Bytes& bytes, const void* data, std::size_t size) {
  const std::size_t at = bytes.size();
  bytes.resize(at + NLMSG_ALIGN(size));
  std::memcpy(bytes.data() + at, data, size);
}

void append_attribute(Bytes& bytes, std::uint16_t type, absl::Span<const std::uint8_t> value) {
  const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), type};
  Bytes attribute(sizeof header + value.size());
  std::memcpy(attribute.data(), &header, sizeof header);
  std::memcpy(attribute.data() + sizeof header, value.data(), value.size());
  append(bytes, attribute.data(), attribute.size());
}

struct Neighbour {
  std::uint16_t type = RTM_NEWNEIGH;
  std::uint16_t state = NUD_REACHABLE;
  std::string_view address = "10.1.0.11";
  std::optional<MacAddress> mac = kMac;
  std::uint8_t flags = 0;
};

Bytes encode(const Neighbour& neighbour) {
  const IpAddress address = ip(neighbour.address);
  ndmsg body{};
  body.ndm_family = address.family() == Family::kV4 ? AF_INET : AF_INET6;
  body.ndm_ifindex = 3;
  body.ndm_state = neighbour.state;
  body.ndm_flags = neighbour.flags;
  Bytes payload;
  append(payload, &body, sizeof body);
  append_attribute(payload, NDA_DST, address.bytes());
  if (neighbour.mac) append_attribute(payload, NDA_LLADDR, neighbour.mac->bytes());
  const nlmsghdr header{static_cast<std::uint32_t>(sizeof(nlmsghdr) + payload.size()), neighbour.type, 0, 1, 0};
  Bytes message;
  append(message, &header, sizeof header);
  message.insert(message.end(), payload.begin(), payload.end());
  return message;
}

Bytes control_message(std::uint16_t type, const void* body, std::size_t size) {
  const nlmsghdr header{static_cast<std::uint32_t>(sizeof(nlmsghdr) + size), type, 0, 1, 0};
  Bytes message;
  append(message, &header, sizeof header);
  append(message, body, size);
  return message;
}

NeighbourUpdate only_update(const Bytes& message) {
  const NeighbourMessages found = parse_neighbour_messages(message);
  EXPECT_FALSE(found.end.malformed);
  EXPECT_EQ(found.updates.size(), 1U);
  return found.updates.empty() ? NeighbourUpdate{} : found.updates.front();
}

// What Linux 6.18 announces for "ip neigh replace 10.1.0.11 lladdr 02:00:00:00:00:11 nud reachable", recorded.
constexpr std::array<std::uint8_t, 76> kRecorded = {
    0x4c, 0x00, 0x00, 0x00, 0x1c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xa3, 0x0c, 0x00, 0x00,  // nlmsghdr
    0x02, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x01,                          // ndmsg
    0x08, 0x00, 0x01, 0x00, 0x0a, 0x01, 0x00, 0x0b,                                                  // NDA_DST
    0x0a, 0x00, 0x02, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x11, 0x00, 0x00,                          // NDA_LLADDR
    0x08, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00,                                                  // NDA_PROBES
    0x14, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // NDA_CACHEINFO
    0x02, 0x00, 0x00, 0x00};

TEST(NeighbourMessage, ReadsARecordedMessage) {
  const NeighbourMessages found = parse_neighbour_messages(std::as_bytes(std::span(kRecorded)));
  EXPECT_FALSE(found.end.malformed);
  EXPECT_FALSE(found.end.done);
  EXPECT_THAT(found.updates, ElementsAre(NeighbourUpdate{3, ip("10.1.0.11"), kMac, true}));
}

struct StateCase {
  std::uint16_t state;
  bool resolved;
  bool confirmed;
};

class NeighbourStates : public testing::TestWithParam<StateCase> {};

TEST_P(NeighbourStates, DecideWhetherThereIsAMacToSendTo) {
  for (const std::string_view address : {"10.1.0.11", "2001:db8:a::11"}) {
    const auto update = only_update(encode({.state = GetParam().state, .address = address}));
    EXPECT_EQ(update.address, ip(address));
    EXPECT_EQ(update.mac.has_value(), GetParam().resolved);
    EXPECT_EQ(update.confirmed, GetParam().confirmed);
  }
}

INSTANTIATE_TEST_SUITE_P(All, NeighbourStates,
                         testing::Values(StateCase{NUD_REACHABLE, true, true}, StateCase{NUD_STALE, true, false},
                                         StateCase{NUD_DELAY, true, true}, StateCase{NUD_PROBE, true, true},
                                         StateCase{NUD_PERMANENT, true, true}, StateCase{NUD_NOARP, true, true},
                                         StateCase{NUD_INCOMPLETE, false, false}, StateCase{NUD_FAILED, false, false},
                                         StateCase{NUD_NONE, false, false}));

TEST(NeighbourMessage, ADeletedNeighbourIsUnresolved) {
  EXPECT_EQ(only_update(encode({.type = RTM_DELNEIGH})).mac, std::nullopt);
}

TEST(NeighbourMessage, AReachableNeighbourWithoutAMacIsUnresolved) {
  EXPECT_EQ(only_update(encode({.mac = std::nullopt})).mac, std::nullopt);
}

TEST(NeighbourMessage, SkipsProxiesAndOtherTypes) {
  EXPECT_THAT(parse_neighbour_messages(encode({.flags = NTF_PROXY})).updates, IsEmpty());
  EXPECT_THAT(parse_neighbour_messages(encode({.type = RTM_NEWROUTE})).updates, IsEmpty());
}

TEST(NeighbourMessage, ReadsADumpToItsEnd) {
  Bytes datagram = encode({.address = "10.1.0.11"});
  const Bytes second = encode({.address = "10.1.0.12", .mac = std::nullopt});
  const std::uint32_t zero = 0;
  const Bytes done = control_message(NLMSG_DONE, &zero, sizeof zero);
  datagram.insert(datagram.end(), second.begin(), second.end());
  datagram.insert(datagram.end(), done.begin(), done.end());
  const NeighbourMessages found = parse_neighbour_messages(datagram);
  EXPECT_TRUE(found.end.done);
  ASSERT_EQ(found.updates.size(), 2U);
  EXPECT_EQ(found.updates[1].address, ip("10.1.0.12"));
}

TEST(NeighbourMessage, ReportsTheKernelsError) {
  nlmsgerr error{};
  error.error = -EPERM;
  EXPECT_EQ(parse_neighbour_messages(control_message(NLMSG_ERROR, &error, sizeof error)).end.error, EPERM);
}

TEST(NeighbourMessage, EveryTruncationIsSeenOrHarmless) {
  const Bytes whole = encode({});
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));  // its own memory, for ASan
    const NeighbourMessages found = parse_neighbour_messages(cut);
    EXPECT_TRUE(found.end.malformed) << size;
    EXPECT_THAT(found.updates, IsEmpty()) << size;
  }
}

TEST(NeighbourMessage, AnAttributeLongerThanItsMessageIsMalformed) {
  Bytes message = encode({});
  const std::uint16_t huge = 0xffff;
  std::memcpy(message.data() + sizeof(nlmsghdr) + sizeof(ndmsg), &huge, sizeof huge);
  EXPECT_TRUE(parse_neighbour_messages(message).end.malformed);
}

TEST(NeighbourMessage, NoiseNeitherCrashesNorLoops) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    Bytes message = encode({.address = round % 2 == 0 ? "10.1.0.11" : "2001:db8::1"});
    for (auto changes = 1 + random() % 6; changes > 0; --changes) {
      message[random() % message.size()] = static_cast<std::byte>(random());
    }
    message.resize(random() % (message.size() + 1));
    EXPECT_LE(parse_neighbour_messages(message).updates.size(), message.size() / sizeof(nlmsghdr));
  }
}

TEST(NeighbourMessage, AsksTheKernelAsAPacketWould) {
  const Bytes request = neighbour_resolve_request(3, ip("2001:db8:a::11"), 9);
  nlmsghdr header{};
  ndmsg body{};
  std::memcpy(&header, request.data(), sizeof header);
  std::memcpy(&body, request.data() + sizeof header, sizeof body);
  EXPECT_EQ(header.nlmsg_len, request.size());
  EXPECT_EQ(header.nlmsg_type, RTM_NEWNEIGH);
  EXPECT_EQ(header.nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE);
  EXPECT_EQ(body.ndm_flags, NTF_USE);
  EXPECT_EQ(only_update(request).address, ip("2001:db8:a::11"));
}

TEST(NeighbourTable, FollowsOnlyWhatItWasTold) {
  NeighbourTable table({3}, {{ip("10.1.0.11"), true}});
  EXPECT_FALSE(table.apply({3, ip("10.1.0.99"), kMac, true}));
  EXPECT_FALSE(table.apply({4, ip("10.1.0.11"), kMac, true})) << "another interface";
  EXPECT_EQ(table.mac(ip("10.1.0.11")), std::nullopt);
  EXPECT_TRUE(table.apply({3, ip("10.1.0.11"), kMac, true}));
  EXPECT_EQ(table.mac(ip("10.1.0.11")), kMac);
}

TEST(NeighbourTable, AgeingIsNoChangeAndLossIs) {
  NeighbourTable table({3}, {{ip("10.1.0.11"), true}});
  EXPECT_EQ(table.unconfirmed().size(), 1U);
  table.apply({3, ip("10.1.0.11"), kMac, true});
  EXPECT_THAT(table.unconfirmed(), IsEmpty());
  EXPECT_FALSE(table.apply({3, ip("10.1.0.11"), kMac, false}));
  EXPECT_EQ(table.unconfirmed().size(), 1U);
  EXPECT_TRUE(table.apply({3, ip("10.1.0.11"), std::nullopt, false}));
  EXPECT_EQ(table.mac(ip("10.1.0.11")), std::nullopt);
}

TEST(NeighbourTable, ADumpForgetsWhatItDoesNotMention) {
  NeighbourTable table({3}, {{ip("10.1.0.11"), true}, {ip("10.1.0.12"), true}});
  table.apply({3, ip("10.1.0.11"), kMac, true});
  const std::vector<NeighbourUpdate> dump = {{3, ip("10.1.0.12"), kMac, true}};
  EXPECT_TRUE(table.replace(dump));
  EXPECT_EQ(table.mac(ip("10.1.0.11")), std::nullopt);
  EXPECT_EQ(table.mac(ip("10.1.0.12")), kMac);
  EXPECT_FALSE(table.replace(dump));
}

TEST(NeighbourTable, TheFirstInterfaceThatKnowsWins) {
  NeighbourTable table({3, 4}, {{ip("10.1.0.11"), true}});
  const MacAddress other({2, 0, 0, 0, 0, 0x22});
  table.apply({4, ip("10.1.0.11"), other, true});
  EXPECT_EQ(table.mac(ip("10.1.0.11")), other);
  table.apply({3, ip("10.1.0.11"), kMac, true});
  EXPECT_EQ(table.mac(ip("10.1.0.11")), kMac);
}

TEST(NeighbourTable, SaysBehindWhichInterfacesANextHopIs) {
  NeighbourTable table({3, 4}, {{ip("10.1.0.11"), true}});
  EXPECT_EQ(table.next_hop(ip("10.1.0.11")), std::nullopt);
  table.apply({4, ip("10.1.0.11"), kMac, true});
  EXPECT_EQ(table.next_hop(ip("10.1.0.11")), (NeighbourTable::NextHop{kMac, {4}}));
  table.apply({3, ip("10.1.0.11"), kMac, true});
  EXPECT_EQ(table.next_hop(ip("10.1.0.11")), (NeighbourTable::NextHop{kMac, {3, 4}})) << "two uplinks to one link";
  table.apply({4, ip("10.1.0.11"), MacAddress({2, 0, 0, 0, 0, 0x22}), true});
  EXPECT_EQ(table.next_hop(ip("10.1.0.11")), (NeighbourTable::NextHop{kMac, {3}})) << "somebody else's there";
}

}  // namespace
}  // namespace anypop::dataplane
