// SPDX-License-Identifier: Apache-2.0
// A YAML mapping read key by key. It remembers the first thing that was wrong, with file, line and key, and goes on
// with defaults, so that the code that reads a configuration is a plain list of keys. Private to base.
#pragma once

#include <concepts>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <yaml-cpp/yaml.h>

namespace anypop {

// The first error of one file. Later ones are often only its consequences, so they are not kept.
class ConfigErrors {
 public:
  explicit ConfigErrors(std::string file) : file_(std::move(file)) {}
  void add(const YAML::Mark& mark, std::string_view key, std::string_view problem);
  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }

 private:
  std::string file_;
  absl::Status status_;
};

// A mapping and its place ("services[2].probe"). Every key that is read is known; finish() reports the others.
class YamlMap {
 public:
  YamlMap(YAML::Node node, std::string place, ConfigErrors& errors);

  YAML::Mark mark() const { return node_.Mark(); }
  std::string place(std::string_view key) const;

  // Each reads one key into `out`. Absent: `out` keeps its default, unless the key is required.
  void text(std::string_view key, std::string& out, bool required = false);
  void name(std::string_view key, std::string& out);  // required; lower-case letters, digits, hyphens, at most 32
  void flag(std::string_view key, bool& out);
  template <std::unsigned_integral T>
  void number(std::string_view key, T& out, T least, T most, bool required = false) {
    unsigned long value = out;
    number_in_range(key, value, least, most, required);
    out = static_cast<T>(value);
  }
  // One of `words`; sets `out` to its index.
  void choice(std::string_view key, std::initializer_list<std::string_view> words, std::size_t& out,
              bool required = false);
  // Hands the scalar to `parse`, which returns a status whose message reads "found …, expected …".
  void value(std::string_view key, const std::function<absl::Status(const std::string&)>& parse, bool required = false);
  // Calls `read` with the nested mapping, if there is one.
  void map(std::string_view key, const std::function<void(YamlMap&)>& read, bool required = false);
  // Calls `read` for each mapping of a list.
  void list(std::string_view key, const std::function<void(YamlMap&)>& read, bool required = false);
  // Calls `parse` for each scalar of a list.
  void values(std::string_view key, const std::function<absl::Status(const std::string&)>& parse,
              bool required = false);

  // The same, and a bare scalar stands for a list of one.
  void one_or_more(std::string_view key, const std::function<absl::Status(const std::string&)>& parse);

  bool has(std::string_view key);
  bool is_list(std::string_view key);
  void error(std::string_view key, std::string_view problem);
  // Unknown and repeated keys are errors, then missing ones: a misspelt key is both, and the spelling is the news.
  void finish();

 private:
  YAML::Node find(std::string_view key, bool required, std::string_view expected);
  void number_in_range(std::string_view key, unsigned long& out, unsigned long least, unsigned long most,
                       bool required);

  YAML::Node node_;
  std::string place_;
  ConfigErrors& errors_;
  std::set<std::string, std::less<>> known_;
  std::vector<std::pair<std::string, std::string>> missing_;  // key, what was expected
};

}  // namespace anypop
