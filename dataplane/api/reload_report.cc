// SPDX-License-Identifier: Apache-2.0
#include "dataplane_api/reload_report.h"

#include <fmt/format.h>

namespace anypop::dataplane_api {
namespace {

std::string with(const std::string& what) { return what.empty() ? std::string() : ": " + what; }

std::string moved(const ServiceChange& service) {
  if (service.slots == 0) return {};
  const double percent = 100.0 * static_cast<double>(service.slots_moved) / static_cast<double>(service.slots);
  return fmt::format("{} {:.1f} % of new flows go elsewhere", service.what.empty() ? ":" : ";", percent);
}

}  // namespace

ReloadReport make_reload_report(const ConfigDiff& diff) {
  ReloadReport report;
  report.refused = diff.refused;
  report.settings = diff.settings;
  for (const ServiceDiff& service : diff.services) {
    ServiceChange& change = report.services.emplace_back();
    change = {service.name,       std::string(change_name(service.change)), service.what, {}, service.slots,
              service.slots_moved};
    for (const BackendDiff& backend : service.backends) {
      change.backends.push_back({backend.name, std::string(change_name(backend.change)), backend.what});
    }
  }
  return report;
}

std::vector<std::string> reload_lines(const ReloadReport& report) {
  std::vector<std::string> lines;
  for (const std::string& refused : report.refused) lines.push_back("needs a restart: " + refused);
  for (const std::string& setting : report.settings) lines.push_back("setting " + setting);
  for (const ServiceChange& service : report.services) {
    lines.push_back(fmt::format("service {} {}{}{}", service.name, service.change, with(service.what), moved(service)));
    for (const BackendChange& backend : service.backends) {
      lines.push_back(
          fmt::format("backend {}/{} {}{}", service.name, backend.name, backend.change, with(backend.what)));
    }
  }
  return lines;
}

}  // namespace anypop::dataplane_api
