// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include "anypop_cli/announcement_text.h"
#include "anypop_cli/fleet.h"
#include "anypop_cli/json_read.h"
#include "base/text.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

struct Tally {
  std::size_t good = 0;
  std::size_t all = 0;
};

Tally announced(const json::value& monitor) {
  Tally tally;
  for (const json::value& one : list_of(&monitor, "announcements")) {
    ++tally.all;
    if (flag_of(&one, "announce")) ++tally.good;
  }
  return tally;
}

Tally healthy(const json::value& monitor) {
  Tally tally;
  for (const json::value& service : list_of(&monitor, "services")) {
    for (const json::value& backend : list_of(&service, "backends")) {
      ++tally.all;
      if (flag_of(&backend, "healthy")) ++tally.good;
    }
  }
  return tally;
}

std::string name_of(const FleetAnswer& answer) {
  if (!answer.target.name.empty()) return answer.target.name;
  const std::string said = answer.monitor.ok() ? text_of(&*answer.monitor, "pop") : std::string();
  return said.empty() ? answer.target.address : said;
}

bool is_good(const FleetAnswer& answer) {
  if (!answer.monitor.ok()) return false;
  const Tally tally = announced(*answer.monitor);
  return tally.good == tally.all;
}

// "12.3k packets/s, 0 dropped/s"; empty if the monitor does not say.
std::string traffic_text(const json::value& monitor) {
  const json::value* traffic = member(&monitor, "traffic");
  if (traffic == nullptr || !traffic->is_object()) return "";
  return fmt::format(", {:.0f} packets/s, {:.0f} dropped/s", real_of(traffic, "forwarded_per_s"),
                     real_of(traffic, "dropped_per_s"));
}

void write_answer(std::back_insert_iterator<std::string> page, const FleetAnswer& answer, std::size_t width,
                  bool color) {
  const std::string name = fmt::format("{:<{}}", escaped(name_of(answer)), width);
  if (!answer.monitor.ok()) {
    fmt::format_to(page, "{}  {}  {}\n", name, painted("no answer", Paint::kBad, color),
                   message(answer.monitor.status()));
    return;
  }
  const Tally announcements = announced(*answer.monitor);
  const Tally backends = healthy(*answer.monitor);
  const bool good = is_good(answer);
  fmt::format_to(page, "{}  {}  {} of {} announced, {} of {} backends healthy{}\n", name,
                 painted(fmt::format("{:<9}", good ? "good" : "NOT GOOD"), good ? Paint::kGood : Paint::kBad, color),
                 announcements.good, announcements.all, backends.good, backends.all, traffic_text(*answer.monitor));
  for (const json::value& one : list_of(&*answer.monitor, "announcements")) {
    const AnnouncementText text = announcement_text(one);
    if (text.level == "announced" && text.notes.empty()) continue;
    fmt::format_to(page, "{:<{}}  {} is {}: {}\n", "", width, text.name, painted(text.level, text.paint, color),
                   text.cause);
    for (const std::string& note : text.notes) {
      fmt::format_to(page, "{:<{}}    {}\n", "", width, painted(note, Paint::kWarn, color));
    }
  }
}

}  // namespace

FleetTarget parse_target(std::string_view text) {
  // An address may contain "=" too, but a name contains no slash.
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || text.substr(0, equals).find('/') != std::string_view::npos) {
    return {.name = {}, .address = std::string(text)};
  }
  return {.name = std::string(text.substr(0, equals)), .address = std::string(text.substr(equals + 1))};
}

absl::StatusOr<std::vector<FleetTarget>> parse_inventory(std::string_view text, std::string_view file) {
  std::vector<FleetTarget> targets;
  std::size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = line.substr(0, line.find('#'));
    std::vector<std::string> words;
    std::string word;
    for (const char c : std::string(line) + " ") {
      if (c != ' ' && c != '\t' && c != '\r') {
        word += c;
      } else if (!word.empty()) {
        words.push_back(std::move(word));
        word.clear();
      }
    }
    if (words.empty()) continue;
    if (words.size() > 2) {
      return invalid_argument("{}:{}: found {} words, expected a name and an address", escaped(file), number,
                              words.size());
    }
    targets.push_back({.name = words.size() == 2 ? words[0] : std::string(), .address = words.back()});
  }
  if (targets.empty())
    return invalid_argument("{}: found no PoP, expected a name and an address a line", escaped(file));
  return targets;
}

int fleet_exit_code(const std::vector<FleetAnswer>& answers) {
  if (std::ranges::any_of(answers, [](const FleetAnswer& answer) { return !answer.monitor.ok(); })) return 3;
  return std::ranges::all_of(answers, is_good) ? 0 : 1;
}

std::string fleet_text(const std::vector<FleetAnswer>& answers, bool color) {
  std::size_t width = 0;
  for (const FleetAnswer& answer : answers) width = std::max(width, name_of(answer).size());
  std::string out;
  for (const FleetAnswer& answer : answers) write_answer(std::back_inserter(out), answer, width, color);
  return out;
}

json::object fleet_json(const std::vector<FleetAnswer>& answers) {
  json::array pops;
  for (const FleetAnswer& answer : answers) {
    json::object pop{{"name", name_of(answer)}, {"address", answer.target.address}, {"good", is_good(answer)}};
    pop["error"] =
        answer.monitor.ok() ? json::value(nullptr) : json::value(std::string(message(answer.monitor.status())));
    pop["monitor"] = answer.monitor.ok() ? *answer.monitor : json::value(nullptr);
    pops.push_back(std::move(pop));
  }
  return {{"good", fleet_exit_code(answers) == 0}, {"pops", std::move(pops)}};
}

}  // namespace anypop::cli
