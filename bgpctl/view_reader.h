// SPDX-License-Identifier: Apache-2.0
// Replies of BIRD 2.0.12 to 3.3 as facts. Pure; goes by reply codes, never by words, where BIRD gives a code.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/address.h"
#include "bgpctl/bird_view.h"
#include "reply.h"

namespace anypop::bgpctl {

// "2.0.12" of "BIRD 2.0.12 ready." or "BIRD 2.0.12"; empty for anything else.
std::string parse_version(std::string_view text);

// `show status`: version and times.
absl::Status read_status(const Reply& reply, BirdView& view);

// `show protocols`
absl::StatusOr<std::map<std::string, BirdProtocol>> read_protocols(const Reply& reply);

// `show route export NAME`. Not established when BIRD answers with a parse error, which is how it says that the session
// is not up. Aborted: a reconfiguration came in between; ask again.
absl::StatusOr<BirdSessionExport> read_exports(const Reply& reply);

// `show route PREFIX all`: the routes that came by BGP, without those that are marked as drained (GRACEFUL_SHUTDOWN,
// RFC 8326). Aborted as above.
absl::StatusOr<std::size_t> count_others(const Reply& reply, const std::map<std::string, BirdProtocol>& protocols);

// A BGP protocol whose session stands, so that asking for its exports makes sense.
bool is_established(const BirdProtocol& protocol);

// The name as the command language takes it: quoted when it is more than letters, digits and underscores. Empty: the
// name cannot be written in a command.
std::string symbol_text(std::string_view name);

}  // namespace anypop::bgpctl
