// SPDX-License-Identifier: Apache-2.0
// What `anypop top` shows: two looks at a PoP become rates, and rates become a page. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json/object.hpp>

#include "anypop_cli/announcement_text.h"
#include "anypop_cli/facts.h"
#include "dataplane_api/messages.h"

namespace anypop::cli {

// The PoP at one moment.
struct Look {
  double at_s = 0;  // of a clock that does not go back
  PopFacts facts;
  absl::StatusOr<dataplane_api::Heartbeat> heartbeat;
};

// Per second between two looks; nullopt: not known, because one of them is missing or the dataplane began anew.
struct Rate {
  std::string name;
  std::uint64_t total = 0;  // since the start of the dataplane
  std::optional<double> per_s;
};
struct BackendRates {
  Rate packets;
  Rate bytes;
  std::string address;
  bool healthy = false;
  bool resolved = false;
};
struct ServiceRates {
  std::string name;
  std::string endpoint;  // "198.51.100.1 tcp/80"
  std::vector<BackendRates> backends;
};
struct PortRates {
  std::string name;
  bool link_up = false;
  Rate rx, tx, missed, dropped;
};
struct WorkerRates {
  Rate loops;
  double age_ms = 0;
};
struct TopView {
  std::string pop;
  std::uint64_t generation = 0;
  std::string dataplane_error;  // empty: it answers
  std::string monitor_error;
  std::vector<AnnouncementText> announcements;
  std::vector<Rate> verdicts;  // those that were ever met
  std::vector<ServiceRates> services;
  std::vector<PortRates> ports;
  std::vector<WorkerRates> workers;
};
TopView make_view(const std::string& pop, const Look& before, const Look& now);

// Both daemons answer and everything is announced.
bool is_good(const TopView& view);

struct PageStyle {
  std::size_t width = 100;  // columns; longer lines are cut
  bool color = false;
};
std::vector<std::string> page_lines(const TopView& view, const PageStyle& style);
boost::json::object view_json(const TopView& view);

}  // namespace anypop::cli
