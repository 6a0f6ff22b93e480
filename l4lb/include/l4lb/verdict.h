// SPDX-License-Identifier: Apache-2.0
// What the dataplane did with a packet. Every way out of the engine is one of these, and each has one counter.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace anypop::l4lb {

enum class Verdict : std::uint8_t {
  kForward,                // rewritten for a backend; send it
  kPassNotVip,             // for no VIP of ours: the kernel's, where the port can hand it over
  kDropTruncated,          // ends before its headers do
  kDropMalformed,          // a header contradicts itself (version, header length, total length)
  kDropUnsupported,        // for a VIP, but neither TCP nor UDP
  kDropFragment,           // a fragment for a VIP
  kDropNoService,          // for a VIP, but no service has that protocol and port
  kDropNoBackend,          // no backend of the service is healthy
  kDropNextHopUnresolved,  // the backend's MAC is not known
};

struct VerdictInfo {
  Verdict verdict;
  std::string_view name;     // in metrics, messages and documents
  std::string_view meaning;  // one phrase for people
};

// In the order of the enumeration.
inline constexpr std::array kVerdicts = {
    VerdictInfo{Verdict::kForward, "forward", "sent to a backend"},
    VerdictInfo{Verdict::kPassNotVip, "pass_not_vip", "not for a VIP, left to the kernel"},
    VerdictInfo{Verdict::kDropTruncated, "drop_truncated", "ends before its headers do"},
    VerdictInfo{Verdict::kDropMalformed, "drop_malformed", "a header contradicts itself"},
    VerdictInfo{Verdict::kDropUnsupported, "drop_unsupported", "for a VIP, but neither TCP nor UDP"},
    VerdictInfo{Verdict::kDropFragment, "drop_fragment", "a fragment for a VIP"},
    VerdictInfo{Verdict::kDropNoService, "drop_no_service", "for a VIP, but no service has that protocol and port"},
    VerdictInfo{Verdict::kDropNoBackend, "drop_no_backend", "no backend of the service is healthy"},
    VerdictInfo{Verdict::kDropNextHopUnresolved, "drop_next_hop_unresolved", "the backend's MAC is not known"},
};
inline constexpr std::size_t kVerdictCount = kVerdicts.size();

constexpr std::string_view verdict_name(Verdict verdict) { return kVerdicts[static_cast<std::size_t>(verdict)].name; }

}  // namespace anypop::l4lb
