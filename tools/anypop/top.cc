// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <poll.h>

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

// Nothing to draw on and no keys: a page or an object at each interval.
int print_views(const PopConfig& config, const TopOptions& options) {
  Look before = look_at(config);
  while (true) {
    (void)::poll(nullptr, 0, static_cast<int>(options.interval_ms));
    Look now = look_at(config);
    const TopView view = make_view(config.pop, before, now);
    if (options.json) {
      fmt::print("{}\n", boost::json::serialize(view_json(view)));
    } else {
      for (const std::string& line : page_lines(view, {.width = 200})) fmt::print("{}\n", line);
    }
    if (std::fflush(stdout) != 0) return 1;
    if (options.once) return is_good(view) ? 0 : 1;
    before = std::move(now);
  }
}

bool wants_to_quit(Terminal& terminal, Terminal::Event event) {
  constexpr char kControlC = 3;
  if (event == Terminal::Event::kQuit) return true;
  return event == Terminal::Event::kKey &&
         (terminal.key() == 'q' || terminal.key() == 'Q' || terminal.key() == kControlC);
}

int draw_views(const PopConfig& config, const TopOptions& options, Terminal& terminal) {
  Look before = look_at(config);
  Look now = before;
  auto due = steady_clock::now();
  while (true) {
    if (steady_clock::now() >= due) {
      before = std::move(now);
      now = look_at(config);
      due = steady_clock::now() + milliseconds(options.interval_ms);
    }
    const TopView view = make_view(config.pop, before, now);
    const PageStyle style{.width = terminal.size().columns, .color = true};
    auto lines = page_lines(view, style);
    lines.insert(lines.begin() + 1, fmt::format("every {} ms; q quits", options.interval_ms));
    terminal.draw(lines);
    const auto left = std::chrono::ceil<milliseconds>(due - steady_clock::now());
    if (wants_to_quit(terminal, terminal.wait(std::max(left, milliseconds(0))))) break;
  }
  // As if the signal had not been caught.
  return terminal.signal() == 0 || terminal.signal() == SIGINT ? 0 : 128 + terminal.signal();
}

}  // namespace

int top(const TopOptions& options) {
  const auto config = load_config(options.config);
  if (!config.ok()) {
    fmt::print(stderr, "anypop top: {}\n", message(config.status()));
    return 1;
  }
  if (options.once || options.json) return print_views(*config, options);
  int code = 0;
  {
    auto terminal = Terminal::take();
    if (!terminal.ok()) {
      fmt::print(stderr, "anypop top: {}\n", message(terminal.status()));
      return 2;
    }
    code = draw_views(*config, options, *terminal);
  }
  return code;
}

}  // namespace anypop::cli
