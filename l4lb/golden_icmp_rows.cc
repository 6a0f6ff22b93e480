// SPDX-License-Identifier: Apache-2.0
// Rows about ICMP to a VIP: errors about flows, echo requests, the rest; and about fragments.
#include <fmt/format.h>

#include "golden_rows.h"

namespace anypop::l4lb {

using l4lb_testing::eth;
using l4lb_testing::Frame;
using l4lb_testing::IpFields;
using l4lb_testing::PacketBuilder;

namespace {

constexpr std::size_t kEthernetBytes = 14;
constexpr const char* kSender = "02:00:00:00:00:02";  // the builder's defaults
constexpr const char* kReceiver = "02:00:00:00:00:01";

struct Place {
  bool v4;
  const char* client;
  const char* vip;
  const char* other_vip;
  const char* router;
  std::size_t ip_bytes;
  std::uint8_t echo_request;
  std::uint8_t echo_reply;
  std::uint8_t unreachable;
};
constexpr Place kV4Place = {true, "192.0.2.10", "198.51.100.1", "198.51.100.2", "203.0.113.9", 20, 8, 0, 3};
constexpr Place kV6Place = {
    false, "2001:db8:c::10", "2001:db8:53::1", "2001:db8:53::2", "2001:db8:ffff::9", 40, 128, 129, 1};

PacketBuilder forwarded(const char* mac = kWebMac) { return eth({.destination = mac, .source = kPortMac}); }

// What a backend has sent to a client, as far as an error quotes it.
Frame quote(const PacketBuilder& packet, std::size_t ip_bytes) {
  const Frame frame = packet.build();
  const auto begin = frame.begin() + kEthernetBytes;
  return {begin, begin + static_cast<std::ptrdiff_t>(std::min(ip_bytes, frame.size() - kEthernetBytes))};
}
PacketBuilder answer(const Place& place, const char* from) {
  return eth().ip({.source = from, .destination = place.client});
}

Frame error(const Place& place, PacketBuilder start, std::uint8_t type, std::uint8_t code, const Frame& quoted) {
  return start.ip({.source = place.router, .destination = place.vip})
      .icmp({.type = type, .code = code, .rest = 1280})
      .raw(quoted);
}

void add_errors(const Place& place, std::vector<GoldenRow>& rows) {
  const auto add = [&](const std::string& name, std::uint8_t type, std::uint8_t code, const Frame& quoted,
                       Verdict verdict = Verdict::kForward, GoldenService service = kWeb) {
    GoldenRow row{"icmp, " + name, error(place, eth(), type, code, quoted), verdict};
    if (verdict == Verdict::kForward) {
      row.service = service;
      row.output = error(place, forwarded(service == kDns ? kDnsMac : kWebMac), type, code, quoted);
    }
    rows.push_back(row);
  };
  const PacketBuilder tcp = answer(place, place.vip).tcp({.source = 80, .destination = 40000}).payload(100);
  const PacketBuilder udp = answer(place, place.vip).udp({.source = 53, .destination = 40000}).payload(100);
  const std::size_t eight = place.ip_bytes + 8;  // all that RFC 792 asks for
  const std::vector<std::uint8_t> errors =
      place.v4 ? std::vector<std::uint8_t>{3, 11, 12} : std::vector<std::uint8_t>{1, 2, 3, 4};
  for (const std::uint8_t type : errors) {
    add(fmt::format("error {} about tcp", type), type, 0, quote(tcp, 1000));
    add(fmt::format("error {} about udp, 8 bytes", type), type, 1, quote(udp, eight), Verdict::kForward, kDns);
  }
  add("error that quotes no more than the ports", place.unreachable, 4, quote(tcp, place.ip_bytes + 4));
  const auto drop = [&](const std::string& name, std::uint8_t type, const Frame& quoted) {
    add(name, type, 0, quoted, Verdict::kDropIcmp);
  };
  drop("error that quotes half the ports", place.unreachable, quote(tcp, place.ip_bytes + 3));
  drop("error that quotes half a header", place.unreachable, quote(tcp, place.ip_bytes - 1));
  drop("error that quotes nothing", place.unreachable, {});
  drop("error about somebody else's packet", place.unreachable,
       quote(answer(place, place.other_vip).tcp({.source = 80}), 1000));
  drop("error about an echo reply", place.unreachable,
       quote(answer(place, place.vip).icmp({.type = place.echo_reply}), 1000));
  drop("error that quotes the wrong version", place.unreachable,
       quote(eth().ip({.source = place.vip, .destination = place.client, .version = 5}).tcp({.source = 80}), 1000));
  for (const std::uint8_t type : place.v4 ? std::vector<std::uint8_t>{0, 4, 5, 13, 17, 255}
                                          : std::vector<std::uint8_t>{0, 5, 129, 133, 134, 135, 136, 137, 255}) {
    drop(fmt::format("type {}", type), type, quote(tcp, 1000));
  }
  rows.push_back({"icmp, error about a port without service",
                  error(place, eth(), place.unreachable, 0,
                        quote(answer(place, place.vip).tcp({.source = 8080, .destination = 40000}), eight)),
                  Verdict::kDropNoService});
  rows.push_back(
      {"icmp, error too big for the tunnel is not answered",
       error(place, eth(), place.unreachable, 4,
             quote(answer(place, place.vip).tcp({.source = 4000, .destination = 40000}).payload(1420), 1500)),
       Verdict::kDropTooBig, kIpip4});
  rows.push_back(
      {"icmp header cut", eth().ip({.destination = place.vip}).icmp({}).cut_last(1), Verdict::kDropTruncated});
  rows.push_back(
      {"icmp header short",
       eth().ip({.destination = place.vip, .protocol = static_cast<std::uint8_t>(place.v4 ? 1 : 58)}).payload(7),
       Verdict::kDropTruncated});
}

void add_quoted_headers(const Place& place, std::vector<GoldenRow>& rows) {
  const auto add = [&](const std::string& name, const PacketBuilder& quoted, bool good) {
    const Frame inner = quote(quoted, 1000);
    GoldenRow row{"icmp, error about " + name, error(place, eth(), place.unreachable, 0, inner),
                  good ? Verdict::kForward : Verdict::kDropIcmp};
    if (good) row.service = kWeb;
    if (good) row.output = error(place, forwarded(), place.unreachable, 0, inner);
    rows.push_back(row);
  };
  const l4lb_testing::TcpFields tcp{.source = 80, .destination = 40000};
  if (place.v4) {
    const IpFields fields{.source = place.vip, .destination = place.client};
    IpFields options = fields, first = fields, later = fields, short_header = fields;
    options.option_bytes = 40;
    first.more_fragments = true;
    later.fragment_offset = 1;
    short_header.ihl = 4;
    add("a packet with options", eth().ip(options).tcp(tcp), true);
    add("a first fragment", eth().ip(first).tcp(tcp), true);
    add("a later fragment", eth().ip(later).tcp(tcp), false);
    add("a header of 4 words", eth().ip(short_header).tcp(tcp), false);
  } else {
    const PacketBuilder ip = answer(place, place.vip);
    add("a packet with options", PacketBuilder(ip).hop_by_hop().destination_options(24).tcp(tcp), true);
    add("a first fragment", PacketBuilder(ip).fragment({.more = true}).tcp(tcp), true);
    add("a later fragment", PacketBuilder(ip).fragment({.offset = 1}).tcp(tcp), false);
  }
}

PacketBuilder echo(const Place& place, const PacketBuilder& start, bool reply, IpFields fields = {}) {
  fields.source = reply ? place.vip : fields.source.empty() ? place.client : fields.source;
  fields.destination = reply ? place.client : place.vip;
  return PacketBuilder(start).ip(fields).icmp(
      {.type = reply ? place.echo_reply : place.echo_request, .rest = 0x12340001});
}

void add_echo(const Place& place, std::vector<GoldenRow>& rows) {
  const PacketBuilder back = eth({.destination = kSender, .source = kReceiver});
  const auto add = [&](const std::string& name, const Frame& request, const Frame& reply) {
    rows.push_back({"echo, " + name, request, Verdict::kReplyEcho, std::nullopt, reply});
  };
  add("56 bytes", echo(place, eth(), false).payload(56), echo(place, back, true).payload(56));
  add("odd size, padded", echo(place, eth(), false).payload(5).pad_to(100),
      echo(place, back, true).payload(5).pad_to(100));
  add("fresh TTL, same DSCP", echo(place, eth(), false, {.ttl = 3, .traffic_class = 0xb8}),
      echo(place, back, true, {.traffic_class = 0xb8}));
  add("tagged", echo(place, eth().vlan(7), false).payload(8),
      echo(place, eth({.destination = kSender, .source = kReceiver}).vlan(7), true).payload(8));
  const auto drop = [&](const std::string& name, const Frame& request) {
    rows.push_back({"echo, " + name, request, Verdict::kDropIcmp});
  };
  drop("from a group", echo(place, eth(), false, {.source = place.v4 ? "224.0.0.1" : "ff02::1"}));
  drop("from nobody", echo(place, eth(), false, {.source = place.v4 ? "0.0.0.0" : "::"}));
  drop("frame for a group", echo(place, eth({.destination = "33:33:00:00:00:01"}), false));
  if (place.v4) {
    drop("with options", echo(place, eth(), false, {.option_bytes = 4}));
  } else {
    drop("behind options", eth().ip({.destination = place.vip}).hop_by_hop().icmp({.type = 128}));
  }
}

// Fragments of one packet to tcp 80, by identification.
struct Fragments {
  const Place& place;
  std::uint32_t id;

  Frame first(const PacketBuilder& start, std::uint16_t port = 80) const {
    return with_fragment(start, 0, true).tcp({.destination = port}).payload(4);
  }
  Frame later(const PacketBuilder& start, bool more = false) const {
    return with_fragment(start, 3, more).payload(100);
  }
  // From 8 bytes on, where the first one has a TCP header of 20.
  Frame overlapping(const PacketBuilder& start) const { return with_fragment(start, 1, false).payload(100); }
  // A first one whose IP packet ends one byte before its TCP header does.
  Frame too_short() const {
    IpFields fields{.destination = place.vip};
    fields.length = static_cast<std::uint16_t>(place.v4 ? 39 : 8 + 19);
    fields.identification = static_cast<std::uint16_t>(id);
    fields.more_fragments = place.v4;
    PacketBuilder start = eth().ip(fields);
    if (!place.v4) start.fragment({.more = true, .identification = id});
    return start.tcp();
  }
  PacketBuilder with_fragment(const PacketBuilder& start, std::uint16_t offset, bool more) const {
    IpFields fields{.destination = place.vip};
    if (!place.v4) return PacketBuilder(start).ip(fields).fragment({offset, more, id});
    fields.protocol = 6;
    fields.identification = static_cast<std::uint16_t>(id);
    fields.fragment_offset = offset;
    fields.more_fragments = more;
    return PacketBuilder(start).ip(fields);
  }
};

void add_fragments(const Place& place, std::vector<GoldenRow>& rows) {
  const auto add = [&](const std::string& name, const Frame& input, Verdict verdict, std::optional<Frame> output,
                       std::vector<Frame> before) {
    GoldenRow row{"fragments, " + name, input, verdict};
    if (output) row.service = kWeb;
    row.output = std::move(output);
    row.before = std::move(before);
    rows.push_back(row);
  };
  const Fragments one{place, 1001}, two{place, 1002}, three{place, 1003}, four{place, 1004}, five{place, 1005};
  add("the first", one.first(eth()), Verdict::kForward, one.first(forwarded()), {});
  add("a later one follows", two.later(eth()), Verdict::kForward, two.later(forwarded()), {two.first(eth())});
  add("one in the middle follows", three.later(eth(), true), Verdict::kForward, three.later(forwarded(), true),
      {three.first(eth())});
  add("a later one without the first", four.later(eth()), Verdict::kDropFragmentOrphan, std::nullopt, {});
  add("another identification", five.later(eth()), Verdict::kDropFragmentOrphan, std::nullopt, {two.first(eth())});
  const Fragments nobody{place, 1006}, again{place, 1007}, tiny{place, 1008};
  rows.push_back({"fragments, a later one of a port without service",
                  nobody.later(eth()),
                  Verdict::kDropNoService,
                  std::nullopt,
                  std::nullopt,
                  {nobody.first(eth(), 8080)}});
  add("an identification used again", again.later(eth()), Verdict::kForward, again.later(forwarded()),
      {again.first(eth(), 8080), again.first(eth())});
  add("a first one too short for its header", tiny.too_short(), Verdict::kDropTruncated, std::nullopt, {});
  add("after a first one too short", tiny.later(eth()), Verdict::kDropFragmentOrphan, std::nullopt, {tiny.too_short()});
  // What overlaps is for the backend to judge (RFC 5722); here it can only follow, or be a first one of its own.
  const Fragments over{place, 1009}, other{place, 1010}, newest{place, 1011};
  add("a later one that overlaps the first", over.overlapping(eth()), Verdict::kForward, over.overlapping(forwarded()),
      {over.first(eth())});
  add("a second first one with other ports", other.first(eth()), Verdict::kForward, other.first(forwarded()),
      {other.first(eth(), 5000)});
  rows.push_back({"fragments, a later one after two first ones with other ports",
                  newest.later(eth()),
                  Verdict::kForward,
                  kRange,
                  newest.later(forwarded()),
                  {newest.first(eth()), newest.first(eth(), 5000)}});
  const IpFields echo_fields{.destination = place.vip, .more_fragments = place.v4};
  PacketBuilder echo_fragment = eth().ip(echo_fields);
  if (!place.v4) echo_fragment.fragment({.more = true});
  add("of an echo request", echo_fragment.icmp({.type = place.echo_request}).payload(8), Verdict::kDropFragment,
      std::nullopt, {});
}

}  // namespace

std::vector<GoldenRow> golden_icmp_rows(Family family) {
  const Place& place = family == Family::kV4 ? kV4Place : kV6Place;
  std::vector<GoldenRow> rows;
  add_errors(place, rows);
  add_quoted_headers(place, rows);
  add_echo(place, rows);
  add_fragments(place, rows);
  return rows;
}

}  // namespace anypop::l4lb
