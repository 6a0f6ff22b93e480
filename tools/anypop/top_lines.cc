// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include "anypop_cli/top_page.h"
#include "base/text.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kPlain = "\x1b[0m";

// 1234567 → "1.23M"; four characters or five.
std::string short_number(double value) {
  constexpr std::string_view kUnits[] = {"", "k", "M", "G", "T"};
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) value /= 1000, ++unit;
  const int digits = unit == 0 || value >= 99.95 ? 0 : (value >= 9.995 ? 1 : 2);
  return fmt::format("{:.{}f}{}", value, digits, kUnits[unit]);
}

std::string rate_text(const Rate& rate) { return rate.per_s ? short_number(*rate.per_s) : "-"; }
std::string bits_text(const Rate& rate) { return rate.per_s ? short_number(*rate.per_s * 8) : "-"; }

double known(const Rate& rate) { return rate.per_s.value_or(0); }

class Page {
 public:
  explicit Page(const PageStyle& style) : style_(style) {}

  // `text` is cut to the width; what other programs said may hold anything.
  void line(const std::string& text, std::string_view mark = {}) {
    std::string cut = text.substr(0, style_.width);
    std::ranges::replace_if(
        cut, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, '?');
    const bool marked = style_.color && !mark.empty();
    lines_.push_back(marked ? fmt::format("{}{}{}", mark, cut, kPlain) : cut);
  }
  void heading(const std::string& text) {
    line("");
    line(text, kBold);
  }
  std::vector<std::string> take() { return std::move(lines_); }

 private:
  PageStyle style_;
  std::vector<std::string> lines_;
};

void add_announcements(const TopView& view, Page& page) {
  if (!view.monitor_error.empty()) return page.line("monitor does not answer: " + view.monitor_error, kRed);
  for (const AnnouncementText& one : view.announcements) {
    page.line(fmt::format("{:<14} {:<10} {}; exported to {}", one.name, one.level, one.cause, one.exported_to),
              one.paint == Paint::kGood  ? std::string_view()
              : one.paint == Paint::kBad ? kRed
                                         : kYellow);
    for (const std::string& note : one.notes) page.line(fmt::format("{:<14} {}", "", note), kYellow);
  }
}

void add_ports_and_workers(const TopView& view, Page& page) {
  page.heading(fmt::format("{:<14} {:>9} {:>9} {:>9} {:>9}", "port", "rx/s", "tx/s", "missed/s", "dropped/s"));
  for (const PortRates& port : view.ports) {
    page.line(fmt::format("{:<14} {:>9} {:>9} {:>9} {:>9}{}", port.name, rate_text(port.rx), rate_text(port.tx),
                          rate_text(port.missed), rate_text(port.dropped), port.link_up ? "" : "  link DOWN"),
              port.link_up && known(port.missed) + known(port.dropped) == 0 ? std::string_view() : kRed);
  }
  page.heading(fmt::format("{:<14} {:>9} {:>14}", "worker", "polls/s", "last pass"));
  for (const WorkerRates& worker : view.workers) {
    constexpr double kLateMs = 200;
    page.line(fmt::format("{:<14} {:>9} {:>11.1f} ms", worker.loops.name, rate_text(worker.loops), worker.age_ms),
              worker.age_ms > kLateMs ? kRed : std::string_view());
  }
}

void add_verdicts(const TopView& view, Page& page) {
  double all = 0;
  for (const Rate& verdict : view.verdicts) all += known(verdict);
  page.heading(fmt::format("{:<26} {:>9} {:>8} {:>14}", "verdict", "packets/s", "share", "since start"));
  for (const Rate& verdict : view.verdicts) {
    const bool dropping = verdict.name.starts_with("drop_") && known(verdict) > 0;
    page.line(fmt::format("{:<26} {:>9} {:>7.1f}% {:>14}", verdict.name, rate_text(verdict),
                          all > 0 ? 100 * known(verdict) / all : 0.0, verdict.total),
              dropping ? kRed : std::string_view());
  }
}

void add_services(const TopView& view, Page& page) {
  constexpr double kBarColumns = 20;
  for (const ServiceRates& service : view.services) {
    double all = 0;
    for (const BackendRates& backend : service.backends) all += known(backend.packets);
    page.heading(fmt::format("{:<14} {:>11} {:>9}  {}", service.name, "packets/s", "bit/s", service.endpoint));
    for (const BackendRates& backend : service.backends) {
      const double share = all > 0 ? known(backend.packets) / all : 0.0;
      const std::string state = !backend.healthy ? "down" : (backend.resolved ? "healthy" : "no MAC known");
      page.line(fmt::format("  {:<12} {:>11} {:>9}  {:<22} {:<12} {}", backend.packets.name, rate_text(backend.packets),
                            bits_text(backend.bytes), backend.address, state,
                            std::string(static_cast<std::size_t>(std::lround(share * kBarColumns)), '#')),
                backend.healthy && backend.resolved ? std::string_view() : kRed);
    }
  }
}

json::object rate_json(const Rate& rate) {
  return {{"total", rate.total}, {"per_s", rate.per_s ? json::value(*rate.per_s) : json::value(nullptr)}};
}

json::array services_json(const TopView& view) {
  json::array services;
  for (const ServiceRates& service : view.services) {
    json::array backends;
    for (const BackendRates& backend : service.backends) {
      backends.push_back(json::object{{"name", backend.packets.name},
                                      {"address", backend.address},
                                      {"healthy", backend.healthy},
                                      {"resolved", backend.resolved},
                                      {"packets", rate_json(backend.packets)},
                                      {"bytes", rate_json(backend.bytes)}});
    }
    services.push_back(json::object{{"name", service.name}, {"endpoint", service.endpoint}, {"backends", backends}});
  }
  return services;
}

json::value text_or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }

}  // namespace

std::vector<std::string> page_lines(const TopView& view, const PageStyle& style) {
  Page page(style);
  page.line(fmt::format("PoP {}   {}", view.pop,
                        view.dataplane_error.empty() ? fmt::format("dataplane generation {}", view.generation)
                                                     : std::string("dataplane does not answer")),
            kBold);
  add_announcements(view, page);
  if (!view.dataplane_error.empty()) {
    page.line("dataplane does not answer: " + view.dataplane_error, kRed);
    return page.take();
  }
  add_ports_and_workers(view, page);
  add_verdicts(view, page);
  add_services(view, page);
  return page.take();
}

json::object view_json(const TopView& view) {
  json::array announcements;
  for (const AnnouncementText& one : view.announcements) {
    json::array notes;
    for (const std::string& note : one.notes) notes.emplace_back(note);
    announcements.push_back(json::object{{"name", one.name},
                                         {"announced", one.level != "withdrawn"},
                                         {"level", one.level},
                                         {"cause", one.cause},
                                         {"exported_to", one.exported_to},
                                         {"notes", std::move(notes)}});
  }
  json::object verdicts;
  for (const Rate& verdict : view.verdicts) verdicts[verdict.name] = rate_json(verdict);
  json::array ports;
  for (const PortRates& port : view.ports) {
    ports.push_back(json::object{{"name", port.name},
                                 {"link_up", port.link_up},
                                 {"rx", rate_json(port.rx)},
                                 {"tx", rate_json(port.tx)},
                                 {"missed", rate_json(port.missed)},
                                 {"dropped", rate_json(port.dropped)}});
  }
  json::array workers;
  for (const WorkerRates& worker : view.workers) {
    workers.push_back(
        json::object{{"worker", worker.loops.name}, {"loops", rate_json(worker.loops)}, {"age_ms", worker.age_ms}});
  }
  return {{"pop", view.pop},
          {"good", is_good(view)},
          {"generation", view.generation},
          {"dataplane_error", text_or_null(view.dataplane_error)},
          {"monitor_error", text_or_null(view.monitor_error)},
          {"announcements", announcements},
          {"verdicts", verdicts},
          {"services", services_json(view)},
          {"ports", ports},
          {"workers", workers}};
}

}  // namespace anypop::cli
