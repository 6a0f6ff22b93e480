// SPDX-License-Identifier: Apache-2.0
// Colours of a terminal, which say nothing that the words do not say too. Pure, but for wants_color().
#pragma once

#include <string>
#include <string_view>

namespace anypop::cli {

enum class Paint { kPlain, kBold, kGood, kWarn, kBad };

// `text` in that colour if `on`, else as it is. Pad before painting: escape sequences have no width.
std::string painted(std::string_view text, Paint paint, bool on);

// Standard output is a terminal that knows colours, and nobody has set NO_COLOR (https://no-color.org).
bool wants_color();

}  // namespace anypop::cli
