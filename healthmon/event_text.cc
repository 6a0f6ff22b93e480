// SPDX-License-Identifier: Apache-2.0
#include "event_text.h"

#include <algorithm>
#include <string_view>

#include <boost/json/serialize.hpp>

#include "base/text.h"

namespace anypop::healthmon {
namespace {

bool is_plain(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
}

}  // namespace

std::string event_text(const boost::json::object& event) {
  std::string line;
  for (const auto& [key, value] : event) {
    if (!line.empty()) line += ' ';
    line.append(key.data(), key.size());
    line += '=';
    const std::string text = value.is_string() ? std::string(value.get_string()) : boost::json::serialize(value);
    line += is_plain(text) ? text : fmt::format("\"{}\"", escaped(text));
  }
  return line;
}

}  // namespace anypop::healthmon
