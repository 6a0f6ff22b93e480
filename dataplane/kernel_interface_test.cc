// SPDX-License-Identifier: Apache-2.0
#include "dataplane/kernel_interface.h"

#include <gtest/gtest.h>

namespace anypop::dataplane {
namespace {

TEST(KernelInterface, IsVirtioWhereTheMachineHasVhostAndATapElsewhere) {
  const KernelInterfaceOptions options{
      .name = "up0", .mac = MacAddress({2, 0, 0, 0, 0, 1}), .mtu_bytes = 1500, .queues = 2, .pool = nullptr};
  EXPECT_EQ(kernel_device_string(options, true),
            "net_virtio_user_up0,path=/dev/vhost-net,iface=up0,mac=02:00:00:00:00:01,queues=2,queue_size=1024");
  EXPECT_EQ(kernel_device_string(options, false), "net_tap_up0,iface=up0,mac=02:00:00:00:00:01");
}

}  // namespace
}  // namespace anypop::dataplane
