// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <array>
#include <string_view>

#include <boost/json.hpp>

#include "base/text.h"

namespace anypop::backend {
namespace {

namespace json = boost::json;

struct VerdictText {
  std::string_view name;
  std::string_view meaning;
};

constexpr std::array<VerdictText, DECAP_VERDICTS> kVerdicts = {{
#define ANYPOP_DECAP_TEXT(identifier, name, meaning) {name, meaning},
    ANYPOP_DECAP_VERDICTS(ANYPOP_DECAP_TEXT)
#undef ANYPOP_DECAP_TEXT
}};

template <typename T>
std::string joined(const std::vector<T>& values) {
  std::vector<std::string> texts;
  for (const T& value : values) texts.push_back(value.to_string());
  return fmt::format("{}", fmt::join(texts, ", "));
}

template <typename T>
json::array to_texts(const std::vector<T>& values) {
  json::array array;
  for (const T& value : values) array.emplace_back(value.to_string());
  return array;
}

}  // namespace

std::string to_text(const Condition& condition) {
  const Wish& wish = condition.wish;
  std::string text = fmt::format("{}: {} over {} at {}\n", condition.good() ? "installed" : "incomplete",
                                 encapsulation_names(wish), fmt::join(wish.interfaces, ", "), joined(wish.addresses));
  if (wish.tunnels()) {
    text += fmt::format("  tunnels from {}\n", wish.sources.empty() ? "anybody" : joined(wish.sources));
  }
  for (const Part& part : condition.parts) {
    text +=
        fmt::format("  {:<5} {}{}{}\n", part.good ? "good" : "wrong", part.what, part.good ? "" : ": ", part.problem);
  }
  for (const InterfaceCounters& counters : condition.counters) {
    text += fmt::format("\n  {:<18} {:>14}\n", counters.interface, "packets");
    for (std::size_t i = 0; i < kVerdicts.size(); ++i) {
      text += fmt::format("  {:<18} {:>14}  {}\n", kVerdicts[i].name, counters.packets[i], kVerdicts[i].meaning);
    }
  }
  return text;
}

std::string to_json(const Condition& condition) {
  const Wish& wish = condition.wish;
  json::array parts;
  for (const Part& part : condition.parts) {
    parts.push_back(json::object{{"what", part.what}, {"good", part.good}, {"problem", part.problem}});
  }
  json::object interfaces;
  for (const InterfaceCounters& counters : condition.counters) {
    json::object packets;
    for (std::size_t i = 0; i < kVerdicts.size(); ++i) {
      packets[json::string_view(kVerdicts[i].name.data(), kVerdicts[i].name.size())] = counters.packets[i];
    }
    interfaces[counters.interface] = std::move(packets);
  }
  return json::serialize(json::object{{"good", condition.good()},
                                      {"encapsulations", encapsulation_names(wish)},
                                      {"vips", to_texts(wish.vips)},
                                      {"addresses", to_texts(wish.addresses)},
                                      {"sources", to_texts(wish.sources)},
                                      {"parts", std::move(parts)},
                                      {"packets", std::move(interfaces)}});
}

}  // namespace anypop::backend
