// SPDX-License-Identifier: Apache-2.0
// The decapsulation program (bpf/decap.bpf.c) in the kernel: loaded with its maps filled, and attached to the clsact
// ingress of an interface at a fixed place, where it is recognised by its name.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "system.h"

struct bpf_object;

namespace anypop::backend {

struct CloseBpfObject {
  void operator()(bpf_object* object) const;
};
using BpfObject = std::unique_ptr<bpf_object, CloseBpfObject>;

// Loaded, with the maps filled from `wish`; attached to nothing. `counters_fd`: a map of an older program to go on
// counting in; negative: a new one. `object`: another program with the same maps; empty: ours.
absl::StatusOr<BpfObject> load_decap(const Wish& wish, int counters_fd = -1, std::string_view object = {});
int program_fd(const BpfObject& object);
absl::StatusOr<Counters> read_counters(const BpfObject& object);

// See System.
absl::StatusOr<Hook> look_at_ingress(const std::string& interface);
absl::Status attach_decap(const std::string& interface, const Wish& wish);
absl::Status detach_decap(const std::string& interface, bool qdisc_too);
absl::StatusOr<Counters> decap_counters(const std::string& interface);

}  // namespace anypop::backend
