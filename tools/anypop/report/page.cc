// SPDX-License-Identifier: Apache-2.0
#include "anypop_report/page.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "base/duration.h"
#include "bgpctl/event_log.h"

namespace anypop::report {
namespace {

using Out = std::back_insert_iterator<std::string>;

// More drawings than anybody looks at; the tables have them all.
constexpr std::size_t kDrawnMax = 25;
constexpr std::size_t kEventsListed = 500;

constexpr std::string_view kStyle = R"(<style>
:root{color-scheme:light dark;--text:#1b1f24;--soft:#59636e;--line:#d1d9e0;--back:#fff;--good:#009e73;--bad:#d55e00;--failed:#d00000;
--p0:#0072b2;--p1:#e69f00;--p2:#56b4e9;--p3:#cc79a7;--p4:#8c8c8c}
@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--soft:#9aa4af;--line:#30363d;--back:#0d1117;--good:#2bbf94;--bad:#f08a3c;
--failed:#ff6b6b;--p0:#4ba3dc;--p1:#f0b93a;--p2:#8ad0f5;--p3:#e19ac3;--p4:#a0a0a0}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);max-width:1000px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}p.soft,.soft{color:var(--soft)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:.25em .6em;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right}.scroll{overflow-x:auto}svg{width:100%;min-width:640px;height:auto;display:block}
svg text{font:11px system-ui,sans-serif;fill:var(--text)}svg .lane{text-anchor:end}svg .tick{text-anchor:middle;fill:var(--soft)}
svg .number{text-anchor:middle;fill:var(--back);font-weight:600}svg line.grid{stroke:var(--line)}svg line.mark{stroke:var(--text);stroke-dasharray:3 3}
svg circle.mark{fill:var(--text)}svg .good{fill:var(--good)}svg .bad{fill:var(--bad)}svg .failed{fill:var(--failed)}
svg .pop0{fill:var(--p0)}svg .pop1{fill:var(--p1)}svg .pop2{fill:var(--p2)}svg .pop3{fill:var(--p3)}svg .pop4{fill:var(--p4)}
.key{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em;vertical-align:-1px}details{margin-top:2em}
</style>
)";

std::string time_text(std::int64_t unix_ns) { return bgpctl::iso8601_utc(unix_ns).substr(0, 23) + "Z"; }

std::string ms_text(std::optional<double> ms) {
  if (!ms) return "–";
  if (*ms >= 10'000) return duration_text(static_cast<std::int64_t>(*ms));
  return *ms >= 100 ? fmt::format("{:.0f} ms", *ms) : fmt::format("{:.1f} ms", *ms);
}

std::string sentence(const Report& report) {
  if (report.incidents.empty()) return "No announcement was withdrawn in this time.";
  const auto open = std::count_if(report.incidents.begin(), report.incidents.end(),
                                  [](const Incident& incident) { return !incident.over(); });
  return fmt::format("{} withdrawal{}{}.", report.incidents.size(), report.incidents.size() == 1 ? "" : "s",
                     open == 0 ? std::string(", all over") : fmt::format(", {} not over yet", open));
}

void write_legend(Out out, const Report& report) {
  const auto entry = [&](std::string_view colour, std::string_view meaning) {
    fmt::format_to(out, "<span class=\"key\" style=\"background:var(--{})\"></span>{}", colour, meaning);
  };
  fmt::format_to(out, "<p class=\"soft\">");
  entry("good", "announced, healthy");
  entry("bad", "withdrawn, out of service");
  if (!report.requests.empty()) {
    const auto pops = pops_of(report.events, report.requests);
    for (std::size_t i = 0; i < pops.size(); ++i) {
      entry(fmt::format("p{}", i % kPopColours), "answered by " + html_escaped(pops[i]));
    }
    entry("failed", "failed");
  }
  fmt::format_to(out, "</p>\n");
}

void write_steps(Out out, const Report& report) {
  fmt::format_to(out,
                 "<h2>Step by step, over all withdrawals</h2>\n<div class=\"scroll\"><table><tr><th>Step</th>"
                 "<th class=\"n\">times</th><th class=\"n\">least</th><th class=\"n\">median</th>"
                 "<th class=\"n\">p90</th><th class=\"n\">most</th></tr>\n");
  for (const Step& step : kSteps) {
    const Percentiles found = percentiles(step, report.incidents);
    if (found.count == 0) continue;
    fmt::format_to(out,
                   "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
                   "<td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
                   step.name, found.count, ms_text(found.least), ms_text(found.median), ms_text(found.p90),
                   ms_text(found.most));
  }
  fmt::format_to(out, "</table></div>\n");
}

// The marks that came from outside, and the moments of the failover, in order of time.
std::vector<Mark> marks_of(const Report& report, const Incident& incident) {
  std::vector<Mark> marks;
  for (std::size_t i = 0; i < kMomentCount; ++i) {
    const auto moment = static_cast<Moment>(i);
    if (incident.at(moment)) marks.push_back({*incident.at(moment), std::string(moment_name(moment))});
  }
  const std::int64_t begin = incident.begin_unix_ns() - 10'000'000'000;
  for (const Mark& mark : report.marks) {
    if (mark.unix_ns == incident.at(Moment::kFault)) continue;
    if (mark.unix_ns >= begin && mark.unix_ns <= incident.end_unix_ns()) marks.push_back(mark);
  }
  std::stable_sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) { return a.unix_ns < b.unix_ns; });
  return marks;
}

Scene scene_of(const Report& report, std::int64_t begin, std::int64_t end, std::vector<Mark> marks) {
  const std::int64_t room = std::max<std::int64_t>((end - begin) / 12, 5'000'000);
  const std::int64_t zero = marks.front().unix_ns;
  return {.events = report.events,
          .requests = report.requests,
          .marks = std::move(marks),
          .begin_unix_ns = begin - room,
          .end_unix_ns = end + room,
          .zero_unix_ns = zero,
          .title = "timeline of the failover"};
}

// The way out needs a scale of its own: it takes milliseconds, and the return comes minutes later.
void write_drawings(Out out, const Report& report, const Incident& incident, const std::vector<Mark>& marks) {
  const Moment out_end = incident.at(Moment::kReply) ? Moment::kReply : Moment::kVerdict;
  const std::int64_t gone = std::max(incident.at(out_end).value_or(0), incident.at(Moment::kLastFailure).value_or(0));
  const std::int64_t begin = marks.front().unix_ns;
  std::vector<Mark> near;
  std::copy_if(marks.begin(), marks.end(), std::back_inserter(near), [&](const Mark& m) { return m.unix_ns <= gone; });
  if (near.size() == marks.size()) {
    fmt::format_to(out, "<div class=\"scroll\">{}</div>\n", draw(scene_of(report, begin, gone, marks)));
    return;
  }
  fmt::format_to(
      out, "<div class=\"scroll\">{}</div>\n<p class=\"soft\">Out and back:</p><div class=\"scroll\">{}</div>\n",
      draw(scene_of(report, begin, gone, std::move(near))), draw(scene_of(report, begin, marks.back().unix_ns, marks)));
}

void write_incident(Out out, const Report& report, const Incident& incident, bool drawn) {
  fmt::format_to(out, "<h2>{} {}: {}</h2>\n<p class=\"soft\">{}{}{}</p>\n", html_escaped(incident.pop),
                 html_escaped(incident.announcement), html_escaped(incident.cause), time_text(incident.begin_unix_ns()),
                 incident.over() ? fmt::format(", back after {}",
                                               ms_text(incident.between_ms(Moment::kVerdict, Moment::kReturnReply)))
                                 : std::string(", not over yet"),
                 report.requests.empty() ? std::string()
                                         : fmt::format(", {} requests failed, {} reset by the move",
                                                       incident.failed_requests, incident.moved_requests));
  const std::vector<Mark> marks = marks_of(report, incident);
  if (drawn) write_drawings(out, report, incident, marks);
  fmt::format_to(out,
                 "<div class=\"scroll\"><table><tr><th class=\"n\">#</th><th>Moment</th><th>Time (UTC)</th>"
                 "<th class=\"n\">after the first</th></tr>\n");
  for (std::size_t i = 0; i < marks.size(); ++i) {
    fmt::format_to(out, "<tr><td class=\"n\">{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>\n", i + 1,
                   html_escaped(marks[i].name), time_text(marks[i].unix_ns),
                   ms_text(static_cast<double>(marks[i].unix_ns - marks.front().unix_ns) / 1e6));
  }
  fmt::format_to(out, "</table></div>\n");
}

// Who answered how many, and how long that took.
void write_requests(Out out, const Report& report) {
  std::map<std::string, std::vector<double>> answered_ms;
  std::size_t failed = 0;
  std::size_t moved = 0;
  for (const Request& request : report.requests) {
    if (request.error.empty()) {
      answered_ms[request.pop].push_back(static_cast<double>(request.end_unix_ns - request.start_unix_ns) / 1e6);
    } else {
      ++(request.moved ? moved : failed);
    }
  }
  fmt::format_to(out,
                 "<h2>Requests by PoP</h2>\n<div class=\"scroll\"><table><tr><th>Answered by</th><th class=\"n\">"
                 "requests</th><th class=\"n\">median</th><th class=\"n\">p99</th><th class=\"n\">most</th></tr>\n");
  for (auto& [pop, ms] : answered_ms) {
    std::sort(ms.begin(), ms.end());
    fmt::format_to(
        out,
        "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">"
        "{}</td></tr>\n",
        pop.empty() ? "nobody in particular" : html_escaped(pop), ms.size(), ms_text(nearest_rank(ms, 0.5)),
        ms_text(nearest_rank(ms, 0.99)), ms_text(ms.back()));
  }
  fmt::format_to(out, "<tr><td>nobody: failed</td><td class=\"n\">{}</td><td></td><td></td><td></td></tr>\n", failed);
  fmt::format_to(
      out, "<tr><td>reset by the move</td><td class=\"n\">{}</td><td></td><td></td><td></td></tr>\n</table></div>\n",
      moved);
}

void write_events(Out out, const Report& report) {
  const auto from = report.events.size() > kEventsListed ? report.events.size() - kEventsListed : 0;
  fmt::format_to(out,
                 "<details><summary>The last {} events</summary><div class=\"scroll\"><table>"
                 "<tr><th>Time (UTC)</th><th>PoP</th><th>Event</th><th>Of</th><th>What</th></tr>\n",
                 report.events.size() - from);
  for (const Event& event : std::span(report.events).subspan(from)) {
    fmt::format_to(out, "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", time_text(event.unix_ns),
                   html_escaped(event.pop), html_escaped(event.name), html_escaped(event.object),
                   html_escaped(event.cause));
  }
  fmt::format_to(out, "</table></div></details>\n");
}

std::string overview(const Report& report) {
  const Scene scene{.events = report.events,
                    .requests = report.requests,
                    .marks = {},
                    .begin_unix_ns = report.begin_unix_ns,
                    .end_unix_ns = report.end_unix_ns,
                    .zero_unix_ns = 0,
                    .title = "timeline of the whole report"};
  return draw(scene);
}

}  // namespace

std::string to_html(const Report& report) {
  std::string page;
  const Out out(page);
  fmt::format_to(out,
                 "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                 "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{0}</title>\n{1}"
                 "</head><body><main>\n<h1>{0}</h1>\n<p>{2}</p>\n<p class=\"soft\">{3} to {4}</p>\n",
                 html_escaped(report.title), kStyle, sentence(report), time_text(report.begin_unix_ns),
                 time_text(report.end_unix_ns));
  write_legend(out, report);
  fmt::format_to(out, "<div class=\"scroll\">{}</div>\n", overview(report));
  if (!report.incidents.empty()) write_steps(out, report);
  if (!report.requests.empty()) write_requests(out, report);
  for (std::size_t i = 0; i < report.incidents.size(); ++i) {
    write_incident(out, report, report.incidents[i], i < kDrawnMax);
  }
  write_events(out, report);
  if (report.skipped_lines > 0)
    fmt::format_to(out, "<p class=\"soft\">{} lines could not be read.</p>\n", report.skipped_lines);
  page += "</main></body></html>\n";
  return page;
}

std::string to_text(const Report& report) {
  std::string text = fmt::format("{}\n{} to {}\n{}\n", report.title, time_text(report.begin_unix_ns),
                                 time_text(report.end_unix_ns), sentence(report));
  const Out out(text);
  for (const Incident& incident : report.incidents) {
    fmt::format_to(out, "\n{} {} {}: {}\n", time_text(incident.begin_unix_ns()), incident.pop, incident.announcement,
                   incident.cause);
    for (const Step& step : kSteps) {
      if (const auto ms = incident.between_ms(step.from, step.to)) {
        fmt::format_to(out, "  {:<32} {:>12}\n", step.name, ms_text(ms));
      }
    }
    if (!report.requests.empty()) fmt::format_to(out, "  {:<32} {:>12}\n", "failed requests", incident.failed_requests);
  }
  if (report.incidents.size() > 1) {
    fmt::format_to(out, "\n{:<34} {:>5} {:>12} {:>12} {:>12}\n", "all of them", "times", "median", "p90", "most");
    for (const Step& step : kSteps) {
      const Percentiles found = percentiles(step, report.incidents);
      if (found.count == 0) continue;
      fmt::format_to(out, "  {:<32} {:>5} {:>12} {:>12} {:>12}\n", step.name, found.count, ms_text(found.median),
                     ms_text(found.p90), ms_text(found.most));
    }
  }
  return text;
}

}  // namespace anypop::report
