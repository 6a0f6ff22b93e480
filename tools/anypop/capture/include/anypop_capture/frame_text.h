// SPDX-License-Identifier: Apache-2.0
// One line about a frame, for people: "203.0.113.9:1024 > 198.51.100.1:80 tcp S". The frame may be anything, and cut.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace anypop::capture {

std::string frame_text(std::span<const std::byte> frame);

}  // namespace anypop::capture
