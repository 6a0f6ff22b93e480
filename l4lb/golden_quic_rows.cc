// SPDX-License-Identifier: Apache-2.0
// Rows about QUIC: which datagrams go to the server that their connection ID names, and which follow their flow.
#include <cstdint>
#include <utility>

#include "golden_rows.h"

namespace anypop::l4lb {

using l4lb_testing::eth;
using l4lb_testing::Frame;
using l4lb_testing::IpFields;
using l4lb_testing::PacketBuilder;
using l4lb_testing::UdpFields;

namespace {

using Bytes = std::vector<unsigned>;

Frame to_frame(const Bytes& bytes) {
  Frame frame;
  for (const unsigned byte : bytes) frame.push_back(static_cast<std::byte>(byte));
  return frame;
}

// `type`: of version 1, 0 is Initial.
Frame long_header(const Bytes& id, unsigned type = 2, const Bytes& version = {0, 0, 0, 1}) {
  Bytes bytes = {0xc0 | type << 4U};
  bytes.insert(bytes.end(), version.begin(), version.end());
  bytes.push_back(static_cast<unsigned>(id.size()));
  bytes.insert(bytes.end(), id.begin(), id.end());
  bytes.insert(bytes.end(), {4, 0xee, 0xee, 0xee, 0xee, 0x41});  // source ID, and then what is protected
  bytes.resize(type == 0 ? 1200 : 60);
  return to_frame(bytes);
}

Frame short_header(const Bytes& id, std::size_t more_bytes = 20) {
  Bytes bytes = {0x4f};
  bytes.insert(bytes.end(), id.begin(), id.end());
  bytes.resize(bytes.size() + more_bytes, 0xdd);
  return to_frame(bytes);
}

class Rows {
 public:
  explicit Rows(Family family)
      : vip_(family == Family::kV4 ? "198.51.100.1" : "2001:db8:53::1"),
        elsewhere_(family == Family::kV4 ? "203.0.113.99" : "2001:db8:dead::1"),
        v4_(family == Family::kV4) {}

  void add(const std::string& name, const Frame& datagram, GoldenQuicBackend backend, bool by_connection_id) {
    add(name, datagram, backend, by_connection_id, {.destination = vip_}, {.destination = 443});
  }
  void add(const std::string& name, const Frame& datagram, GoldenQuicBackend backend, bool by_connection_id,
           const IpFields& ip, const UdpFields& udp) {
    const auto packet = [&](PacketBuilder start) { return start.ip(ip).udp(udp).raw(datagram).build(); };
    const char* mac = backend == kServing ? kWebMac : kDnsMac;
    GoldenRow row{"quic, " + name, packet(eth()), Verdict::kForward, kQuic,
                  packet(eth({.destination = mac, .source = kPortMac}))};
    row.backend = backend;
    row.by_connection_id = by_connection_id;
    rows.push_back(row);
  }

  void add_by_id() {
    add("short header of a serving one", short_header({0x05, 0xaa, 0x01, 1, 2, 3, 4}), kServing, true);
    add("short header of a draining one", short_header({0x05, 0xaa, 0x02, 1, 2, 3, 4}), kDraining, true);
    add("handshake", long_header({0x1f, 0xaa, 0x02, 1, 2, 3, 4}), kDraining, true);
    add("later initial", long_header({0x00, 0xaa, 0x02, 1, 2, 3, 4}, 0), kDraining, true);
    add("version 2", long_header({0x00, 0xaa, 0x02, 1, 2, 3, 4}, 2, {0x6b, 0x33, 0x43, 0xcf}), kDraining, true);
    add("a version to come", long_header({0x00, 0xaa, 0x02, 1, 2, 3, 4}, 1, {9, 9, 9, 9}), kDraining, true);
    add("the next configuration", short_header({0x20, 0xbb, 0x00, 0x02, 1, 2, 3, 4}), kDraining, true);
    add("longest ID", long_header({0x00, 0xaa, 0x02, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}),
        kDraining, true);
    add("shortest datagram", short_header({0x00, 0xaa, 0x02, 1, 2, 3, 4}, 0), kDraining, true);
    // The client has moved.
    add("from elsewhere", short_header({0x05, 0xaa, 0x02, 1, 2, 3, 4}), kDraining, true,
        {.source = elsewhere_, .destination = vip_}, {.source = 1, .destination = 443});
    add("with options", short_header({0x05, 0xaa, 0x02, 1, 2, 3, 4}), kDraining, true,
        {.destination = vip_, .option_bytes = 8}, {.destination = 443});
  }

  void add_by_flow() {
    const auto flow = [&](const std::string& name, const Frame& datagram) { add(name, datagram, kServing, false); };
    flow("first initial, random ID", long_header({0x7b, 0x99, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc}, 0));
    flow("a dead one's", short_header({0x05, 0xaa, 0x03, 1, 2, 3, 4}));
    flow("nobody's", short_header({0x05, 0xaa, 0x04, 1, 2, 3, 4}));
    flow("another configuration's ID", short_header({0x00, 0xbb, 0x00, 0x02, 1, 2, 3, 4}));
    flow("unknown configuration", short_header({0x40, 0xaa, 0x02, 1, 2, 3, 4}));
    flow("unroutable", short_header({0xe0, 0xaa, 0x02, 1, 2, 3, 4}));
    flow("ID too short", long_header({0x00, 0xaa, 0x02, 1, 2, 3}));
    flow("no ID", long_header({}));
    flow("datagram shorter than an ID", short_header({0x00, 0xaa, 0x02, 1, 2, 3}, 0));
    flow("long header cut", to_frame({0xc0, 0, 0, 0, 1}));
    flow("long header, ID cut", to_frame({0xc0, 0, 0, 0, 1, 7, 0x00, 0xaa, 0x02, 1, 2, 3}));
    flow("empty datagram", {});
    Frame padding = eth().ip({.destination = vip_}).udp({.destination = 443}).raw(to_frame({0x40, 0x00, 0xaa}));
    padding.resize(200);
    GoldenRow padded{"quic, ID in the padding", padding, Verdict::kForward, kQuic,
                     l4lb_testing::with_macs(padding, kWebMac, kPortMac)};
    rows.push_back(padded);
  }

  void add_followers() {
    const Frame datagram = short_header({0x05, 0xaa, 0x02, 1, 2, 3, 4}, 33);
    const auto fragment = [&](PacketBuilder start) {
      if (v4_) return start.ip({.destination = vip_, .more_fragments = true}).udp({.destination = 443}).raw(datagram);
      return start.ip({.destination = vip_}).fragment({.more = true}).udp({.destination = 443}).raw(datagram);
    };
    rows.push_back({"quic, first fragment", fragment(eth()), Verdict::kForward, kQuic,
                    fragment(eth({.destination = kWebMac, .source = kPortMac}))});
    // About a packet that the server of the ID has sent.
    PacketBuilder quoted = eth().ip({.source = vip_, .destination = v4_ ? "192.0.2.10" : "2001:db8:c::10"});
    const Frame sent = quoted.udp({.source = 443, .destination = 40000}).raw(datagram);
    const auto error = [&](PacketBuilder start) {
      return start.ip({.destination = vip_})
          .icmp({.type = static_cast<std::uint8_t>(v4_ ? 3 : 2), .code = static_cast<std::uint8_t>(v4_ ? 4 : 0)})
          .raw(std::span(sent).subspan(14));
    };
    rows.push_back({"quic, icmp error", error(eth()), Verdict::kForward, kQuic,
                    error(eth({.destination = kWebMac, .source = kPortMac}))});
  }

  std::vector<GoldenRow> rows;

 private:
  const char* vip_;
  const char* elsewhere_;
  bool v4_;
};

}  // namespace

void make_golden_quic(ServiceConfig& service) {
  service.quic = {{.config_id = 0, .server_id_bytes = 2}, {.config_id = 1, .server_id_bytes = 3}};
  service.backends[kServing].server_ids = {std::string("\xaa\x01", 2), std::string("\xbb\x00\x01", 3)};
  service.backends[kDraining].server_ids = {std::string("\xaa\x02", 2), std::string("\xbb\x00\x02", 3)};
  service.backends[kGone].server_ids = {std::string("\xaa\x03", 2), std::string("\xbb\x00\x03", 3)};
}

std::vector<GoldenRow> golden_quic_rows(Family family) {
  Rows made(family);
  made.add_by_id();
  made.add_by_flow();
  made.add_followers();
  return std::move(made.rows);
}

}  // namespace anypop::l4lb
