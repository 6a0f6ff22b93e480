// SPDX-License-Identifier: Apache-2.0
// The lease: what is done when the monitor is dead and does not come back. Run by systemd (OnFailure=), not by people.
#include <algorithm>
#include <optional>
#include <string>

#include "actions.h"
#include "base/text.h"
#include "bgpctl/holds.h"
#include "bird.h"
#include "monitor_state.h"
#include "report.h"
#include "status.h"
#include "steps.h"

namespace anypop::bgpctl {
namespace {

// Why an announcement stays as it is; nullopt: it goes.
std::optional<std::string> stays(const PopConfig& config, const AnnouncementConfig& announcement,
                                 const absl::StatusOr<BirdView>& view) {
  if (announcement.canary) return "a canary is always announced";
  if (announcement.if_monitor_lost == MonitorLost::kKeep) return "if_monitor_lost: keep";
  const auto hold = load_hold(config, announcement.name, now_unix_ms());
  if (hold.ok() && *hold && (*hold)->kind != HoldKind::kDrain) {
    return hold_text(**hold, now_unix_ms());
  }
  if (!announcement.keep_last) return std::nullopt;
  if (!view.ok())
    return fmt::format("keep_last, and BIRD does not tell who else announces it: {}", message(view.status()));
  if (has_others(announcement, *view).value_or(false)) return std::nullopt;
  return "keep_last, and BIRD knows nobody else who announces it";
}

}  // namespace

int withdraw_monitor_lost(const PopConfig& config, const Order& order) {
  Report report(config, order);
  // It came back in the meantime: then it decides. One that hangs does not answer.
  if (const auto monitor = ask_monitor(config); monitor.ok()) {
    for (const AnnouncementConfig& announcement : order.announcements) {
      report.good(announcement.name, "left to the monitor, which answers");
    }
    return report.finish();
  }
  const bool asks = std::any_of(order.announcements.begin(), order.announcements.end(),
                                [](const AnnouncementConfig& announcement) { return announcement.keep_last; });
  const absl::StatusOr<BirdView> view = asks ? Bird(config).look() : BirdView{};
  Order withdrawn = order;
  withdrawn.announcements.clear();
  for (const AnnouncementConfig& announcement : order.announcements) {
    if (const auto why = stays(config, announcement, view)) {
      report.good(announcement.name, fmt::format("kept as it is: {}", *why));
    } else {
      withdrawn.announcements.push_back(announcement);
    }
  }
  return withdraw_above(config, withdrawn, report);
}

}  // namespace anypop::bgpctl
