// SPDX-License-Identifier: Apache-2.0
// What one dataplane knows about forwarding that the next one must know too, as a file: who owned the slots and since
// when (SnapshotBuilder::save()), and what the monitor said of the backends. Pure.
//
//   anypop-takeover 1 <CRC-32C of all behind this line> <bytes of the first part> <bytes of the second> <epoch> <boot>
//   first part: "m" if there is a monitor, else "-", and a HealthUpdate as JSON; second part: the slots
//
// The epoch is in the flow tables too: the numbers in their records mean backends by these slots and by no others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "dataplane_api/messages.h"

namespace anypop::dataplane {

struct Legacy {
  bool monitored = false;              // the monitor has spoken
  dataplane_api::HealthUpdate health;  // of every backend
  std::string slots;                   // SnapshotBuilder::save()
};

struct LegacyFile {
  Legacy legacy;
  std::uint64_t epoch = 0;
  std::string boot;  // of the machine, when it was written
};

std::string encode(const LegacyFile& file);
// InvalidArgument says what is wrong with `bytes`, which may be anything.
absl::StatusOr<LegacyFile> decode_legacy(std::string_view bytes);

}  // namespace anypop::dataplane
