// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dump_end.h"

#include <linux/netlink.h>

#include "netlink_reader.h"

namespace anypop::dataplane {

bool read_dump_end(unsigned message_type, netlink::Bytes payload, DumpEnd& end) {
  if (message_type == NLMSG_DONE) end.done = true;
  if (message_type != NLMSG_ERROR) return true;
  const auto error = netlink::read<nlmsgerr>(payload);
  if (error) end.error = -error->error;
  return error.has_value();
}

}  // namespace anypop::dataplane
