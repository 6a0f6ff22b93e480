// SPDX-License-Identifier: Apache-2.0
#include "yaml_reader.h"

#include <algorithm>
#include <utility>

#include <absl/strings/ascii.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"

namespace anypop {
namespace {

std::string describe(const YAML::Node& node) {
  if (!node.IsDefined()) return "nothing";
  if (node.IsScalar()) return fmt::format("'{}'", escaped(node.Scalar().substr(0, 64)));
  if (node.IsSequence()) return "a list";
  if (node.IsMap()) return "a mapping";
  return "nothing";
}

// The file may hold anything; a message is one line of printable text.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (absl::ascii_isprint(static_cast<unsigned char>(c))) {
      line += c;
    } else {
      line += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return line;
}

}  // namespace

void ConfigErrors::add(const YAML::Mark& mark, std::string_view key, std::string_view problem) {
  if (!status_.ok()) return;
  std::string where = file_;
  if (!mark.is_null()) where += fmt::format(":{}", mark.line + 1);
  where += ": ";
  if (!key.empty()) where += fmt::format("{}: ", one_line(key));
  status_ = absl::InvalidArgumentError(where + one_line(problem));
}

YamlMap::YamlMap(YAML::Node node, std::string place, ConfigErrors& errors)
    : node_(std::move(node)), place_(std::move(place)), errors_(errors) {
  if (!node_.IsMap()) errors_.add(node_.Mark(), place_, fmt::format("found {}, expected a mapping", describe(node_)));
}

std::string YamlMap::place(std::string_view key) const {
  return place_.empty() ? std::string(key) : fmt::format("{}.{}", place_, key);
}

YAML::Node YamlMap::find(std::string_view key, bool required, std::string_view expected) {
  known_.insert(std::string(key));
  if (node_.IsMap()) {
    for (const auto& entry : node_) {
      if (entry.first.IsScalar() && entry.first.Scalar() == key) return entry.second;
    }
  }
  if (required) missing_.emplace_back(key, expected);
  return YAML::Node(YAML::NodeType::Undefined);
}

bool YamlMap::has(std::string_view key) { return find(key, false, "").IsDefined(); }

bool YamlMap::is_list(std::string_view key) { return find(key, false, "").IsSequence(); }

void YamlMap::error(std::string_view key, std::string_view problem) {
  YAML::Mark mark = node_.Mark();
  if (node_.IsMap()) {
    for (const auto& entry : node_) {
      if (entry.first.IsScalar() && entry.first.Scalar() == key) mark = entry.first.Mark();
    }
  }
  errors_.add(mark, place(key), problem);
}

void YamlMap::value(std::string_view key, const std::function<absl::Status(const std::string&)>& parse, bool required) {
  const YAML::Node node = find(key, required, "a value");
  if (!node.IsDefined()) return;
  if (!node.IsScalar()) return error(key, fmt::format("found {}, expected a single value", describe(node)));
  if (const absl::Status status = parse(node.Scalar()); !status.ok()) error(key, message(status));
}

void YamlMap::text(std::string_view key, std::string& out, bool required) {
  value(
      key,
      [&](const std::string& found) {
        if (found.empty() || !std::all_of(found.begin(), found.end(), absl::ascii_isprint)) {
          return invalid_argument("found '{}', expected printable text", escaped(found));
        }
        out = found;
        return absl::OkStatus();
      },
      required);
}

void YamlMap::name(std::string_view key, std::string& out) {
  value(
      key,
      [&](const std::string& found) {
        const auto allowed = [](unsigned char c) {
          return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
        };
        if (found.empty() || found.size() > 32 || !std::all_of(found.begin(), found.end(), allowed) ||
            found.front() == '-' || found.back() == '-') {
          return invalid_argument(
              "found '{}', expected a name of lower-case letters, digits and inner hyphens, at most 32 characters",
              escaped(found));
        }
        out = found;
        return absl::OkStatus();
      },
      true);
}

void YamlMap::flag(std::string_view key, bool& out) {
  std::size_t index = out ? 1 : 0;
  choice(key, {"false", "true"}, index);
  out = index == 1;
}

void YamlMap::number_in_range(std::string_view key, unsigned long& out, unsigned long least, unsigned long most,
                              bool required) {
  value(
      key,
      [&](const std::string& found) {
        const auto number = parse_number<unsigned long>(found, least, most);
        if (!number) {
          return invalid_argument("found '{}', expected a whole number from {} to {}", escaped(found), least, most);
        }
        out = *number;
        return absl::OkStatus();
      },
      required);
}

void YamlMap::choice(std::string_view key, std::initializer_list<std::string_view> words, std::size_t& out,
                     bool required) {
  value(
      key,
      [&](const std::string& found) {
        const auto* const at = std::find(words.begin(), words.end(), found);
        if (at == words.end()) {
          return invalid_argument("found '{}', expected {}", escaped(found), fmt::join(words, " or "));
        }
        out = static_cast<std::size_t>(at - words.begin());
        return absl::OkStatus();
      },
      required);
}

void YamlMap::map(std::string_view key, const std::function<void(YamlMap&)>& read, bool required) {
  const YAML::Node node = find(key, required, "a mapping");
  if (!node.IsDefined()) return;
  if (!node.IsMap()) return error(key, fmt::format("found {}, expected a mapping", describe(node)));
  YamlMap nested(node, place(key), errors_);
  read(nested);
  nested.finish();
}

void YamlMap::list(std::string_view key, const std::function<void(YamlMap&)>& read, bool required) {
  const YAML::Node node = find(key, required, "a list");
  if (!node.IsDefined()) return;
  if (!node.IsSequence() || node.size() == 0) {
    return error(key, fmt::format("found {}, expected a list", node.IsSequence() ? "an empty list" : describe(node)));
  }
  for (std::size_t i = 0; i < node.size() && errors_.ok(); ++i) {
    YamlMap nested(node[i], fmt::format("{}[{}]", place(key), i), errors_);
    read(nested);
    nested.finish();
  }
}

void YamlMap::values(std::string_view key, const std::function<absl::Status(const std::string&)>& parse,
                     bool required) {
  const YAML::Node node = find(key, required, "a list");
  if (!node.IsDefined()) return;
  if (!node.IsSequence() || node.size() == 0) {
    return error(key, fmt::format("found {}, expected a list", node.IsSequence() ? "an empty list" : describe(node)));
  }
  for (std::size_t i = 0; i < node.size(); ++i) {
    const std::string item_place = fmt::format("{}[{}]", place(key), i);
    if (!node[i].IsScalar()) {
      errors_.add(node[i].Mark(), item_place, fmt::format("found {}, expected a single value", describe(node[i])));
    } else if (const absl::Status status = parse(node[i].Scalar()); !status.ok()) {
      errors_.add(node[i].Mark(), item_place, message(status));
    }
  }
}

void YamlMap::one_or_more(std::string_view key, const std::function<absl::Status(const std::string&)>& parse) {
  const YAML::Node node = find(key, false, "a value or a list");
  if (node.IsDefined() && node.IsScalar()) {
    value(key, parse);
  } else {
    values(key, parse);
  }
}

void YamlMap::finish() {
  if (!node_.IsMap()) return;
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
    if (!known_.contains(key)) {
      errors_.add(entry.first.Mark(), place(escaped(key)),
                  fmt::format("found an unknown key, expected one of {}", fmt::join(known_, ", ")));
    } else if (!seen.insert(key).second) {
      errors_.add(entry.first.Mark(), place(key), "found the key a second time, expected it once");
    }
  }
  for (const auto& [key, expected] : missing_) error(key, fmt::format("found nothing, expected {}", expected));
}

}  // namespace anypop
