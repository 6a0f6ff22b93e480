// SPDX-License-Identifier: Apache-2.0
// bgpctl: the operator's hand on the announcements. Parses the command line and hands over.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>

#include "actions.h"
#include "base/duration.h"
#include "base/text.h"
#include "bgpctl/announcement.h"
#include "bgpctl/event_log.h"
#include "bgpctl/good_config.h"
#include "facts.h"
#include "log.h"
#include "operator_name.h"
#include "status.h"

namespace anypop::bgpctl {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct CommandLine {
  std::string config{kDefaultConfigPath};
  std::string state_dir;
  std::string trouble;  // with pop.yaml, when its last good copy stands in for it
  std::vector<std::string> names;
  bool all = false;
  bool force = false;
  bool monitor_lost = false;
  std::string family;
  bool json = false;
  bool dry_run = false;
  std::string kind;
  std::string reason;
  std::string length;   // --for
  std::string timeout;  // --timeout, --deadline
  const char* timeout_option = "--timeout";
  std::string quiet_for;
  std::string since;
  std::size_t lines = 0;
  bool lines_given = false;
  bool follow = false;
  unsigned quiet_pps = 0;
  bool quiet_pps_given = false;
  bool wait = false;
};

int fail(int exit_code, std::string_view text) {
  fmt::print(stderr, "bgpctl: {}\n", text);
  return exit_code;
}

absl::StatusOr<std::vector<AnnouncementConfig>> find_named(const PopConfig& config, const CommandLine& line) {
  if (line.all && !line.names.empty()) return invalid_argument("found --all and names, expected one of them");
  if (line.all) return config.announcements;
  if (line.names.empty()) return invalid_argument("found no announcement, expected a NAME or --all");
  std::vector<AnnouncementConfig> found;
  for (const std::string& name : line.names) {
    const AnnouncementConfig* announcement = config.find_announcement(name);
    if (announcement == nullptr) {
      std::vector<std::string> known;
      for (const AnnouncementConfig& a : config.announcements) known.push_back(a.name);
      return invalid_argument("found announcement '{}', expected one of {}: {}", escaped(name), config.file.string(),
                              fmt::join(known, ", "));
    }
    if (std::find(found.begin(), found.end(), *announcement) == found.end()) found.push_back(*announcement);
  }
  return found;
}

absl::Status read_length(const std::string& text, std::string_view option, std::optional<std::int64_t>& out) {
  if (text.empty()) return absl::OkStatus();
  const absl::StatusOr<std::int64_t> length = parse_duration_ms(text);
  if (!length.ok()) return invalid_argument("{}: {}", option, message(length.status()));
  out = *length;
  return absl::OkStatus();
}

// `needs_reason`: a hold has to say why, for whoever finds it at night.
absl::StatusOr<Order> read_order(const PopConfig& config, const CommandLine& line, bool needs_reason,
                                 std::int64_t default_timeout_ms) {
  Order order;
  absl::StatusOr<std::vector<AnnouncementConfig>> announcements = find_named(config, line);
  if (!announcements.ok()) return announcements.status();
  order.announcements = *std::move(announcements);
  if (needs_reason && line.reason.empty()) {
    return invalid_argument("found no --reason, expected why, for whoever finds the hold: --reason \"ticket 42\"");
  }
  if (!line.reason.empty()) {
    if (absl::Status reason = check_reason(line.reason); !reason.ok()) {
      return invalid_argument("--reason: {}", message(reason));
    }
  }
  std::optional<std::int64_t> timeout_ms;
  if (absl::Status read = read_length(line.length, "--for", order.for_ms); !read.ok()) return read;
  if (absl::Status read = read_length(line.timeout, line.timeout_option, timeout_ms); !read.ok()) return read;
  order.timeout = std::chrono::milliseconds(timeout_ms.value_or(default_timeout_ms));
  order.reason = line.reason;
  order.who = operator_name();
  if (absl::Status read = read_length(line.quiet_for, "--quiet-for", order.quiet_for_ms); !read.ok()) return read;
  if (line.quiet_pps_given) order.quiet_pps = line.quiet_pps;
  order.wait = line.wait;
  order.dry_run = line.dry_run;
  order.json = line.json;
  order.config_trouble = line.trouble;
  return order;
}

using Action = int (*)(const PopConfig&, const Order&);

int run_order(const PopConfig& config, const CommandLine& line, bool needs_reason, std::int64_t timeout_ms,
              Action action) {
  const absl::StatusOr<Order> order = read_order(config, line, needs_reason, timeout_ms);
  return order.ok() ? action(config, *order) : fail(kUsage, message(order.status()));
}

// When no --timeout or --deadline is given; the help says the same.
constexpr std::int64_t kWithdrawMs = 5000;
constexpr std::int64_t kAnnounceMs = 10'000;
constexpr std::int64_t kDrainDeadlineMs = 600'000;

int run_withdraw(const PopConfig& config, const CommandLine& line) {
  if (line.monitor_lost) {
    CommandLine lost = line;
    if (lost.reason.empty()) lost.reason = "monitor-lost";
    return run_order(config, lost, true, kWithdrawMs, withdraw_monitor_lost);
  }
  return run_order(config, line, true, kWithdrawMs, withdraw);
}

int run_announce(const PopConfig& config, const CommandLine& line) {
  if (line.force) return run_order(config, line, true, kAnnounceMs, force_announce);
  if (!line.reason.empty() || !line.length.empty()) {
    return fail(kUsage, "found --reason or --for without --force, expected them only for a hold");
  }
  return run_order(config, line, false, kAnnounceMs, announce);
}

int run_drain(const PopConfig& config, const CommandLine& line) {
  const bool waits_only = !line.quiet_for.empty() || line.quiet_pps_given || !line.timeout.empty();
  if (waits_only && !line.wait) {
    return fail(kUsage, "found --deadline, --quiet-pps or --quiet-for without --wait, expected them only with it");
  }
  return run_order(config, line, true, kDrainDeadlineMs, drain);
}

int run_undrain(const PopConfig& config, const CommandLine& line) {
  if (!line.timeout.empty() && !line.wait) {
    return fail(kUsage, "found --deadline without --wait-healthy, expected it only with it");
  }
  return run_order(config, line, false, kDrainDeadlineMs, undrain);
}

int run_hold(const PopConfig& config, const CommandLine& line) {
  if (line.names.empty() && !line.all) {
    const bool places = !line.kind.empty() || !line.reason.empty() || !line.length.empty() || !line.timeout.empty();
    if (!places && !line.dry_run) return list_holds(config, line.json);
    return fail(kUsage, "found options of a hold but no announcement, expected a NAME or --all with them");
  }
  if (line.kind.empty()) return fail(kUsage, "found no --kind, expected --kind withdraw, announce or drain");
  const HoldKind kind = *parse_hold_kind(line.kind);
  return run_order(
      config, line, true, kind == HoldKind::kAnnounce ? kAnnounceMs : kWithdrawMs,
      kind == HoldKind::kWithdraw ? Action{withdraw} : (kind == HoldKind::kDrain ? drain : force_announce));
}

int run_release(const PopConfig& config, const CommandLine& line) { return run_order(config, line, false, 0, release); }

int run_status(const PopConfig& config, const CommandLine& line) {
  CommandLine wanted = line;
  wanted.all = line.names.empty();
  const auto announcements = find_named(config, wanted);
  if (!announcements.ok()) return fail(kUsage, message(announcements.status()));
  PopFacts facts = gather_facts(config, *announcements);
  facts.config_trouble = line.trouble;
  if (line.json) {
    fmt::print("{}\n", boost::json::serialize(status_json(config, facts)));
  } else {
    fmt::print("{}", status_text(config, facts, unix_now_ns() / 1'000'000));
  }
  return all_is_well(facts) ? 0 : kFailed;
}

int run_render(const PopConfig& config, const CommandLine& line) {
  if (line.family.empty() && config.birds.size() > 1) {
    return fail(kUsage, fmt::format("found no --family, expected ipv4 or ipv6, because {} has a BIRD for each",
                                    config.file.string()));
  }
  std::vector<Family> families;
  if (line.family != "ipv6") families.push_back(Family::kV4);
  if (line.family != "ipv4") families.push_back(Family::kV6);
  fmt::print("{}", render_bird_config(config, families));
  return 0;
}

int run_log(const PopConfig& config, const CommandLine& line) {
  LogWish wish{.follow = line.follow, .json = line.json};
  if (!line.names.empty()) {
    auto named = find_named(config, line);
    if (!named.ok()) return fail(kUsage, message(named.status()));
    wish.announcements = *std::move(named);
  }
  if (!line.since.empty()) {
    const absl::StatusOr<std::int64_t> since = parse_moment_ns(line.since, unix_now_ns());
    if (!since.ok()) return fail(kUsage, fmt::format("--since: {}", message(since.status())));
    wish.since_unix_ns = *since;
  }
  constexpr std::size_t kLines = 50;
  if (line.lines_given) wish.lines = line.lines;
  if (!line.lines_given && line.since.empty()) wish.lines = kLines;
  return show_log(config, wish);
}

int run_init(const PopConfig& config, const CommandLine& line) {
  if (line.dry_run) {
    for (const AnnouncementConfig& announcement : config.announcements) {
      fmt::print("would write {} if it is missing:\n{}", state_file_path(config, announcement).string(),
                 state_file_text(announcement, Level::kWithdrawn));
    }
    return 0;
  }
  if (const absl::Status status = create_missing_state_files(config); !status.ok())
    return fail(kFailed, message(status));
  const absl::Status kept = line.trouble.empty() ? keep_good_config(config) : absl::OkStatus();
  if (!kept.ok()) fmt::print(stderr, "bgpctl: warning: no copy of this pop.yaml is kept: {}\n", message(kept));
  return 0;
}

using Command = int (*)(const PopConfig&, const CommandLine&);

struct Cli {
  CLI::App app{"bgpctl: look at and order this PoP's announcements, with or without the monitor"};
  CommandLine line;
  Command command = nullptr;

  CLI::App* add(const char* name, const char* text, const char* examples, Command run) {
    CLI::App* sub = app.add_subcommand(name, text);
    sub->footer(std::string("Examples:\n") + examples);
    sub->callback([this, run] { command = run; });
    return sub;
  }
  void names(CLI::App* sub, bool with_all) {
    sub->add_option("NAME", line.names, "announcements of pop.yaml");
    if (with_all) sub->add_flag("--all", line.all, "every announcement");
  }
  void hold_options(CLI::App* sub) {
    sub->add_option("--reason", line.reason, "why, for whoever finds the hold");
    sub->add_option("--for", line.length, "the hold ends by itself: 90s, 30m, 2h, 1d; default: when released");
  }
  void order_options(CLI::App* sub, const std::string& default_timeout) {
    sub->add_option("--timeout", line.timeout,
                    "how long to wait until BIRD is there: 2s, 1m; default: " + default_timeout);
    run_options(sub);
  }
  void deadline(CLI::App* sub, const std::string& text) {
    sub->add_option("--deadline", line.timeout, text + ": 90s, 10m; default: 10m")->each([this](const std::string&) {
      line.timeout_option = "--deadline";
    });
  }
  void run_options(CLI::App* sub) {
    sub->add_flag("--dry-run", line.dry_run, "print what would be written and sent");
    sub->add_flag("--json", line.json, "one JSON object, for machines");
  }
};

constexpr std::size_t kMostLines = 1'000'000;

void add_log(Cli& cli) {
  CLI::App* sub = cli.add(
      "log", "What has happened, by whom and why: the event log of the monitor and of bgpctl",
      "  bgpctl log --since 2h\n"
      "  bgpctl log web --follow\n"
      "  bgpctl log --since 2026-11-20T17:00:00Z --json\n"
      "NAME shows what concerns that announcement, its services and backends, and what concerns them all. Rotated\n"
      "files are read too, and --follow goes on through a rotation.\n",
      run_log);
  cli.names(sub, false);
  sub->add_option("--since", cli.line.since, "from then on: 90s, 2h, 1d (ago), or 2026-11-20T17:00:00Z");
  sub->add_option("-n,--lines", cli.line.lines, "only the last ones; default: 50, and with --since all")
      ->check([](const std::string& text) {
        const bool number = parse_number<std::size_t>(text, 0, kMostLines).has_value();
        return number ? std::string()
                      : fmt::format("found '{}', expected a number of lines from 0 to {}", text, kMostLines);
      })
      ->each([&cli](const std::string&) { cli.line.lines_given = true; });
  sub->add_flag("-f,--follow", cli.line.follow, "go on as it grows");
  sub->add_flag("--json", cli.line.json, "the lines as they are in the file, one JSON object each");
}

void add_setup(Cli& cli) {
  CLI::App* sub = cli.add("render", "Print the text that bird.conf includes",
                          "  bgpctl render > /etc/bird/anypop.conf\n"
                          "  bgpctl render --family ipv6 > /etc/bird6/anypop.conf\n",
                          run_render);
  sub->add_option("--family", cli.line.family, "for a BIRD that has one family: ipv4 or ipv6")
      ->check(CLI::IsMember({"ipv4", "ipv6"}));
  sub = cli.add("init", "Create the state files that are missing, as withdrawn; before BIRD's first start after a boot",
                "  bgpctl init && systemctl start bird\n", run_init);
  sub->add_flag("--dry-run", cli.line.dry_run, "print what would be written");
}

void add_commands(Cli& cli) {
  CLI::App* sub = cli.add("status", "What is intended, in the state file, in BIRD's table, and exported to whom",
                          "  bgpctl status\n  bgpctl status web --json\n"
                          "Exit code: 0 if all is as it should be, 1 if there is any line with `!`.\n",
                          run_status);
  cli.names(sub, false);
  sub->add_flag("--json", cli.line.json, "one JSON object, for machines");

  sub = cli.add("withdraw", "Take announcements out and keep them out, whatever health says",
                "  bgpctl withdraw web --reason \"ticket 42\" --for 30m\n"
                "  bgpctl withdraw --all --reason \"power work\" --dry-run\n"
                "  bgpctl withdraw --all --monitor-lost\n",
                run_withdraw);
  sub->add_flag("--monitor-lost", cli.line.monitor_lost,
                "for anypop-withdraw.service: only if the monitor does not answer, and as if_monitor_lost says");
  cli.names(sub, true), cli.hold_options(sub), cli.order_options(sub, "5s");

  sub =
      cli.add("announce", "The way back: end a withdraw or a drain hold and let the monitor announce",
              "  bgpctl announce web\n  bgpctl announce web --force --reason \"probe is wrong\" --for 1h\n"
              "Ends a hold-down and a latch too. What --monitor-lost has put above an operator's drain comes off; the\n"
              "drain stays until it is ended by another `announce`, or `undrain`.\n",
              run_announce);
  sub->add_flag("--force", cli.line.force, "keep it in whatever health says, by a hold");
  cli.names(sub, true), cli.hold_options(sub), cli.order_options(sub, "10s");

  sub = cli.add(
      "drain", "Make announcements unattractive, wait until their traffic has left, withdraw, keep forwarding",
      "  bgpctl drain web --wait --deadline 10m --reason \"kernel update\"\n"
      "  bgpctl drain web --reason \"ticket 42\" --for 2h\n"
      "The first one is over when at most drain.quiet_pps packets a second have arrived for drain.quiet_s\n"
      "seconds, or at the deadline. Interrupted, it leaves the announcement drained and held; given again, it\n"
      "goes on. Somebody else who ends its hold ends it, and nothing is withdrawn. --for counts from the withdrawal.\n"
      "With keep_last it refuses while BIRD knows nobody else who announces it; `withdraw` does not.\n",
      run_drain);
  sub->add_flag("--wait", cli.line.wait, "wait until the traffic has left, and then withdraw");
  cli.deadline(sub, "withdraw after so long in any case");
  sub->add_option("--quiet-pps", cli.line.quiet_pps, "packets a second that count as quiet; default: pop.yaml's")
      ->each([&cli](const std::string&) { cli.line.quiet_pps_given = true; });
  sub->add_option("--quiet-for", cli.line.quiet_for, "for so long: 5s, 1m; default: pop.yaml's");
  cli.names(sub, true), cli.hold_options(sub), cli.run_options(sub);

  sub = cli.add("undrain", "The way back from a drain: end the hold; de-preferred first, then announced",
                "  bgpctl undrain web --wait-healthy --deadline 5m\n  bgpctl undrain --all\n", run_undrain);
  sub->add_flag("--wait-healthy", cli.line.wait,
                "wait until the monitor finds it healthy, de-preferred first; if it does not, the hold stays");
  cli.deadline(sub, "give up after so long");
  cli.names(sub, true), cli.run_options(sub);

  sub = cli.add("hold", "List the holds, or place one",
                "  bgpctl hold\n  bgpctl hold web --kind withdraw --reason \"ticket 42\" --for 2h\n", run_hold);
  sub->add_option("--kind", cli.line.kind, "withdraw, announce or drain")
      ->check(CLI::IsMember({"withdraw", "announce", "drain"}));
  cli.names(sub, true), cli.hold_options(sub), cli.order_options(sub, "5s; for announce 10s");

  sub = cli.add("release", "End holds; health decides again", "  bgpctl release web\n  bgpctl release --all\n",
                run_release);
  cli.names(sub, true);
  sub->add_flag("--dry-run", cli.line.dry_run, "print what would be removed");
  sub->add_flag("--json", cli.line.json, "one JSON object, for machines");

  add_log(cli);
  add_setup(cli);
}

// How many letters are to be changed, put in or left out.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// "; did you mean `withdraw`?" for a command that does not exist, if there is one like it.
std::string meant(const CLI::App& app) {
  const std::vector<std::string> unknown = app.remaining();
  if (!app.get_subcommands().empty() || unknown.empty()) return {};
  constexpr std::size_t kFar = 3;
  std::string nearest;
  std::size_t least = kFar;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    const bool begins = unknown.front().size() >= 3 && sub->get_name().starts_with(unknown.front());
    const std::size_t far = begins ? 0 : distance(unknown.front(), sub->get_name());
    if (far < least) least = far, nearest = sub->get_name();
  }
  return nearest.empty() ? "" : fmt::format("; did you mean `{}`?", nearest);
}

int run_command(Cli& cli) {
  absl::StatusOr<FoundConfig> found = find_config(cli.line.config, cli.line.state_dir);
  if (!found.ok()) return fail(kFailed, message(found.status()));
  cli.line.trouble = std::move(found->trouble);
  if (!cli.line.trouble.empty()) {
    // BIRD would be configured for a PoP that has been.
    if (cli.command == run_render) return fail(kFailed, message(load_config(cli.line.config).status()));
    const bool says_it_itself = cli.command == run_status && !cli.line.json;
    if (!says_it_itself) fmt::print(stderr, "bgpctl: ! {}\n", cli.line.trouble);
  }
  return cli.command(found->config, cli.line);
}

int run(int argc, char** argv) {
  Cli cli;
  cli.app.set_version_flag("--version", "bgpctl " ANYPOP_VERSION);
  cli.app.add_option("--config", cli.line.config, "pop.yaml")->capture_default_str();
  cli.app.add_option("--state-dir", cli.line.state_dir,
                     "where the last good copy of pop.yaml lies, should that be broken or missing; default: what its "
                     "own line says, or /var/lib/anypop");
  cli.app.require_subcommand(0, 1);  // that one is missing is said below, after what is wrong with the others
  cli.app.fallthrough();
  cli.app.footer(
      "Examples:\n"
      "  bgpctl status                                              what is intended, and what BIRD really exports\n"
      "  bgpctl withdraw web --reason \"ticket 42\" --for 30m         out, and held out, whatever health says\n"
      "  bgpctl announce web                                        the way back\n"
      "  bgpctl drain web --wait --deadline 10m --reason \"kernel\"   de-preferred, quiet, withdrawn\n"
      "  bgpctl undrain web --wait-healthy                          back: de-preferred first, then in full\n"
      "  bgpctl hold; bgpctl release web                            which orders stand; end one\n"
      "  bgpctl log --follow                                        what happens, and why\n"
      "  bgpctl render > /etc/bird/anypop.conf; bgpctl init         set BIRD up\n"
      "Each command has its own --help with more. Exit codes: 0 as ordered, 1 not so, 2 wrong usage. Every order "
      "works\n"
      "with the monitor, the dataplane or BIRD dead, as far as it then can, and says what it could not do. When "
      "pop.yaml\n"
      "is broken or missing, every command but `render` goes by the last copy that was good, and says so.");
  add_commands(cli);
  try {
    cli.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return cli.app.exit(error);  // --help, --version
    return fail(kUsage, fmt::format("{}{}; `bgpctl --help` tells more", error.what(), meant(cli.app)));
  }
  if (cli.command == nullptr) return fail(kUsage, "found no command, expected one of those that `bgpctl --help` lists");
  return run_command(cli);
}

}  // namespace
}  // namespace anypop::bgpctl

int main(int argc, char** argv) { return anypop::bgpctl::run(argc, argv); }
