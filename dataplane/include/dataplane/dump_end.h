// SPDX-License-Identifier: Apache-2.0
// How far a dump of the kernel's has come (rtnetlink(7)), or what became of a request. Pure.
#pragma once

#include <cstddef>
#include <span>

namespace anypop::dataplane {

struct DumpEnd {
  bool done = false;       // NLMSG_DONE: the dump is complete
  bool malformed = false;  // a message contradicts its length
  int error = 0;           // errno of an NLMSG_ERROR, 0 for none
};

// Takes note of what a message says about the dump that it is part of. False: the message is malformed.
bool read_dump_end(unsigned message_type, std::span<const std::byte> payload, DumpEnd& end);

}  // namespace anypop::dataplane
