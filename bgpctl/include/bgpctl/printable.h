// SPDX-License-Identifier: Apache-2.0
// What came from elsewhere, for a person's terminal: as it is, but for what could move the cursor.
#pragma once

#include <string>
#include <string_view>

namespace anypop::bgpctl {

// Control characters (those of UTF-8 too) and bytes that are no UTF-8 become \x1b; quotes, backslashes and letters of
// any language stay.
std::string printable(std::string_view text);

}  // namespace anypop::bgpctl
