// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace anypop::dataplane {

// An ELF object for the BPF target.
std::string_view steering_object_bytes();

}  // namespace anypop::dataplane
