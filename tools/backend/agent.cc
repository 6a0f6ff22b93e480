// SPDX-License-Identifier: Apache-2.0
#include "agent.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/atomic_file.h"
#include "base/text.h"
#include "plan.h"

namespace anypop::backend {
namespace {

absl::StatusOr<Installed> load(const std::filesystem::path& state_file) {
  const auto text = read_file(state_file);
  if (absl::IsNotFound(text.status())) return Installed{};
  if (!text.ok()) return text.status();
  auto installed = parse_installed(*text);
  if (!installed.ok()) return invalid_argument("{}: {}", state_file.string(), message(installed.status()));
  return installed;
}

absl::Status save(const std::filesystem::path& state_file, const Installed& installed) {
  std::error_code error;
  if (installed == Installed{}) {
    std::filesystem::remove(state_file, error);
    if (error) return internal_error("cannot remove {}: {}", state_file.string(), error.message());
    return absl::OkStatus();
  }
  std::filesystem::create_directories(state_file.parent_path(), error);
  if (error) return internal_error("cannot make {}: {}", state_file.parent_path().string(), error.message());
  return write_file_atomically(state_file, to_json(installed) + "\n");
}

void keep_first(absl::Status& first, absl::Status status) {
  if (first.ok() && !absl::IsNotFound(status)) first = std::move(status);
}

// The reverse of apply(). What is no longer there is fine, and so is a sysctl that somebody has changed since.
absl::Status undo(System& system, const Installed& installed) {
  absl::Status first;
  for (const Attachment& attachment : installed.attachments) {
    keep_first(first, system.detach(attachment.interface, attachment.made_qdisc));
  }
  for (const Vip& vip : installed.vips) keep_first(first, system.remove_vip(vip));
  for (const ChangedSysctl& sysctl : installed.sysctls) {
    const auto now = system.sysctl(sysctl.name);
    if (!now.ok()) {
      keep_first(first, now.status());
    } else if (*now == sysctl.after) {
      keep_first(first, system.set_sysctl(sysctl.name, sysctl.before));
    }
  }
  return first;
}

// Silence first, then the VIPs, then the tunnels' ends.
absl::Status apply(System& system, const Installed& next) {
  for (const ChangedSysctl& sysctl : next.sysctls) {
    if (absl::Status status = system.set_sysctl(sysctl.name, sysctl.after); !status.ok()) return status;
  }
  for (const Vip& vip : next.vips) {
    const auto there = system.has_vip(vip);
    if (!there.ok()) return there.status();
    if (*there) continue;
    if (absl::Status status = system.add_vip(vip); !status.ok()) return status;
  }
  for (const Attachment& attachment : next.attachments) {
    if (absl::Status status = system.attach(attachment.interface, next.wish); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// The error of the installation, with what could not be undone.
absl::Status go_back(System& system, const std::filesystem::path& state_file, const Installed& old,
                     const Installed& next, absl::Status why) {
  absl::Status undone = undo(system, difference(next, old));
  if (undone.ok() && old != Installed{}) undone = apply(system, old);
  // What could not be undone stays on record, for a later remove.
  const absl::Status saved = save(state_file, undone.ok() ? old : both(old, next));
  if (undone.ok() && saved.ok()) return why;
  return make_error(why.code(), "{}; and not all of it could be undone: {}; remedy: run 'anypop-backend remove'",
                    message(why), message(undone.ok() ? saved : undone));
}

void look_at_rule(System& system, const std::string& interface, const Rule& rule, Condition& condition) {
  const auto level = level_in_force(system, interface, rule.key);
  Part part{fmt::format("{} of {}", rule.key, interface), level.ok() && rule.met(*level), {}};
  if (!part.good) {
    part.problem = level.ok() ? fmt::format("found {}, expected {}", *level, rule.expected) : message(level.status());
  }
  condition.parts.push_back(std::move(part));
}

void look_at_hook(System& system, const std::string& interface, Condition& condition) {
  const auto hook = system.hook(interface);
  Part part{fmt::format("decapsulation on {}", interface), hook.ok() && hook->ours, {}};
  if (!part.good) part.problem = hook.ok() ? "the program is not attached" : std::string(message(hook.status()));
  if (part.good) {
    const auto counters = system.counters(interface);
    if (counters.ok()) condition.counters.push_back({interface, *counters});
  }
  condition.parts.push_back(std::move(part));
}

}  // namespace

absl::Status install(System& system, const std::filesystem::path& state_file, Wish wish) {
  if (absl::Status status = finish(wish); !status.ok()) return status;
  const auto old = load(state_file);
  if (!old.ok()) return old.status();
  const auto next = plan(system, wish, *old);
  if (!next.ok()) return next.status();
  if (absl::Status status = save(state_file, both(*next, *old)); !status.ok()) return status;
  absl::Status status = apply(system, *next);
  if (status.ok()) status = undo(system, difference(*old, *next));
  if (!status.ok()) return go_back(system, state_file, *old, *next, std::move(status));
  return save(state_file, *next);
}

absl::Status remove(System& system, const std::filesystem::path& state_file) {
  const auto installed = load(state_file);
  if (!installed.ok()) return installed.status();
  if (absl::Status status = undo(system, *installed); !status.ok()) return status;
  return save(state_file, Installed{});
}

bool Condition::good() const {
  return std::all_of(parts.begin(), parts.end(), [](const Part& part) { return part.good; });
}

absl::StatusOr<Condition> look(System& system, const std::filesystem::path& state_file) {
  const auto installed = load(state_file);
  if (!installed.ok()) return installed.status();
  if (*installed == Installed{}) return not_found("nothing is installed ({} does not exist)", state_file.string());
  Condition condition{installed->wish, {}, {}};
  for (const IpPrefix& prefix : installed->wish.vips) {
    const auto there = system.has_vip({prefix, installed->wish.device});
    Part part{fmt::format("VIP {} on {}", prefix.to_string(), installed->wish.device), there.ok() && *there, {}};
    if (!part.good) part.problem = there.ok() ? "it is not there" : std::string(message(there.status()));
    condition.parts.push_back(std::move(part));
  }
  for (const std::string& interface : installed->wish.interfaces) {
    for (const Rule& rule : rules(installed->wish)) look_at_rule(system, interface, rule, condition);
  }
  if (installed->wish.tunnels()) {
    for (const std::string& interface : installed->wish.interfaces) look_at_hook(system, interface, condition);
  }
  return condition;
}

}  // namespace anypop::backend
