// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/paint.h"

#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

namespace anypop::cli {
namespace {

std::string_view sequence(Paint paint) {
  switch (paint) {
    case Paint::kBold: return "\x1b[1m";
    case Paint::kGood: return "\x1b[32m";
    case Paint::kWarn: return "\x1b[33m";
    case Paint::kBad: return "\x1b[31m";
    case Paint::kPlain: break;
  }
  return "";
}

}  // namespace

std::string painted(std::string_view text, Paint paint, bool on) {
  if (!on || paint == Paint::kPlain) return std::string(text);
  return fmt::format("{}{}\x1b[0m", sequence(paint), text);
}

bool wants_color() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0') && terminal != nullptr &&
         std::string_view(terminal) != "dumb";
}

}  // namespace anypop::cli
