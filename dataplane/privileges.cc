// SPDX-License-Identifier: Apache-2.0
#include "dataplane/privileges.h"

#include <cerrno>
#include <vector>

#include <cap-ng.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/text.h"

namespace anypop::dataplane {

absl::Status become(const std::string& user, const std::filesystem::path& folder, const GiveFiles& give_files) {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    return failed_precondition(
        "dataplane.user: found '{}', expected a user of this machine; remedy: useradd --system {}", escaped(user),
        escaped(user));
  }
  if (entry.pw_uid == ::geteuid()) return absl::OkStatus();
  if (::geteuid() != 0) {
    return permission_denied("dataplane.user: found '{}', but this process was not started as root", escaped(user));
  }
  if (absl::Status status = give_files(entry.pw_uid, entry.pw_gid); !status.ok()) return status;
  capng_clear(CAPNG_SELECT_BOTH);
  const auto kept = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED);
  if (capng_updatev(CAPNG_ADD, kept, CAP_NET_ADMIN, CAP_BPF, -1) != 0) {
    return internal_error("cannot choose capabilities");
  }
  // The identity changes in all threads, the capabilities only in this one: the others are left without any.
  const auto how = static_cast<capng_flags_t>(CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT);
  const int changed = capng_change_id(static_cast<int>(entry.pw_uid), static_cast<int>(entry.pw_gid), how);
  if (changed != 0) return internal_error("cannot become user '{}': step {} of libcap-ng failed", user, -changed);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno_error(errno, "cannot give up new privileges");
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return permission_denied("run_dir: user {} may not write to {}; remedy: chown {} {}", user, folder.string(), user,
                             folder.string());
  }
  return absl::OkStatus();
}

}  // namespace anypop::dataplane
