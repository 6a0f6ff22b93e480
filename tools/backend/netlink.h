// SPDX-License-Identifier: Apache-2.0
// One rtnetlink request and its answers (rtnetlink(7)).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

namespace anypop::backend {

class NetlinkRequest {
 public:
  NetlinkRequest(std::uint16_t type, unsigned flags);
  NetlinkRequest(const NetlinkRequest&) = delete;
  NetlinkRequest& operator=(const NetlinkRequest&) = delete;

  // The fixed part, zeroed. Once, before put().
  template <typename T>
  T& body() {
    return *static_cast<T*>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
  }
  void put(std::uint16_t type, const void* data, std::size_t bytes) { mnl_attr_put(header_, type, bytes, data); }

  // errno of the kernel's answer, 0 for none. `each` is called with `data` for each message of a dump.
  int send(mnl_cb_t each = nullptr, void* data = nullptr);

 private:
  alignas(nlmsghdr) std::array<char, 512> buffer_{};
  nlmsghdr* header_;
};

// The attributes of a message by type; views into it. `body_bytes`: of its fixed part.
template <std::size_t kTypes>
std::array<const nlattr*, kTypes> attributes(const nlmsghdr* message, std::size_t body_bytes) {
  using Found = std::array<const nlattr*, kTypes>;
  Found found{};
  const auto see = [](const nlattr* attribute, void* into) -> int {
    if (mnl_attr_get_type(attribute) < kTypes) (*static_cast<Found*>(into))[mnl_attr_get_type(attribute)] = attribute;
    return MNL_CB_OK;
  };
  mnl_attr_parse(message, static_cast<unsigned>(body_bytes), see, &found);
  return found;
}

}  // namespace anypop::backend
