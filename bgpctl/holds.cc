// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/holds.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "bgpctl/folder_lock.h"
#include "shared_file.h"

namespace anypop::bgpctl {
namespace {

namespace json = boost::json;

// Only names of the configuration become paths.
absl::StatusOr<std::filesystem::path> hold_path(const PopConfig& config, std::string_view announcement) {
  if (config.find_announcement(announcement) == nullptr) {
    return not_found("found announcement '{}', expected one of {}", escaped(announcement), config.file.string());
  }
  return config.holds_dir() / fmt::format("{}.json", announcement);
}

// Names hold no dot, so this is no other announcement's.
std::filesystem::path beneath_path(const std::filesystem::path& path) {
  return std::filesystem::path(path).replace_extension(".beneath.json");
}

absl::Status remove_file(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error(errno, "cannot remove {}", path.string());
  return absl::OkStatus();
}

// Ends the hold in one step: there is no moment without the one that waits beneath it.
absl::Status end_file(const std::filesystem::path& path) {
  const std::filesystem::path beneath = beneath_path(path);
  std::error_code error;
  // Whoever wanted to lay another one above it died in between: rename(2) does nothing to two names of one file.
  if (std::filesystem::equivalent(beneath, path, error)) {
    if (absl::Status removed = remove_file(beneath); !removed.ok()) return removed;
    return remove_file(path);
  }
  if (::rename(beneath.c_str(), path.c_str()) == 0) return absl::OkStatus();
  if (errno != ENOENT) return errno_error(errno, "cannot replace {}", path.string());
  return remove_file(path);
}

absl::Status wrong(const std::filesystem::path& path, std::string_view what) {
  return invalid_argument(
      "{}: {}; expected a hold as bgpctl writes it; repair it with `bgpctl release` and place it "
      "again",
      path.string(), what);
}

const json::string* text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_string();
}

const std::int64_t* number_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_int64();
}

absl::StatusOr<Hold> parse_hold(std::string_view text, const std::filesystem::path& path) {
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return wrong(path, "found no JSON object");
  const json::object& object = value.as_object();
  const json::string* kind = text_at(object, "kind");
  const json::string* reason = text_at(object, "reason");
  const json::string* who = text_at(object, "who");
  const std::int64_t* placed = number_at(object, "placed_unix_ms");
  if (kind == nullptr || reason == nullptr || who == nullptr || placed == nullptr) {
    return wrong(path, "found no kind, reason, who or placed_unix_ms");
  }
  Hold hold{HoldKind::kWithdraw, std::string(*reason), std::string(*who), *placed, std::nullopt};
  if (const auto known = parse_hold_kind({kind->data(), kind->size()})) {
    hold.kind = *known;
  } else {
    return wrong(path, fmt::format("found kind '{}'", escaped({kind->data(), kind->size()})));
  }
  if (const json::value* expires = object.if_contains("expires_unix_ms"); expires != nullptr && !expires->is_null()) {
    if (!expires->is_int64()) return wrong(path, "found an expires_unix_ms that is no whole number");
    hold.expires_unix_ms = expires->as_int64();
  }
  return hold;
}

absl::StatusOr<Hold> read_hold(const std::filesystem::path& path) {
  const absl::StatusOr<std::string> text = read_file(path);
  if (!text.ok()) return text.status();
  return parse_hold(*text, path);
}

bool is_over(const Hold& hold, std::int64_t now_unix_ms) {
  return hold.expires_unix_ms && *hold.expires_unix_ms <= now_unix_ms;
}

// Best effort: who may only read takes it for none, and leaves it to the others. False: it is still there.
bool remove_expired(const std::filesystem::path& path, std::int64_t now_unix_ms) {
  const FolderLock lock(path.parent_path(), std::chrono::milliseconds(0));
  if (!lock.locked()) return false;
  const absl::StatusOr<Hold> still = read_hold(path);
  return still.ok() && is_over(*still, now_unix_ms) && end_file(path).ok();
}

// The time of what waits beneath another one passes too: it must not come back, when its turn has come, to a clock that
// was stepped back meanwhile.
void remove_expired_beneath(const std::filesystem::path& path, std::int64_t now_unix_ms) {
  const std::filesystem::path beneath = beneath_path(path);
  const auto over = [&] {
    const absl::StatusOr<Hold> hold = read_hold(beneath);
    return hold.ok() && is_over(*hold, now_unix_ms);
  };
  if (!over()) return;
  const FolderLock lock(path.parent_path(), std::chrono::milliseconds(0));
  if (lock.locked() && over()) (void)remove_file(beneath);
}

}  // namespace

std::string_view hold_kind_name(HoldKind kind) {
  switch (kind) {
    case HoldKind::kWithdraw: return "withdraw";
    case HoldKind::kAnnounce: return "announce";
    case HoldKind::kDrain: break;
  }
  return "drain";
}

std::optional<HoldKind> parse_hold_kind(std::string_view name) {
  for (const HoldKind kind : {HoldKind::kWithdraw, HoldKind::kAnnounce, HoldKind::kDrain}) {
    if (name == hold_kind_name(kind)) return kind;
  }
  return std::nullopt;
}

json::object hold_json(const Hold& hold) {
  const std::string_view kind = hold_kind_name(hold.kind);
  json::object object{{"kind", json::string_view(kind.data(), kind.size())},
                      {"reason", hold.reason},
                      {"who", hold.who},
                      {"placed_unix_ms", hold.placed_unix_ms}};
  object["expires_unix_ms"] = hold.expires_unix_ms ? json::value(*hold.expires_unix_ms) : json::value(nullptr);
  return object;
}

absl::Status check_reason(std::string_view reason) {
  constexpr std::size_t kReasonMaxBytes = 500;
  if (reason.empty()) return invalid_argument("found no reason, expected why, for whoever finds the hold");
  const bool control = std::any_of(reason.begin(), reason.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
  if (!control && reason.size() <= kReasonMaxBytes) return absl::OkStatus();
  return invalid_argument("found a reason of {} bytes{}, expected one line of at most {}", reason.size(),
                          control ? " with control characters" : "", kReasonMaxBytes);
}

Level highest_level(HoldKind kind) {
  switch (kind) {
    case HoldKind::kWithdraw: return Level::kWithdrawn;
    case HoldKind::kDrain: return Level::kDrained;
    case HoldKind::kAnnounce: break;
  }
  return Level::kAnnounced;
}

absl::StatusOr<std::optional<Hold>> load_hold(const PopConfig& config, std::string_view announcement,
                                              std::int64_t now_unix_ms) {
  const auto path = hold_path(config, announcement);
  if (!path.ok()) return path.status();
  remove_expired_beneath(*path, now_unix_ms);
  absl::StatusOr<Hold> hold = read_hold(*path);
  // What waits beneath the one that is over may be in force, or over too.
  if (hold.ok() && is_over(*hold, now_unix_ms) && remove_expired(*path, now_unix_ms)) hold = read_hold(*path);
  if (absl::IsNotFound(hold.status())) return std::nullopt;
  if (!hold.ok()) return hold.status();
  if (is_over(*hold, now_unix_ms)) return std::nullopt;
  return *std::move(hold);
}

absl::StatusOr<std::map<std::string, Hold>> load_holds(const PopConfig& config, std::int64_t now_unix_ms) {
  std::map<std::string, Hold> holds;
  for (const AnnouncementConfig& announcement : config.announcements) {
    absl::StatusOr<std::optional<Hold>> hold = load_hold(config, announcement.name, now_unix_ms);
    if (!hold.ok()) return hold.status();
    if (*hold) holds.emplace(announcement.name, **std::move(hold));
  }
  return holds;
}

absl::Status place_hold(const PopConfig& config, std::string_view announcement, const Hold& hold, Beneath beneath) {
  const auto path = hold_path(config, announcement);
  if (!path.ok()) return path.status();
  if (absl::Status folder = make_shared_folder(config.holds_dir()); !folder.ok()) return folder;
  const FolderLock lock(config.holds_dir(), kOrderPatience);  // had or not, the order goes on
  const absl::Status placed = write_file_atomically(*path, json::serialize(hold_json(hold)) + "\n");
  if (!placed.ok() || beneath == Beneath::kKeep) return placed;
  return remove_file(beneath_path(*path));
}

absl::Status place_hold_above(const PopConfig& config, std::string_view announcement, const Hold& hold) {
  const auto path = hold_path(config, announcement);
  if (!path.ok()) return path.status();
  if (absl::Status gone = remove_file(beneath_path(*path)); !gone.ok()) return gone;
  // Another name for the same file: it is in force until the new one replaces it.
  if (::link(path->c_str(), beneath_path(*path).c_str()) != 0 && errno != ENOENT) {
    return errno_error(errno, "cannot keep {}", path->string());
  }
  return place_hold(config, announcement, hold, Beneath::kKeep);
}

absl::Status release_hold(const PopConfig& config, std::string_view announcement, Beneath beneath) {
  const auto path = hold_path(config, announcement);
  if (!path.ok()) return path.status();
  if (beneath == Beneath::kKeep) return end_file(*path);
  if (absl::Status removed = remove_file(beneath_path(*path)); !removed.ok()) return removed;
  return remove_file(*path);
}

}  // namespace anypop::bgpctl
