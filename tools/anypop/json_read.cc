// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/json_read.h"

namespace anypop::cli {

namespace json = boost::json;

const json::value* member(const json::value* value, std::string_view key) {
  if (value == nullptr || !value->is_object()) return nullptr;
  return value->get_object().if_contains({key.data(), key.size()});
}

std::string text_of(const json::value* value, std::string_view key) {
  const json::value* found = member(value, key);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

std::int64_t number_of(const json::value* value, std::string_view key) {
  const json::value* found = member(value, key);
  json::error_code error;
  return found == nullptr || !found->is_number() ? 0 : found->to_number<std::int64_t>(error);
}

double real_of(const json::value* value, std::string_view key) {
  const json::value* found = member(value, key);
  json::error_code error;
  return found == nullptr || !found->is_number() ? 0 : found->to_number<double>(error);
}

bool flag_of(const json::value* value, std::string_view key) {
  const json::value* found = member(value, key);
  return found != nullptr && found->is_bool() && found->get_bool();
}

json::array list_of(const json::value* value, std::string_view key) {
  const json::value* found = member(value, key);
  return found != nullptr && found->is_array() ? found->get_array() : json::array();
}

std::string names(const json::array& list) {
  std::string out;
  for (const json::value& name : list) {
    if (!name.is_string()) continue;
    if (!out.empty()) out += ", ";
    out += std::string_view(name.get_string().data(), name.get_string().size());
  }
  return out;
}

}  // namespace anypop::cli
