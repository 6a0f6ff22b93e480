// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/status_text.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "anypop_cli/json_read.h"
#include "base/text.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

using Page = std::back_insert_iterator<std::string>;

void write_announcements(Page page, const json::value& monitor) {
  for (const json::value& announcement : list_of(&monitor, "announcements")) {
    const std::string exported = names(list_of(&announcement, "exported_to"));
    fmt::format_to(page, "announcement {:<12} {:<10} {}\n", text_of(&announcement, "name"),
                   flag_of(&announcement, "announce") ? "announced" : "withdrawn", text_of(&announcement, "cause"));
    fmt::format_to(page, "  exported to {}\n", exported.empty() ? "nobody" : exported);
  }
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
    fmt::format_to(page, "service {:<12} {} {}/{}\n", service.name, service.vip, service.protocol, service.port);
    std::uint64_t total = 0;
    for (const auto& backend : service.backends) total += backend.slots;
    for (const auto& backend : service.backends) {
      json::array storage;
      const json::value* probed = find_backend(services, service.name, backend.name, storage);
      const double share = total == 0 ? 0 : 100.0 * static_cast<double>(backend.slots) / static_cast<double>(total);
      fmt::format_to(page, "  {:<12} {:<24} {:<9} {:>5.1f} % of new flows {:>12} packets  {}{}\n", backend.name,
                     backend.address, backend.healthy ? "healthy" : "down", share,
                     packets_of(facts, service.name, backend.name),
                     backend.resolved ? backend.mac : std::string("no MAC known"),
                     probed == nullptr || backend.healthy ? "" : "  " + text_of(probed, "cause"));
    }
  }
}

void write_dataplane(Page page, const PopFacts& facts) {
  for (const dataplane_api::PortState& port : facts.dataplane->ports) {
    fmt::format_to(page, "port {:<12} {} {} link {}  rx {} missed {}  tx {} dropped {}\n", port.name, port.device,
                   port.mac, port.link_up ? "up" : "DOWN", port.rx_packets, port.rx_missed, port.tx_packets,
                   port.tx_dropped);
  }
  if (!facts.stats.ok()) return;
  fmt::format_to(page, "verdicts");
  for (const auto& count : facts.stats->verdicts) {
    if (count.packets > 0) fmt::format_to(page, "  {} {}", count.verdict, count.packets);
  }
  fmt::format_to(page, "\n");
}

}  // namespace

std::string status_text(const PopConfig& config, const PopFacts& facts) {
  std::string out;
  const Page page(out);
  fmt::format_to(page, "PoP {}\n", config.pop);
  if (facts.monitor.ok()) {
    write_announcements(page, *facts.monitor);
  } else {
    fmt::format_to(page, "monitor does not answer: {}\n", message(facts.monitor.status()));
  }
  if (facts.dataplane.ok()) {
    write_services(page, facts);
    write_dataplane(page, facts);
  } else {
    fmt::format_to(page, "dataplane does not answer: {}\n", message(facts.dataplane.status()));
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
