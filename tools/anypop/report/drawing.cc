// SPDX-License-Identifier: Apache-2.0
#include "anypop_report/drawing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "bgpctl/event_log.h"

namespace anypop::report {
namespace {

constexpr double kWidth = 985;
constexpr double kLeft = 190;  // of the drawing; lane names stand before it
constexpr double kRight = 950;
constexpr double kLane = 22;
constexpr double kHistogram = 84;
constexpr double kMarkRow = 18;
constexpr std::size_t kBins = 120;
constexpr std::size_t kLanesMax = 60;

using Out = std::back_insert_iterator<std::string>;

struct Scale {
  std::int64_t begin;
  std::int64_t end;
  double x(std::int64_t unix_ns) const {
    const double share =
        static_cast<double>(unix_ns - begin) / static_cast<double>(std::max<std::int64_t>(end - begin, 1));
    return kLeft + std::clamp(share, 0.0, 1.0) * (kRight - kLeft);
  }
};

// A level over time: good or not.
struct Lane {
  std::string name;
  std::vector<std::pair<std::int64_t, bool>> changes;
};

std::optional<std::string> lane_of(const Event& event) {
  if (!event.level) return std::nullopt;
  switch (event.kind) {
    case EventKind::kBackend: return "2" + event.pop + " " + event.object;
    case EventKind::kDataplane: return "1" + event.pop + " dataplane";
    case EventKind::kCommand: return event.ok ? std::optional("0" + event.pop + " " + event.object) : std::nullopt;
    default: return std::nullopt;
  }
}

std::vector<Lane> lanes_of(const Scene& scene) {
  std::map<std::string, Lane> lanes;  // the key's first character is the order of kinds
  std::set<std::string> changed;
  for (const Event& event : scene.events) {
    const auto key = lane_of(event);
    if (!key || event.unix_ns > scene.end_unix_ns) continue;
    Lane& lane = lanes[*key];
    lane.name = key->substr(1);
    const std::int64_t when = event.replied_unix_ns > 0 ? event.replied_unix_ns : event.unix_ns;
    if (!lane.changes.empty() && lane.changes.back().second == *event.level) continue;
    lane.changes.emplace_back(when, *event.level);
    if (when >= scene.begin_unix_ns) changed.insert(*key);
  }
  std::vector<Lane> result;
  for (auto& [key, lane] : lanes) {
    if (changed.contains(key) && result.size() < kLanesMax) result.push_back(std::move(lane));
  }
  return result;
}

void draw_level(Out out, const Scale& scale, double y, std::int64_t from, std::int64_t to, bool good) {
  const double begin = scale.x(from);
  fmt::format_to(out, R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.0f}"/>)",
                 good ? "good" : "bad", begin, y + 4, std::max(scale.x(to) - begin, 0.0), kLane - 8);
}

void draw_lane(Out out, const Scale& scale, const Lane& lane, double y) {
  fmt::format_to(out, R"(<text class="lane" x="{:.0f}" y="{:.1f}">{}</text>)", kLeft - 8, y + kLane * 0.68,
                 html_escaped(lane.name));
  // Before its first change a level was the other one.
  bool good = !lane.changes.front().second;
  std::int64_t since = scale.begin;
  for (const auto& [when, level] : lane.changes) {
    if (when > scale.begin) draw_level(out, scale, y, since, when, good);
    since = std::max(since, when);
    good = level;
  }
  draw_level(out, scale, y, since, scale.end, good);
}

// Steps of 1, 2 or 5 times a power of ten; above a second, of what clocks have.
std::int64_t tick_ns(std::int64_t span_ns) {
  constexpr std::array<std::int64_t, 16> kSeconds{1,   2,   5,    10,   15,   30,    60,    120,
                                                  300, 600, 1800, 3600, 7200, 21600, 43200, 86400};
  const std::int64_t least = span_ns / 8;
  for (std::int64_t tick = 1000; tick < 1'000'000'000; tick *= 10) {
    for (const int factor : {1, 2, 5}) {
      if (tick * factor >= least) return tick * factor;
    }
  }
  for (const std::int64_t seconds : kSeconds) {
    if (seconds * 1'000'000'000 >= least) return seconds * 1'000'000'000;
  }
  return (least / 86'400'000'000'000 + 1) * 86'400'000'000'000;
}

std::string tick_text(std::int64_t unix_ns, std::int64_t zero_ns, std::int64_t tick) {
  if (zero_ns == 0) {
    const std::string time = bgpctl::iso8601_utc(unix_ns);
    if (tick >= 86'400'000'000'000) return time.substr(5, 5);
    return tick >= 60'000'000'000 ? time.substr(11, 5) : time.substr(11, tick >= 1'000'000'000 ? 8 : 12);
  }
  const double ms = static_cast<double>(unix_ns - zero_ns) / 1e6;
  return tick >= 1'000'000'000 ? fmt::format("{:g} s", ms / 1000) : fmt::format("{:g} ms", ms);
}

void draw_ticks(Out out, const Scene& scene, const Scale& scale, double top, double bottom) {
  const std::int64_t tick = tick_ns(scale.end - scale.begin);
  const std::int64_t from = scale.begin - scene.zero_unix_ns;
  std::int64_t at = scene.zero_unix_ns + (from >= 0 ? (from + tick - 1) / tick : from / tick) * tick;
  for (; at <= scale.end; at += tick) {
    fmt::format_to(out,
                   R"(<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.0f}" y2="{2:.0f}"/>)"
                   R"(<text class="tick" x="{0:.1f}" y="{3:.0f}">{4}</text>)",
                   scale.x(at), top, bottom, bottom + 14, tick_text(at, scene.zero_unix_ns, tick));
  }
}

using Bin = std::map<std::size_t, std::size_t>;  // answers by PoP; kFailed for those without

constexpr std::size_t kFailed = 99;

std::vector<Bin> bins_of(const Scene& scene, const std::vector<std::string>& pops) {
  std::vector<Bin> bins(kBins);
  const std::int64_t span_ns = scene.end_unix_ns - scene.begin_unix_ns;
  const std::int64_t width = std::max<std::int64_t>(span_ns / static_cast<std::int64_t>(kBins), 1);
  for (const Request& request : scene.requests) {
    if (request.start_unix_ns < scene.begin_unix_ns || request.start_unix_ns >= scene.end_unix_ns) continue;
    const auto bin = static_cast<std::size_t>((request.start_unix_ns - scene.begin_unix_ns) / width);
    const auto pop = static_cast<std::size_t>(std::find(pops.begin(), pops.end(), request.pop) - pops.begin());
    if (request.moved) continue;
    ++bins[std::min(bin, kBins - 1)][request.error.empty() ? pop : kFailed];
  }
  return bins;
}

void draw_requests(Out out, const Scene& scene, const std::vector<std::string>& pops, double top) {
  const std::vector<Bin> bins = bins_of(scene, pops);
  std::size_t most = 1;
  for (const Bin& bin : bins) {
    std::size_t sum = 0;
    for (const auto& [who, count] : bin) sum += count;
    most = std::max(most, sum);
  }
  fmt::format_to(out, R"(<text class="lane" x="{:.0f}" y="{:.0f}">requests by PoP</text>)", kLeft - 8,
                 top + kHistogram / 2);
  const double width = (kRight - kLeft) / kBins;
  for (std::size_t i = 0; i < kBins; ++i) {
    double y = top + kHistogram;
    for (const auto& [who, count] : bins[i]) {
      const double height = (kHistogram - 6) * static_cast<double>(count) / static_cast<double>(most);
      y -= height;
      fmt::format_to(out, R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>)",
                     who == kFailed ? std::string("failed") : fmt::format("pop{}", who % kPopColours),
                     kLeft + static_cast<double>(i) * width, y, width - 0.6, height);
    }
  }
}

// Numbered, in rows where they would lie on each other. All lines are drawn first: none may cross a number.
void draw_marks(Out out, const Scene& scene, const Scale& scale, double top, double bottom) {
  std::vector<double> rows;  // where the last mark of each row stands
  std::string numbers;
  for (std::size_t i = 0; i < scene.marks.size(); ++i) {
    const double x = scale.x(scene.marks[i].unix_ns);
    const auto free = std::find_if(rows.begin(), rows.end(), [&](double last) { return x - last > 18; });
    const auto row = static_cast<std::size_t>(free - rows.begin());
    if (row == rows.size()) rows.push_back(x);
    rows[row] = x;
    const double y = top - 10 - kMarkRow * static_cast<double>(row);
    fmt::format_to(out, R"(<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.0f}" y2="{2:.0f}"/>)", x, y, bottom);
    fmt::format_to(std::back_inserter(numbers),
                   R"(<circle class="mark" cx="{0:.1f}" cy="{1:.0f}" r="8"><title>{3}</title></circle>)"
                   R"(<text class="number" x="{0:.1f}" y="{2:.0f}">{4}</text>)",
                   x, y, y + 4, html_escaped(scene.marks[i].name), i + 1);
  }
  fmt::format_to(out, "{}", numbers);
}

// Marks that stand together need a row each.
double room_for_marks(const Scene& scene) {
  return 24 + kMarkRow * static_cast<double>(std::min<std::size_t>(scene.marks.size(), 6));
}

}  // namespace

std::vector<std::string> pops_of(std::span<const Event> events, std::span<const Request> requests) {
  std::set<std::string> names;
  for (const Event& event : events) names.insert(event.pop);
  for (const Request& request : requests) {
    if (!request.pop.empty()) names.insert(request.pop);
  }
  return {names.begin(), names.end()};
}

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

std::string draw(const Scene& scene) {
  const Scale scale{scene.begin_unix_ns, scene.end_unix_ns};
  const std::vector<Lane> lanes = lanes_of(scene);
  const double top = room_for_marks(scene);
  const double first_lane = top + (scene.requests.empty() ? 0 : kHistogram + 6);
  const double bottom = first_lane + kLane * static_cast<double>(lanes.size());
  std::string svg;
  const Out out(svg);
  fmt::format_to(out, R"(<svg viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">)", kWidth, bottom + 22,
                 html_escaped(scene.title));
  draw_ticks(out, scene, scale, top, bottom);
  if (!scene.requests.empty()) draw_requests(out, scene, pops_of(scene.events, scene.requests), top);
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    draw_lane(out, scale, lanes[i], first_lane + kLane * static_cast<double>(i));
  }
  draw_marks(out, scene, scale, top, bottom);
  svg += "</svg>\n";
  return svg;
}

}  // namespace anypop::report
