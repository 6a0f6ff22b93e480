// SPDX-License-Identifier: Apache-2.0
#include "record.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace anypop::loadgen {

std::string to_json(const Record& record) {
  return boost::json::serialize(boost::json::object{
      {"kind", record.kind == Kind::kNew ? "new" : "long"},
      {"target", record.target},
      {"connection", record.connection},
      {"scheduled_unix_ns", record.scheduled_unix_ns},
      {"start_unix_ns", record.start_unix_ns},
      {"end_unix_ns", record.end_unix_ns},
      {"latency_us", (record.end_unix_ns - record.scheduled_unix_ns) / 1000},
      {"pop", record.pop},
      {"backend", record.backend},
      {"error", record.error},
  });
}

std::string_view answer_field(std::string_view answer, std::string_view key) {
  while (!answer.empty()) {
    const std::size_t end = answer.find_first_of(" \r\n");
    const std::string_view word = answer.substr(0, end);
    if (word.size() > key.size() && word.starts_with(key) && word[key.size()] == '=')
      return word.substr(key.size() + 1);
    if (end == std::string_view::npos) break;
    answer.remove_prefix(end + 1);
  }
  return {};
}

}  // namespace anypop::loadgen
