// SPDX-License-Identifier: Apache-2.0
// Who gives the order.
#pragma once

#include <string>

namespace anypop::bgpctl {

// The login name of the real user; under sudo, of the user who called sudo.
std::string operator_name();

}  // namespace anypop::bgpctl
