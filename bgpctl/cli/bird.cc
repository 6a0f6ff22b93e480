// SPDX-License-Identifier: Apache-2.0
#include "bird.h"

#include <optional>
#include <utility>

namespace anypop::bgpctl {

absl::StatusOr<BirdView> Bird::look() {
  std::optional<absl::StatusOr<BirdView>> result;
  announcer_.look([&](absl::StatusOr<BirdView> view) { result = std::move(view); });
  io_.restart();
  while (!result) io_.run_one();
  return *std::move(result);
}

SetResult Bird::set(const AnnouncementConfig& announcement, Level level) {
  std::optional<SetResult> result;
  announcer_.set(announcement, level, [&](SetResult got) { result = std::move(got); });
  io_.restart();
  while (!result) io_.run_one();
  return *std::move(result);
}

}  // namespace anypop::bgpctl
