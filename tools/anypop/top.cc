// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <poll.h>

#include "anypop_cli/fleet.h"
#include "anypop_cli/paint.h"
#include "anypop_cli/top_page.h"
#include "base/text.h"
#include "commands.h"
#include "terminal.h"

namespace anypop::cli {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

Look look_at(const PopConfig& config) {
  return {.at_s = duration<double>(steady_clock::now().time_since_epoch()).count(),
          .facts = ask_daemons(config),
          .heartbeat = ask_heartbeat(config)};
}

// What is shown: one PoP from near, or the fleet from afar. refresh() asks the daemons.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual void refresh() = 0;
  virtual std::vector<std::string> lines(const PageStyle& style) const = 0;
  virtual boost::json::object json() const = 0;
  virtual int exit_code() const = 0;
};

class OnePop : public Subject {
 public:
  explicit OnePop(PopConfig config) : config_(std::move(config)), before_(look_at(config_)), now_(before_) {}
  void refresh() override {
    before_ = std::move(now_);
    now_ = look_at(config_);
  }
  std::vector<std::string> lines(const PageStyle& style) const override { return page_lines(view(), style); }
  boost::json::object json() const override { return view_json(view()); }
  int exit_code() const override { return is_good(view()) ? 0 : 1; }

 private:
  TopView view() const { return make_view(config_.pop, before_, now_); }

  PopConfig config_;
  Look before_;
  Look now_;
};

class Fleet : public Subject {
 public:
  explicit Fleet(std::vector<FleetTarget> targets) : targets_(std::move(targets)), answers_(ask_fleet(targets_)) {}
  void refresh() override { answers_ = ask_fleet(targets_); }
  std::vector<std::string> lines(const PageStyle& style) const override {
    std::vector<std::string> out = {fmt::format("{} PoPs", targets_.size())};
    const std::string text = fleet_text(answers_, style.color);
    for (const std::string_view line : split(text, '\n')) out.emplace_back(line);
    return out;
  }
  boost::json::object json() const override { return fleet_json(answers_); }
  int exit_code() const override { return fleet_exit_code(answers_); }

 private:
  std::vector<FleetTarget> targets_;
  std::vector<FleetAnswer> answers_;
};

// Nothing to draw on and no keys: a page or an object at each interval.
int print_views(Subject& subject, const TopOptions& options) {
  while (true) {
    (void)::poll(nullptr, 0, static_cast<int>(options.interval_ms));
    subject.refresh();
    if (options.json) {
      fmt::print("{}\n", boost::json::serialize(subject.json()));
    } else {
      for (const std::string& line : subject.lines({.width = 200})) fmt::print("{}\n", line);
    }
    if (std::fflush(stdout) != 0) return 1;
    if (options.once) return subject.exit_code();
  }
}

bool wants_to_quit(Terminal& terminal, Terminal::Event event) {
  constexpr char kControlC = 3;
  if (event == Terminal::Event::kQuit) return true;
  return event == Terminal::Event::kKey &&
         (terminal.key() == 'q' || terminal.key() == 'Q' || terminal.key() == kControlC);
}

int draw_views(Subject& subject, const TopOptions& options, Terminal& terminal) {
  auto due = steady_clock::now() + milliseconds(options.interval_ms);
  while (true) {
    if (steady_clock::now() >= due) {
      subject.refresh();
      due = steady_clock::now() + milliseconds(options.interval_ms);
    }
    auto lines = subject.lines({.width = terminal.size().columns, .color = wants_color()});
    lines.insert(lines.begin() + 1, fmt::format("every {} ms; q quits", options.interval_ms));
    terminal.draw(lines);
    const auto left = std::chrono::ceil<milliseconds>(due - steady_clock::now());
    if (wants_to_quit(terminal, terminal.wait(std::max(left, milliseconds(0))))) break;
  }
  // As if the signal had not been caught.
  return terminal.signal() == 0 || terminal.signal() == SIGINT ? 0 : 128 + terminal.signal();
}

absl::StatusOr<std::unique_ptr<Subject>> subject_of(const TopOptions& options) {
  if (!options.targets.empty() || !options.inventory.empty()) {
    auto targets = fleet_targets(options.targets, options.inventory);
    if (!targets.ok()) return targets.status();
    return std::make_unique<Fleet>(*std::move(targets));
  }
  auto config = load_config(options.config);
  if (!config.ok()) return config.status();
  return std::make_unique<OnePop>(*std::move(config));
}

}  // namespace

int top(const TopOptions& options) {
  const auto subject = subject_of(options);
  if (!subject.ok()) {
    fmt::print(stderr, "anypop top: {}\n", message(subject.status()));
    return 1;
  }
  if (options.once || options.json) return print_views(**subject, options);
  int code = 0;
  {
    auto terminal = Terminal::take();
    if (!terminal.ok()) {
      fmt::print(stderr, "anypop top: {}\n", message(terminal.status()));
      return 2;
    }
    code = draw_views(**subject, options, *terminal);
  }
  return code;
}

}  // namespace anypop::cli
