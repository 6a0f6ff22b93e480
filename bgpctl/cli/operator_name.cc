// SPDX-License-Identifier: Apache-2.0
#include "operator_name.h"

#include <cstdint>
#include <cstdlib>
#include <fstream>

#include <pwd.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop::bgpctl {

namespace {

// Who logged in, whatever they became since: the kernel's audit subsystem keeps it, and only a login may set it.
const passwd* login_user() {
  std::uint32_t uid = 0;
  std::ifstream file("/proc/self/loginuid");
  constexpr std::uint32_t kNobodyLoggedIn = 0xffffffff;
  return file >> uid && uid != kNobodyLoggedIn ? ::getpwuid(uid) : nullptr;
}

}  // namespace

std::string operator_name() {
  // Only root's word about the caller of sudo is taken: anybody can set a variable.
  const char* caller = std::getenv("SUDO_USER");
  if (::getuid() == 0 && caller != nullptr && *caller != '\0') return escaped(caller);
  const passwd* login = ::getuid() == 0 ? login_user() : nullptr;
  const passwd* entry = login != nullptr ? login : ::getpwuid(::getuid());
  return entry != nullptr ? std::string(entry->pw_name) : fmt::format("uid {}", ::getuid());
}

}  // namespace anypop::bgpctl
