// SPDX-License-Identifier: Apache-2.0
#include "operator_name.h"

#include <cstdlib>

#include <pwd.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop::bgpctl {

std::string operator_name() {
  // Only root's word about the caller of sudo is taken: anybody can set a variable.
  const char* caller = std::getenv("SUDO_USER");
  if (::getuid() == 0 && caller != nullptr && *caller != '\0') return escaped(caller);
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr ? std::string(entry->pw_name) : fmt::format("uid {}", ::getuid());
}

}  // namespace anypop::bgpctl
