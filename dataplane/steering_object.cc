// SPDX-License-Identifier: Apache-2.0
// The compiled bpf/steer.bpf.c inside the program, so that there is no file to install or to lose.
#include "steering_object.h"

asm(".section .rodata\n"
    ".balign 16\n"
    "anypop_steering_object_begin:\n"
    ".incbin \"" ANYPOP_STEERING_OBJECT
    "\"\n"
    "anypop_steering_object_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" {
extern const char anypop_steering_object_begin[];
extern const char anypop_steering_object_end[];
}

namespace anypop::dataplane {

std::string_view steering_object_bytes() {
  return {anypop_steering_object_begin,
          static_cast<std::size_t>(anypop_steering_object_end - anypop_steering_object_begin)};
}

}  // namespace anypop::dataplane
