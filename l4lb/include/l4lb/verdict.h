// SPDX-License-Identifier: Apache-2.0
// What the dataplane did with a packet. Every way out of the engine is one of these, and each has one counter, in
// packets. Constants; any thread.
//
// The ICMP answers are those of RFC 1191 section 4 ("fragmentation needed", with the MTU), RFC 4443 section 3.2
// ("packet too big"), RFC 792 and RFC 4443 section 4.2 (echo). None answers what RFC 1122 section 3.2.2 and RFC 4443
// section 2.4 (e) forbid to answer, and they are limited (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 (f)). IPv6
// extension headers are walked as in RFC 8200 section 4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace anypop::l4lb {

enum class Verdict : std::uint8_t {
  // These leave.
  kForward,       // rewritten for a backend; send it
  kForwardProbe,  // the same with a probe of the monitor's, for the backend that it names
  kReplyTooBig,   // turned into an ICMP error for its sender; send it
  kReplyEcho,     // an echo request, turned into its reply; send it
  // These do not.
  kPassNotVip,             // for no VIP of ours: the kernel's, where the port can hand it over
  kDropTruncated,          // ends before its headers do
  kDropMalformed,          // a header contradicts itself (version, header length, total length)
  kDropUnsupported,        // for a VIP, but neither TCP, UDP nor ICMP
  kDropIcmp,               // for a VIP, but neither an error about a flow nor an echo request to be answered
  kDropFragment,           // for a VIP, but fragments are not followed, or not of ICMP
  kDropFragmentOrphan,     // a fragment for a VIP without the first one, or long after it
  kDropNoService,          // for a VIP, but no service has that protocol and port
  kDropNoBackend,          // no backend of the service is healthy
  kDropNextHopUnresolved,  // the backend's MAC is not known
  kDropTooBig,             // for the tunnel, and no ICMP error may answer it
  kDropReplyLimit,         // an answer was due, but there have been too many of late
  kDropNoHeadroom,         // the caller left no room for what belongs before it
  kDropReservedSource,     // for a VIP, from an address that is the monitor's, and not from the monitor
  kDropProbeUnknown,       // from the monitor, but its source address names no backend of the service
};

struct VerdictInfo {
  Verdict verdict;
  std::string_view name;     // in metrics, messages and documents
  std::string_view meaning;  // one phrase for people
};

// In the order of the enumeration.
inline constexpr std::array kVerdicts = {
    VerdictInfo{Verdict::kForward, "forward", "sent to a backend"},
    VerdictInfo{Verdict::kForwardProbe, "forward_probe", "a probe of the monitor's, sent to the backend that it names"},
    VerdictInfo{Verdict::kReplyTooBig, "reply_too_big", "too big for the tunnel, its sender is told by ICMP"},
    VerdictInfo{Verdict::kReplyEcho, "reply_echo", "an echo request, answered"},
    VerdictInfo{Verdict::kPassNotVip, "pass_not_vip", "not for a VIP, left to the kernel"},
    VerdictInfo{Verdict::kDropTruncated, "drop_truncated", "ends before its headers do"},
    VerdictInfo{Verdict::kDropMalformed, "drop_malformed", "a header contradicts itself"},
    VerdictInfo{Verdict::kDropUnsupported, "drop_unsupported", "for a VIP, but neither TCP, UDP nor ICMP"},
    VerdictInfo{Verdict::kDropIcmp, "drop_icmp", "ICMP, neither about a flow nor to be answered"},
    VerdictInfo{Verdict::kDropFragment, "drop_fragment", "a fragment, of ICMP or not to be followed"},
    VerdictInfo{Verdict::kDropFragmentOrphan, "drop_fragment_orphan", "a fragment without its first one"},
    VerdictInfo{Verdict::kDropNoService, "drop_no_service", "for a VIP, but no service has that protocol and port"},
    VerdictInfo{Verdict::kDropNoBackend, "drop_no_backend", "no backend of the service is healthy"},
    VerdictInfo{Verdict::kDropNextHopUnresolved, "drop_next_hop_unresolved", "the backend's MAC is not known"},
    VerdictInfo{Verdict::kDropTooBig, "drop_too_big", "too big for the tunnel, and no ICMP error may answer it"},
    VerdictInfo{Verdict::kDropReplyLimit, "drop_reply_limit", "an ICMP answer was due, but over the rate limit"},
    VerdictInfo{Verdict::kDropNoHeadroom, "drop_no_headroom", "no room before the frame for the outer header"},
    VerdictInfo{Verdict::kDropReservedSource, "drop_reserved_source", "with a source address kept for probes"},
    VerdictInfo{Verdict::kDropProbeUnknown, "drop_probe_unknown", "a probe whose source names no backend"},
};
inline constexpr std::size_t kVerdictCount = kVerdicts.size();

// Does the frame leave by the port that it came in by? The others are freed, or handed to the kernel.
constexpr bool leaves(Verdict verdict) { return verdict <= Verdict::kReplyEcho; }

constexpr std::string_view verdict_name(Verdict verdict) { return kVerdicts[static_cast<std::size_t>(verdict)].name; }

}  // namespace anypop::l4lb
