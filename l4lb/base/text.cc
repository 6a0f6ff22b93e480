// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <absl/strings/escaping.h>

namespace anypop {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string escaped(std::string_view text) { return absl::CHexEscape({text.data(), text.size()}); }

}  // namespace anypop
