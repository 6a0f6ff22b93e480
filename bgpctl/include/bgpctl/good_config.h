// SPDX-License-Identifier: Apache-2.0
// The last good copy of pop.yaml. A slip in that file must not take away the operator's hand, nor the withdrawal of a
// PoP whose monitor is lost: whoever has loaded the file well keeps a copy beside the holds, and bgpctl goes by it when
// the file cannot be loaded any more. It has no hash_key: only the dataplane needs that, which reads the file.
#pragma once

#include <filesystem>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/config.h"

namespace anypop::bgpctl {

std::filesystem::path good_config_path(const std::filesystem::path& state_dir);  // state_dir/pop.good.yaml

// Copies `config.file`, from which `config` has been loaded; again only if it is another text than the copy's. A file
// that has been broken in the meantime is an error, and leaves the copy as it was.
absl::Status keep_good_config(const PopConfig& config);

struct FoundConfig {
  PopConfig config;
  std::string trouble;  // why the copy stands in for the file, in one line that names both; empty: the file is good
};
// The file, or the copy that was made of it. The copy lies in `state_dir`; without that where the file's own line
// `state_dir:` says, if there is still one, or in the default folder. A copy of another file is none. The error is that
// of the file, and says that there is no copy.
absl::StatusOr<FoundConfig> find_config(const std::filesystem::path& file, const std::filesystem::path& state_dir = {});

}  // namespace anypop::bgpctl
