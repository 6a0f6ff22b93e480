// SPDX-License-Identifier: Apache-2.0
// The little of DNS (RFC 1035, RFC 6891) that a probe needs: one question out, one answer judged. Pure, O(message).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/probe_config.h"
#include "healthmon/probe_result.h"

namespace anypop::healthmon {

// A query of class IN with EDNS (1232 bytes), recursion desired.
std::string dns_query(const DnsProbeConfig& probe, std::uint16_t id);

struct DnsVerdict {
  enum class Kind { kNotOurs, kTruncated, kJudged };
  Kind kind = Kind::kNotOurs;  // not ours: no answer to this very question; wait for another
  ProbeResult result;          // when judged
};
// `message` is hostile: any length, any content. A record that cannot be read is no record.
DnsVerdict check_dns_answer(const DnsProbeConfig& probe, std::uint16_t id, std::string_view message);

}  // namespace anypop::healthmon
