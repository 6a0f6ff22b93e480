// SPDX-License-Identifier: Apache-2.0
// Who gives the order.
#pragma once

#include <string>

namespace anypop::bgpctl {

// The login name of the real user; for root, of the user who called sudo or logged in, where the machine knows that.
std::string operator_name();

}  // namespace anypop::bgpctl
