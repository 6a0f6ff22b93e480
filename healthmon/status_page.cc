// SPDX-License-Identifier: Apache-2.0
#include "healthmon/status_page.h"

#include <algorithm>
#include <ctime>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "base/text.h"
#include "event_text.h"
#include "status_page_shell.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

constexpr std::size_t kEventsShown = 20;
constexpr std::size_t kVerdictsShown = 12;

std::string html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += static_cast<unsigned char>(c) < ' ' || c == 0x7f ? ' ' : c;
    }
  }
  return out;
}

// Members that may be missing, so that the page survives every state.
std::string_view text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  if (value == nullptr || !value->is_string()) return "";
  return {value->get_string().data(), value->get_string().size()};
}
std::int64_t number_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  json::error_code error;
  return value == nullptr || !value->is_number() ? 0 : value->to_number<std::int64_t>(error);
}
bool flag_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  return value != nullptr && value->is_bool() && value->get_bool();
}
const json::array& list_at(const json::object& object, std::string_view key) {
  static const json::array kNone;
  const json::value* value = object.if_contains({key.data(), key.size()});
  return value == nullptr || !value->is_array() ? kNone : value->get_array();
}
const json::object& object_at(const json::object& object, std::string_view key) {
  static const json::object kNone;
  const json::value* value = object.if_contains({key.data(), key.size()});
  return value == nullptr || !value->is_object() ? kNone : value->get_object();
}
std::string joined(const json::array& values) {
  std::string out;
  for (const json::value& value : values) {
    if (!value.is_string()) continue;
    out += fmt::format("{}{}", out.empty() ? "" : ", ", std::string(value.get_string()));
  }
  return out;
}

std::string tag(std::string_view colour, std::string_view word) {
  return fmt::format("<span class=\"tag {}\">{}</span>", colour, html(word));
}

std::tm utc(std::int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm broken{};
  ::gmtime_r(&seconds, &broken);
  return broken;
}
std::string day_text(const std::tm& t) {
  return fmt::format("{:04}-{:02}-{:02}", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
}
std::string clock_text(const std::tm& t) { return fmt::format("{:02}:{:02}:{:02}", t.tm_hour, t.tm_min, t.tm_sec); }
std::string minute_text(std::int64_t unix_ms) {  // "2026-11-20 18:31 UTC"
  const std::tm t = utc(unix_ms);
  return fmt::format("{} {:02}:{:02} UTC", day_text(t), t.tm_hour, t.tm_min);
}

std::string rate_text(double per_s) {
  if (per_s >= 1e6) return fmt::format("{:.2f} M/s", per_s / 1e6);
  if (per_s >= 1e4) return fmt::format("{:.1f} k/s", per_s / 1e3);
  return fmt::format("{:.0f}/s", per_s);
}

// A minute of a rate, newest at the right. The number beside it is the text alternative.
std::string graph(const std::deque<double>& values) {
  if (values.size() < 2) return "";
  const double top = std::max(1.0, *std::max_element(values.begin(), values.end()));
  std::string points;
  const std::size_t first = TrafficHistory::kPoints - values.size();
  for (std::size_t i = 0; i < values.size(); ++i) {
    points += fmt::format("{}{},{:.1f}", points.empty() ? "" : " ", first + i, 30 - 28 * values[i] / top);
  }
  return fmt::format(
      "<svg viewBox=\"0 0 59 30\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><polygon points=\"{0},30 {1} "
      "59,30\"/><polyline points=\"{1}\"/></svg>",
      first, points);
}

struct Level {
  const char* colour;
  std::string word;
};

Level announcement_level(const json::object& announcement) {
  const std::string_view level = text_at(announcement, "level");
  const bool announced = level.empty() ? flag_at(announcement, "announce") : level != "withdrawn";
  if (!announced) return {"bad", "withdrawn"};
  if (!level.empty() && level != "announced") return {"warn", std::string(level)};
  return {"good", "announced"};
}

std::string summary_section(const StatusView& view) {
  const json::array& announcements = list_at(view.state, "announcements");
  std::size_t out = 0;
  for (const json::value& value : announcements) {
    if (std::string_view(announcement_level(value.as_object()).colour) != "good") ++out;
  }
  std::string lead = out == 0 ? "Every announcement is announced."
                              : fmt::format("{} of {} announcements {} not fully announced.", out, announcements.size(),
                                            out == 1 ? "is" : "are");
  const json::object& dataplane = object_at(view.state, "dataplane");
  const json::object& bird = object_at(view.state, "bird");
  std::string facts = flag_at(dataplane, "alive")
                          ? "The dataplane forwards."
                          : fmt::format("The dataplane does not forward: {}.", text_at(dataplane, "cause"));
  facts += flag_at(bird, "reachable") ? fmt::format(" BIRD {} answers.", text_at(bird, "version"))
                                      : fmt::format(" BIRD does not answer: {}.", text_at(bird, "error"));
  for (const json::value& session : list_at(bird, "sessions")) {
    const json::object& found = session.as_object();
    facts += fmt::format(" Session {} is {}.", text_at(found, "name"),
                         flag_at(found, "established") ? "established" : "down");
  }
  if (flag_at(view.state, "second_opinion")) {
    facts += " Every backend fell silent at once: each is asked again before it is believed.";
  }
  return fmt::format("<section id=\"summary\" aria-label=\"Summary\"><p class=\"lead {}\">{}</p><p>{}</p></section>\n",
                     out == 0 ? "good" : "bad", html(lead), html(facts));
}

std::string announcement_card(const json::object& announcement, std::int64_t now_unix_ms) {
  const Level level = announcement_level(announcement);
  std::string card =
      fmt::format("<article class=\"card\"><div class=\"row\"><h3>{}</h3>{}</div><p>{}</p><p class=\"soft\">{}</p>",
                  html(text_at(announcement, "name")), tag(level.colour, level.word),
                  html(text_at(announcement, "cause")), html(joined(list_at(announcement, "prefixes"))));
  if (const std::string to = joined(list_at(announcement, "exported_to")); !to.empty()) {
    card += fmt::format("<p class=\"soft\">Exported to {}</p>", html(to));
  }
  if (const std::int64_t left = number_at(announcement, "hold_down_remaining_ms"); left > 0) {
    card += fmt::format("<p class=\"warn\">May return in {} s</p>", (left + 999) / 1000);
  }
  if (const json::object& hold = object_at(announcement, "hold"); !hold.empty()) {
    const std::int64_t expires = number_at(hold, "expires_unix_ms");
    const std::string until = expires == 0            ? "until it is released"
                              : expires > now_unix_ms ? "until " + minute_text(expires)
                                                      : "expired";
    card += fmt::format("<p class=\"warn\">Hold: {}, by {}: {}, {}</p>", html(text_at(hold, "kind")),
                        html(text_at(hold, "who")), html(text_at(hold, "reason")), html(until));
  }
  for (const char* key : {"hold_error", "problem"}) {
    if (const std::string_view found = text_at(announcement, key); !found.empty()) {
      card += fmt::format("<p class=\"bad\">{}</p>", html(found));
    }
  }
  return card + "</article>\n";
}

std::string announcements_section(const StatusView& view) {
  std::string out =
      "<section id=\"announcements\" aria-labelledby=\"h-a\"><h2 id=\"h-a\">Announcements</h2><div class=\"cards\">\n";
  for (const json::value& value : list_at(view.state, "announcements")) {
    out += announcement_card(value.as_object(), view.now_unix_ms);
  }
  return out + "</div></section>\n";
}

std::string backend_state(const json::object& backend) {
  const std::string_view health = text_at(backend, "health");
  const std::string_view reason = text_at(backend, "use_reason");
  std::string out = tag(health == "healthy" ? "good" : health == "unhealthy" ? "bad" : "warn", health);
  if (!reason.empty() && reason != "health") out += " " + tag("warn", reason);
  if (!flag_at(backend, "resolved")) out += " " + tag("warn", "no next hop");
  return out;
}

std::string backend_row(const json::object& backend) {
  std::string why(text_at(backend, "cause"));
  if (const json::object& drain = object_at(backend, "drain"); !drain.empty()) {
    why += fmt::format("; drained by {}: {}", text_at(drain, "who"), text_at(drain, "reason"));
  }
  std::int64_t latency_us = 0;
  for (const json::value& probe : list_at(backend, "probes")) {
    latency_us = std::max(latency_us, number_at(probe.as_object(), "latency_us"));
  }
  return fmt::format(
      "<tr><th scope=\"row\">{}</th><td>{}</td><td data-name=\"last probe\">{}</td><td class=\"number\" "
      "data-name=\"answered in\">{:.1f} ms</td><td class=\"number\" data-name=\"weight\">{:g}</td><td "
      "data-name=\"address\">{}</td></tr>\n",
      html(text_at(backend, "name")), backend_state(backend), html(why), static_cast<double>(latency_us) / 1000,
      static_cast<double>(number_at(backend, "weight") * number_at(backend, "weight_permille")) / 1000,
      html(text_at(backend, "address")));
}

std::string service_card(const json::object& service, const TrafficHistory* traffic) {
  const json::array& backends = list_at(service, "backends");
  std::size_t healthy = 0;
  std::string rows;
  for (const json::value& backend : backends) {
    if (flag_at(backend.as_object(), "healthy")) ++healthy;
    rows += backend_row(backend.as_object());
  }
  const std::string name(text_at(service, "name"));
  std::string rate = "<span class=\"soft\">no traffic figures</span>";
  if (traffic != nullptr && traffic->live()) {
    const auto found = traffic->services().find(name);
    if (found != traffic->services().end() && !found->second.per_s.empty()) {
      rate = fmt::format("<span class=\"row\"><span class=\"number\">{} packets</span>{}</span>",
                         rate_text(found->second.per_s.back()), graph(found->second.per_s));
    }
  }
  return fmt::format(
      "<article class=\"card\"><div class=\"row\"><h3>{}</h3>{}</div><p class=\"soft\">{} {} port {}</p>{}<div "
      "class=\"wide\"><table class=\"stack\"><thead><tr><th scope=\"col\">Backend</th><th scope=\"col\">State</th><th "
      "scope=\"col\">Last probe</th><th scope=\"col\" class=\"number\">Answered in</th><th scope=\"col\" "
      "class=\"number\">Weight</th><th scope=\"col\">Address</th></tr></thead><tbody>\n{}</tbody></table></div>"
      "<p>{}</p></article>\n",
      html(name),
      tag(healthy == backends.size() ? "good"
          : healthy == 0             ? "bad"
                                     : "warn",
          fmt::format("{} of {} healthy", healthy, backends.size())),
      html(text_at(service, "vip")), html(text_at(service, "protocol")), number_at(service, "port"),
      flag_at(service, "panic") ? "<p class=\"bad\">Panic: too few backends are healthy, so that all are used.</p>"
                                : "",
      rows, rate);
}

std::string services_section(const StatusView& view) {
  std::string out = "<section id=\"services\" aria-labelledby=\"h-s\"><h2 id=\"h-s\">Services</h2>\n";
  for (const json::value& value : list_at(view.state, "services")) {
    out += service_card(value.as_object(), view.traffic);
  }
  return out + "</section>\n";
}

// What packets became, the busiest first; those that never happened are not shown.
std::string traffic_section(const StatusView& view) {
  std::string out = "<section id=\"traffic\" aria-labelledby=\"h-t\"><h2 id=\"h-t\">Packets by verdict</h2>\n";
  if (view.traffic == nullptr || !view.traffic->live()) {
    return out + "<p class=\"soft\">The dataplane does not tell its counters.</p></section>\n";
  }
  std::vector<std::pair<std::string, const TrafficHistory::Series*>> seen;
  for (const auto& [name, series] : view.traffic->verdicts()) {
    if (series.counter > 0) seen.emplace_back(name, &series);
  }
  std::stable_sort(seen.begin(), seen.end(),
                   [](const auto& a, const auto& b) { return a.second->counter > b.second->counter; });
  if (seen.size() > kVerdictsShown) seen.resize(kVerdictsShown);
  if (seen.empty()) return out + "<p class=\"soft\">No packet yet.</p></section>\n";
  out +=
      "<div class=\"card wide\"><table><thead><tr><th scope=\"col\">Verdict</th><th scope=\"col\" class=\"number\">Now"
      "</th><th scope=\"col\">Last minute</th><th scope=\"col\" class=\"number\">Total</th></tr></thead><tbody>\n";
  for (const auto& [name, series] : seen) {
    out += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td>{}</td><td class=\"number\">{}</td></tr>\n",
        html(name), rate_text(series->per_s.empty() ? 0 : series->per_s.back()), graph(series->per_s), series->counter);
  }
  return out + "</tbody></table></div></section>\n";
}

std::string event_line(const json::object& event) {
  json::object shown = event;
  for (const char* key : {"unix_ns", "unix_ms", "time", "program", "sent_unix_ns", "replied_unix_ns", "commands"}) {
    shown.erase(key);
  }
  const std::tm at = utc(number_at(event, "unix_ms"));
  return fmt::format("<li><time datetime=\"{}T{}Z\">{}</time>{}</li>\n", day_text(at), clock_text(at), clock_text(at),
                     html(event_text(shown)));
}

std::string events_section(const StatusView& view) {
  std::string out =
      "<section id=\"events\" aria-labelledby=\"h-e\"><h2 id=\"h-e\">Recent events</h2><ol class=\"card\">\n";
  if (view.events == nullptr || view.events->empty())
    out += "<li class=\"soft\">None since the monitor's start.</li>\n";
  if (view.events != nullptr) {
    std::size_t shown = 0;
    for (auto event = view.events->rbegin(); event != view.events->rend() && shown < kEventsShown; ++event, ++shown) {
      out += event_line(*event);
    }
  }
  return out + "</ol></section>\n";
}

}  // namespace

std::string status_sections(const StatusView& view) {
  return summary_section(view) + announcements_section(view) + services_section(view) + traffic_section(view) +
         events_section(view);
}

std::string status_page(const StatusView& view) {
  const std::string pop = html(text_at(view.state, "pop"));
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"><title>{0} · Anypop</title><link rel=\"icon\" "
      "href=\"data:,\"><style>{1}</style></head>\n<body><a class=\"skip\" href=\"#main\">To the announcements</a>"
      "<header><h1>PoP {0}</h1><span class=\"soft\">Anypop {2}, up since {3}</span><span class=\"soft\" id=\"live\" "
      "role=\"status\">as of {4}</span></header>\n<main id=\"main\">\n{5}</main>\n<footer class=\"soft\"><a "
      "href=\"v1/state\">State as JSON</a> · <a "
      "href=\"metrics\">Metrics</a></footer>\n<script>{6}</script></body></html>\n",
      pop, kStatusStyle, html(text_at(view.state, "version")), minute_text(number_at(view.state, "started_unix_ms")),
      clock_text(utc(view.now_unix_ms)) + " UTC", status_sections(view), kStatusScript);
}

}  // namespace anypop::healthmon
