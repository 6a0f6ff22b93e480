// SPDX-License-Identifier: Apache-2.0
// What `anypop explain` asks and prints. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "base/address.h"
#include "dataplane_api/messages.h"

namespace anypop::cli {

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
};
// 198.51.100.7:4242 or [2001:db8::7]:4242. InvalidArgument says what was found.
absl::StatusOr<Endpoint> parse_endpoint(std::string_view text);

// An outer header as one reads it: "ipip 172.16.3.9 -> 10.0.0.1"; empty for none. What it cannot read it shows in
// hexadecimal.
std::string outer_header_text(std::string_view hex);

// The page. `source`: where the answer comes from, for the first line.
std::string explain_text(const dataplane_api::ExplainRequest& request, const dataplane_api::ExplainAnswer& answer,
                         std::string_view source);

}  // namespace anypop::cli
