// SPDX-License-Identifier: Apache-2.0
#include "healthmon/status_page.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>

#include "base/text.h"
#include "event_sentence.h"
#include "event_text.h"
#include "l4lb/verdict.h"
#include "page_parts.h"
#include "status_page_shell.h"
#include "status_services.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

constexpr std::size_t kEventsShown = 20;
constexpr std::size_t kVerdictsShown = 12;

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

std::string tile(std::string_view name, std::string_view colour, std::string_view value, const std::string& drawing) {
  return fmt::format(
      "<div class=\"card tile\"><span class=\"soft\">{}</span><span class=\"big {}\">{}</span>{}</div>\n", html(name),
      colour, html(value), drawing);
}

std::string traffic_tile(std::string_view name, const TrafficHistory::Series& series, bool bad) {
  const double now = series.per_s.empty() ? 0 : series.per_s.back();
  return tile(name, bad ? "bad" : "", rate_text(now), graph(series.per_s));
}

// The numbers that are asked for first.
std::string tiles(const StatusView& view) {
  std::int64_t healthy = 0;
  std::int64_t backends = 0;
  for (const json::value& service : list_at(view.state, "services")) {
    healthy += number_at(as_object(service), "backends_healthy");
    backends += number_at(as_object(service), "backends_total");
  }
  std::string out = tile("Backends healthy",
                         healthy == backends ? "good"
                         : healthy == 0      ? "bad"
                                             : "warn",
                         fmt::format("{} of {}", healthy, backends), "");
  if (view.traffic != nullptr && view.traffic->live()) {
    const TrafficHistory::Series& forwarded = view.traffic->forwarded();
    const TrafficHistory::Series& dropped = view.traffic->dropped();
    const auto now = [](const TrafficHistory::Series& series) {
      return series.per_s.empty() ? 0 : series.per_s.back();
    };
    out += traffic_tile("Packets forwarded", forwarded, false);
    out += traffic_tile("Packets dropped", dropped, now(dropped) > 0.01 * now(forwarded));
  }
  if (view.stats != nullptr && view.stats->flows.capacity > 0) {
    const std::uint64_t used = view.stats->flows.half_open + view.stats->flows.established;
    out += tile("Flows remembered", used * 5 > view.stats->flows.capacity * 4 ? "bad" : "",
                fmt::format("{} of {}", count_text(used), count_text(view.stats->flows.capacity)), "");
  }
  return out;
}

std::string lead_text(const json::array& announcements) {
  std::string out;
  std::size_t count = 0;
  for (const json::value& value : announcements) {
    const json::object& announcement = as_object(value);
    const Level level = announcement_level(announcement);
    if (std::string_view(level.colour) == "good") continue;
    if (++count <= 3) {
      out += fmt::format("{}{} is {}", out.empty() ? "" : ", ", text_at(announcement, "name"), level.word);
    }
  }
  if (count == 0) return "Every announcement is announced.";
  if (count > 3) out += fmt::format(", and {} more are not announced", count - 3);
  return out + ".";
}

std::string facts_text(const json::object& state) {
  const json::object& dataplane = object_at(state, "dataplane");
  const json::object& bird = object_at(state, "bird");
  std::string facts = flag_at(dataplane, "alive")
                          ? "The dataplane forwards."
                          : fmt::format("The dataplane does not forward: {}.", text_at(dataplane, "cause"));
  facts += flag_at(bird, "reachable") ? fmt::format(" BIRD {} answers.", text_at(bird, "version"))
                                      : fmt::format(" BIRD does not answer: {}.", text_at(bird, "error"));
  for (const json::value& session : list_at(bird, "sessions")) {
    const json::object& found = as_object(session);
    facts += fmt::format(" Session {} is {}.", text_at(found, "name"),
                         flag_at(found, "established") ? "established" : "down");
  }
  for (const json::value& error : list_at(state, "bird_config_errors")) {
    if (error.is_string())
      facts += fmt::format(" BIRD would refuse its configuration: {}.", error.get_string().c_str());
  }
  if (const json::object& reload = object_at(state, "last_reload"); !reload.empty() && !flag_at(reload, "ok")) {
    facts += fmt::format(" The last reload was refused: {}.", text_at(reload, "error"));
  }
  if (flag_at(state, "second_opinion")) {
    facts += " Every backend fell silent at once: each is asked again before it is believed.";
  }
  return facts;
}

std::string summary_section(const StatusView& view) {
  const json::array& announcements = list_at(view.state, "announcements");
  const bool good = std::all_of(announcements.begin(), announcements.end(), [](const json::value& value) {
    return std::string_view(announcement_level(as_object(value)).colour) == "good";
  });
  return fmt::format(
      "<section id=\"summary\" aria-label=\"Summary\"><p id=\"lead\" class=\"lead {}\">{}</p><p>{}</p><div "
      "class=\"tiles\">\n{}</div></section>\n",
      good ? "good" : "bad", html(lead_text(announcements)), html(facts_text(view.state)), tiles(view));
}

// What keeps it out, or in against health, beside the sentence that says why.
std::string announcement_notes(const json::object& announcement, std::int64_t now_unix_ms) {
  std::string notes;
  if (const std::int64_t left = number_at(announcement, "hold_down_remaining_ms"); left > 0) {
    notes += fmt::format("<p class=\"warn\">May return in {}</p>", duration_text(left));
  } else if (const std::int64_t wait = number_at(announcement, "hold_down_ms"); wait > 0) {
    notes += fmt::format("<p class=\"soft\">Once its conditions are good, it waits {}</p>", duration_text(wait));
  }
  if (const json::object& hold = object_at(announcement, "hold"); !hold.empty()) {
    const std::int64_t expires = number_at(hold, "expires_unix_ms");
    const std::int64_t placed = number_at(hold, "placed_unix_ms");
    const std::string until = expires == 0            ? "Until it is released"
                              : expires > now_unix_ms ? "Until " + minute_text(expires)
                                                      : "Expired";
    const std::string since =
        placed > 0 && placed < now_unix_ms ? fmt::format(", placed {} ago", duration_text(now_unix_ms - placed)) : "";
    notes += fmt::format("<p class=\"warn\">Hold ({}) by {}: {}<br>{}{}</p>", html(text_at(hold, "kind")),
                         html(text_at(hold, "who")), html(text_at(hold, "reason")), html(until), since);
  }
  if (flag_at(announcement, "latched")) {
    notes += "<p class=\"bad\">Latched: it has flapped too often, and stays out until somebody announces it.</p>";
  }
  if (flag_at(announcement, "kept_last")) {
    notes += "<p class=\"bad\">Kept in spite of a fault: BIRD knows nobody else who announces it.</p>";
  }
  if (flag_at(announcement, "canary")) {
    notes += "<p class=\"soft\">A canary: announced whatever health says, to show that BGP itself works</p>";
  }
  const std::string_view deserved = text_at(announcement, "deserved");
  if (!deserved.empty() && deserved != text_at(announcement, "level")) {
    notes += fmt::format("<p class=\"soft\">By its conditions alone it would be {}</p>", html(deserved));
  }
  if (const std::int64_t flaps = number_at(announcement, "flaps"); flaps > 0) {
    notes += fmt::format("<p class=\"soft\">{} flap{} so far, penalty {}</p>", flaps, flaps == 1 ? "" : "s",
                         number_at(announcement, "flap_penalty"));
  }
  if (text_at(announcement, "if_monitor_lost") == "withdraw") {
    notes += "<p class=\"soft\">Withdrawn if the monitor is lost for good</p>";
  }
  for (const char* key : {"hold_error", "problem"}) {
    if (const std::string_view found = text_at(announcement, key); !found.empty()) {
      notes += fmt::format("<p class=\"bad\">{}</p>", html(found));
    }
  }
  return notes;
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
  return card + announcement_notes(announcement, now_unix_ms) + "</article>\n";
}

std::string stranger_card(const json::object& stranger) {
  return fmt::format(
      "<article class=\"card\"><div class=\"row\"><h3>{}</h3>{}</div><p class=\"bad\">{}</p></article>\n",
      html(text_at(stranger, "name")), tag("bad", "stranger"), html(text_at(stranger, "cause")));
}

std::string announcements_section(const StatusView& view) {
  std::string out =
      "<section id=\"announcements\" aria-labelledby=\"h-a\"><h2 id=\"h-a\">Announcements</h2><div class=\"cards\">\n";
  for (const json::value& value : list_at(view.state, "announcements")) {
    out += announcement_card(as_object(value), view.now_unix_ms);
  }
  for (const json::value& value : list_at(view.state, "strangers")) out += stranger_card(as_object(value));
  return out + "</div></section>\n";
}

std::string verdict_meaning(std::string_view name) {
  for (const l4lb::VerdictInfo& info : l4lb::kVerdicts) {
    if (info.name == name) return fmt::format("<span class=\"soft meaning\">{}</span>", html(info.meaning));
  }
  return "";
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
      "<div class=\"card wide\" tabindex=\"0\" role=\"region\" aria-label=\"Packets by verdict\"><table "
      "class=\"stack\"><thead><tr><th "
      "scope=\"col\">Verdict</th><th scope=\"col\" class=\"number\">Now"
      "</th><th scope=\"col\">Last minute</th><th scope=\"col\" class=\"number\">Total</th></tr></thead><tbody>\n";
  for (const auto& [name, series] : seen) {
    out += fmt::format(
        "<tr><th scope=\"row\">{}{}</th><td class=\"number\" data-name=\"now\">{}</td><td data-name=\"last "
        "minute\">{}</td><td "
        "class=\"number\" data-name=\"total\">{}</td></tr>\n",
        html(name), verdict_meaning(name), rate_text(series->per_s.empty() ? 0 : series->per_s.back()),
        graph(series->per_s), count_text(series->counter));
  }
  return out + "</tbody></table></div></section>\n";
}

std::string ports_section(const StatusView& view) {
  if (view.dataplane == nullptr) return "";
  std::string rows;
  for (const dataplane_api::PortState& port : view.dataplane->ports) {
    rows += fmt::format(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td data-name=\"device\">{}</td><td class=\"number\" "
        "data-name=\"received\">{}</td><td class=\"number\" data-name=\"sent\">{}</td><td class=\"number\" "
        "data-name=\"not taken in time\">{}</td><td class=\"number\" data-name=\"could not be sent\">{}</td></tr>\n",
        html(port.name), tag(port.link_up ? "good" : "bad", port.link_up ? "up" : "down"), html(port.device),
        count_text(port.rx_packets), count_text(port.tx_packets), count_text(port.rx_missed),
        count_text(port.tx_dropped));
  }
  return fmt::format(
      "<section id=\"ports\" aria-labelledby=\"h-p\"><h2 id=\"h-p\">Ports</h2><div class=\"card wide\" tabindex=\"0\" "
      "role=\"region\" aria-label=\"Ports\"><table class=\"stack\"><thead><tr><th scope=\"col\">Port</th><th "
      "scope=\"col\">Link</th><th scope=\"col\">Device</th><th scope=\"col\" class=\"number\">Received</th><th "
      "scope=\"col\" class=\"number\">Sent</th><th scope=\"col\" class=\"number\">Not taken in time</th><th "
      "scope=\"col\" class=\"number\">Could not be sent</th></tr></thead><tbody>\n{}</tbody></table></div></section>\n",
      rows);
}

std::string event_line(const json::object& event, std::int64_t now_unix_ms) {
  const std::int64_t at_unix_ms = number_at(event, "unix_ns") / 1'000'000;
  const std::tm at = utc(at_unix_ms);
  const bool today = day_text(at) == day_text(utc(now_unix_ms));
  return fmt::format("<li class=\"{}\"><time datetime=\"{}T{}Z\">{}{}</time><span>{}</span></li>\n",
                     is_bad_news(event) ? "bad-news" : "", day_text(at), clock_text(at),
                     today ? "" : day_text(at) + " ", clock_text(at), html(event_sentence(event)));
}

std::string events_section(const StatusView& view) {
  std::string out =
      "<section id=\"events\" aria-labelledby=\"h-e\"><h2 id=\"h-e\">Recent events, the last one first (UTC)</h2><ol "
      "class=\"card\">\n";
  if (view.events == nullptr || view.events->empty()) out += "<li class=\"soft\">None yet.</li>\n";
  if (view.events != nullptr) {
    std::size_t shown = 0;
    for (auto event = view.events->rbegin(); event != view.events->rend() && shown < kEventsShown; ++event, ++shown) {
      out += event_line(*event, view.now_unix_ms);
    }
  }
  return out + "</ol></section>\n";
}

}  // namespace

std::string status_sections(const StatusView& view) {
  if (view.narrowed) return services_section(view);
  return summary_section(view) + announcements_section(view) + services_section(view) + traffic_section(view) +
         ports_section(view) + events_section(view);
}

std::string status_page(const StatusView& view) {
  const std::string pop = html(text_at(view.state, "pop"));
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
      "img-src "
      "data:; base-uri 'none'; form-action 'none'\"><meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\"><title>{0} · Anypop</title><link rel=\"icon\" "
      "href=\"data:,\"><style>{1}</style></head>\n<body>"
      "<a class=\"skip\" href=\"#main\">To the announcements</a><header><h1>PoP {0}</h1><span class=\"soft\">Anypop "
      "{2}, "
      "up since {3}</span><span class=\"soft\" id=\"live\">as of {4} <noscript><a "
      "href=\"\">Reload</a></noscript></span>"
      "<span class=\"unseen\" id=\"said\" role=\"status\"></span></header>\n<main id=\"main\" "
      "tabindex=\"-1\">\n{5}</main>\n"
      "<footer class=\"soft\"><a href=\"v1/state\">State as JSON</a> · <a href=\"metrics\">Metrics</a></footer>\n"
      "<script>{6}</script></body></html>\n",
      pop, kStatusStyle, html(text_at(view.state, "version")), minute_text(number_at(view.state, "started_unix_ms")),
      clock_text(utc(view.now_unix_ms)) + " UTC", status_sections(view), kStatusScript);
}

}  // namespace anypop::healthmon
