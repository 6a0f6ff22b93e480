// SPDX-License-Identifier: Apache-2.0
// The behaviour of the engine as a table of packets, and the small PoP that they are sent to. Shared by the golden
// test, the comparison with the reference engine and the fuzzer.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "l4lb/snapshot.h"
#include "l4lb/verdict.h"
#include "l4lb_testing/packet_builder.h"

namespace anypop::l4lb {

// Services of the golden PoP: these on 198.51.100.1, then the same on 2001:db8:53::1.
enum GoldenService : std::uint16_t {
  kWeb,         // tcp 80: one backend, kWebMac
  kDns,         // udp 53: one backend, kDnsMac
  kSpread,      // tcp 443: three backends with weights 2, 1, 1
  kDead,        // tcp 81: no healthy backend
  kUnresolved,  // tcp 82: one backend, no next hop
  kOther,       // tcp 80 on 198.51.100.2 and 2001:db8:53::2: one backend, kWebMac
  // tcp 4000 and on: one backend each, kTunnelMac, at kBackend4 or kBackend6 as the name says
  kIpip4,  // from 172.16.0.0/16
  kIpip6,  // from 2001:db8:f::/64
  kGre4,   // these from kTunnel4 or kTunnel6
  kGre6,
  kGue4,
  kGue6,
  kGue6Zero,  // without UDP checksum, port 16080
  kSmallMtu,  // ipip to kBackend4, MTU 1400
  // On 198.51.100.1 and 2001:db8:53::1 again
  kRange,  // tcp 5000-5009: kWebMac
  kAny,    // udp any: kDnsMac
  // On 203.0.113.0/25 and 2001:db8:54::/64
  kPrefix,       // tcp 80: kWebMac
  kPrefixRange,  // tcp 90-99: kDnsMac
  // On 203.0.113.7 and 2001:db8:54::7
  kInside,  // tcp 80: kDnsMac
  // As kSpread, by source and by its network of 24 or 56 bits
  kBySource,   // tcp 6000
  kByNetwork,  // tcp 6001
  kQuic,       // udp 443: backends as in GoldenQuicBackend
  kGoldenServices,
};
// Server IDs aa01, aa02, aa03 in configuration 0, and bb0001, bb0002, bb0003 in 1.
enum GoldenQuicBackend : std::uint16_t {
  kServing,   // kWebMac; every flow's
  kDraining,  // kDnsMac
  kGone,      // unhealthy
};
inline constexpr const char* kPortMac = "02:00:00:00:ff:01";
inline constexpr const char* kWebMac = "02:00:00:00:00:11";
inline constexpr const char* kTunnelMac = "02:00:00:00:00:13";
inline constexpr const char* kDnsMac = "02:00:00:00:00:12";
inline constexpr std::array<std::uint8_t, 16> kGoldenKey = {0x8f, 0x0c, 0x1d, 0x2e, 0x3b, 0x4a, 0x59, 0x68,
                                                            0x77, 0x86, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1, 0xf0};

std::vector<ServiceConfig> golden_services();
EngineConfig golden_engine();  // with limits that no test of one packet reaches
SnapshotInput golden_input();

struct GoldenRow {
  std::string name;
  l4lb_testing::Frame input;
  Verdict verdict;
  std::optional<GoldenService> service = std::nullopt;  // once known
  // What leaves. What does not leave must be as it came.
  std::optional<l4lb_testing::Frame> output = std::nullopt;
  std::vector<l4lb_testing::Frame> before = {};  // packets that come first
  std::uint16_t backend = 0;                     // if the service has one
  bool by_connection_id = false;
};
std::vector<GoldenRow> golden_rows(Family family);
// Parts of it, in files of their own.
std::vector<GoldenRow> golden_tunnel_rows(Family family);
std::vector<GoldenRow> golden_icmp_rows(Family family);
std::vector<GoldenRow> golden_quic_rows(Family family);
// Makes kQuic of a service with three backends.
void make_golden_quic(ServiceConfig& service);

}  // namespace anypop::l4lb
