// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/status_text.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "anypop_cli/announcement_text.h"
#include "anypop_cli/json_read.h"
#include "anypop_cli/paint.h"
#include "base/text.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

// Where the text goes, and whether in colours.
struct Page {
  std::string& text;
  bool color = false;

  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) const {
    fmt::format_to(std::back_inserter(text), format, std::forward<Args>(args)...);
  }
  std::string paint(std::string_view words, Paint paint) const { return painted(words, paint, color); }
};

void write_announcements(Page page, const json::value& monitor) {
  for (const json::value& announcement : list_of(&monitor, "announcements")) {
    const AnnouncementText text = announcement_text(announcement);
    page.add("announcement {:<12} {} {}\n", text.name, page.paint(fmt::format("{:<10}", text.level), text.paint),
             text.cause);
    page.add("  exported to {}\n", text.exported_to);
    for (const std::string& note : text.notes) page.add("  {}\n", page.paint(note, Paint::kWarn));
  }
}

void write_bird(Page page, const json::value& monitor) {
  const json::value* bird = member(&monitor, "bird");
  if (bird == nullptr || !bird->is_object()) return;
  if (!flag_of(bird, "reachable")) {
    page.add("{}\n", page.paint("BIRD does not answer: " + escaped(text_of(bird, "error")), Paint::kBad));
    return;
  }
  page.add("BIRD {}", escaped(text_of(bird, "version")));
  for (const json::value& session : list_of(bird, "sessions")) {
    const bool up = flag_of(&session, "established");
    page.add("  session {} {}", escaped(text_of(&session, "name")),
             page.paint(up ? "established" : "DOWN", up ? Paint::kPlain : Paint::kBad));
  }
  page.add("\n");
}

// What the monitor says of one backend; null if it says nothing.
const json::value* find_backend(const json::array& services, std::string_view service, std::string_view backend,
                                json::array& storage) {
  for (const json::value& candidate : services) {
    if (text_of(&candidate, "name") != service) continue;
    storage = list_of(&candidate, "backends");
    const auto* const at = std::find_if(storage.begin(), storage.end(),
                                        [&](const json::value& b) { return text_of(&b, "name") == backend; });
    return at == storage.end() ? nullptr : at;
  }
  return nullptr;
}

std::uint64_t packets_of(const PopFacts& facts, std::string_view service, std::string_view backend) {
  if (!facts.stats.ok()) return 0;
  for (const auto& candidate : facts.stats->services) {
    if (candidate.name != service) continue;
    for (const auto& entry : candidate.backends) {
      if (entry.name == backend) return entry.packets;
    }
  }
  return 0;
}

void write_services(Page page, const PopFacts& facts) {
  const json::array services = facts.monitor.ok() ? list_of(&*facts.monitor, "services") : json::array();
  for (const dataplane_api::ServiceState& service : facts.dataplane->services) {
    page.add("service {:<12} {} {}/{}\n", service.name, service.vip, service.protocol, service.port);
    std::uint64_t total = 0;
    for (const auto& backend : service.backends) total += backend.slots;
    for (const auto& backend : service.backends) {
      json::array storage;
      const json::value* probed = find_backend(services, service.name, backend.name, storage);
      const double share = total == 0 ? 0 : 100.0 * static_cast<double>(backend.slots) / static_cast<double>(total);
      const std::string state = fmt::format("{:<9}", backend.healthy ? "healthy" : "down");
      page.add("  {:<12} {:<24} {} {:>5.1f} % of new flows {:>12} packets  {}{}\n", backend.name, backend.address,
               page.paint(state, backend.healthy ? Paint::kGood : Paint::kBad), share,
               packets_of(facts, service.name, backend.name),
               backend.resolved ? backend.mac : page.paint("no MAC known", Paint::kBad),
               probed == nullptr || backend.healthy ? "" : "  " + text_of(probed, "cause"));
    }
  }
}

void write_dataplane(Page page, const PopFacts& facts) {
  for (const dataplane_api::PortState& port : facts.dataplane->ports) {
    page.add("port {:<12} {} {} link {}  rx {} missed {}  tx {} dropped {}\n", port.name, port.device, port.mac,
             page.paint(port.link_up ? "up" : "DOWN", port.link_up ? Paint::kPlain : Paint::kBad), port.rx_packets,
             port.rx_missed, port.tx_packets, port.tx_dropped);
  }
  if (!facts.stats.ok()) return;
  page.add("verdicts");
  for (const auto& count : facts.stats->verdicts) {
    if (count.packets == 0) continue;
    page.add("  {}", page.paint(fmt::format("{} {}", count.verdict, count.packets),
                                count.verdict.starts_with("drop_") ? Paint::kWarn : Paint::kPlain));
  }
  page.add("\n");
}

}  // namespace

std::string status_text(const PopConfig& config, const PopFacts& facts, bool color) {
  std::string out;
  const Page page{out, color};
  const auto silent = [&](std::string_view who, const absl::Status& why) {
    page.add("{}\n", page.paint(fmt::format("{} does not answer: {}", who, message(why)), Paint::kBad));
  };
  page.add("PoP {}\n", page.paint(config.pop, Paint::kBold));
  if (facts.monitor.ok()) {
    write_announcements(page, *facts.monitor);
    write_bird(page, *facts.monitor);
  } else {
    silent("monitor", facts.monitor.status());
  }
  if (facts.dataplane.ok()) {
    write_services(page, facts);
    write_dataplane(page, facts);
  } else {
    silent("dataplane", facts.dataplane.status());
  }
  return out;
}

bool is_good(const PopFacts& facts) {
  if (!facts.monitor.ok() || !facts.dataplane.ok()) return false;
  const json::array announcements = list_of(&*facts.monitor, "announcements");
  return std::all_of(announcements.begin(), announcements.end(),
                     [](const json::value& announcement) { return flag_of(&announcement, "announce"); });
}

}  // namespace anypop::cli
