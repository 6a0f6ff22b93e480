// SPDX-License-Identifier: Apache-2.0
// Anything at all as a capture: no crash, and every packet that was read has one verdict.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "anypop_replay/replay.h"
#include "anypop_replay/report.h"

namespace anypop::replay {
namespace {

PopConfig make_config() {
  constexpr std::string_view kText = R"(
pop: fuzz
dataplane: {ports: [{name: up, af_xdp: eth1}], flow_records: 1024, hash_key: 00000000000000000000000000000000}
services:
- {name: web4, vip: 198.51.100.1, protocol: tcp, port: 80, table_size: 13, probe: {type: tcp},
   backends: [{name: b1, address: 10.0.0.1}, {name: b2, address: 10.0.0.2}]}
- {name: dns4, vip: 198.51.100.1, protocol: udp, port: any, table_size: 13, probe: {type: tcp, port: 1}, forwarding: gue,
   tunnel_source: ["2001:db8:f::/64"], backends: [{name: b1, address: "2001:db8:a::1"}]}
- {name: web6, vip: "2001:db8:53::1", protocol: tcp, port: 80, table_size: 13, probe: {type: tcp},
   backends: [{name: b1, address: "2001:db8:a::1"}]}
announcements: [{name: all, prefixes: [198.51.100.0/24, "2001:db8:53::/48"]}]
)";
  auto config = parse_config(kText, "fuzz.yaml");
  if (!config.ok()) std::abort();
  return *std::move(config);
}

void replay_bytes(const PopConfig& config, const std::uint8_t* data, std::size_t bytes) {
  const int file = ::memfd_create("capture", MFD_CLOEXEC);
  if (file < 0 || ::write(file, data, bytes) != static_cast<ssize_t>(bytes)) std::abort();
  if (auto capture = open_capture(fmt::format("/proc/self/fd/{}", file)); capture.ok()) {
    auto out = CaptureWriter::create("/dev/null");
    Replay replay(config, {}, {{.after_ms = 1000, .backend = {0, 0}}});
    std::uint64_t lines = 0;
    const auto each = [&](const Replayed& packet) { lines += packet_json(config, packet).empty() ? 0U : 1U; };
    (void)replay.run(**capture, {.out = &*out, .punt = &*out, .each = each});
    std::uint64_t counted = 0;
    for (const l4lb::VerdictInfo& info : l4lb::kVerdicts) counted += replay.counters().verdict(info.verdict);
    if (counted != lines || counted != replay.summary().packets) std::abort();
    if (summary_text(config, replay, {}).empty()) std::abort();
  }
  ::close(file);
}

}  // namespace
}  // namespace anypop::replay

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  static const anypop::PopConfig config = anypop::replay::make_config();
  anypop::replay::replay_bytes(config, data, bytes);
  return 0;
}
