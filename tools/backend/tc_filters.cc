// SPDX-License-Identifier: Apache-2.0
#include "tc_filters.h"

#include <cstring>

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "base/text.h"
#include "netlink.h"

namespace anypop::backend {
namespace {

constexpr std::uint32_t kIngress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
constexpr std::uint32_t kEgress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS);

struct Search {
  int interface_index;
  bool found = false;
};

int see_qdisc(const nlmsghdr* message, void* data) {
  auto& search = *static_cast<Search*>(data);
  const auto* body = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
  const auto found = attributes<TCA_MAX + 1>(message, sizeof(tcmsg));
  // The kernel may list more interfaces than it was asked for.
  if (body->tcm_ifindex == search.interface_index && found[TCA_KIND] != nullptr &&
      std::strcmp(mnl_attr_get_str(found[TCA_KIND]), "clsact") == 0) {
    search.found = true;
  }
  return MNL_CB_OK;
}

int see_filter(const nlmsghdr* message, void* data) {
  auto& search = *static_cast<Search*>(data);
  if (static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message))->tcm_ifindex == search.interface_index) {
    search.found = true;
  }
  return MNL_CB_OK;
}

}  // namespace

absl::StatusOr<bool> has_clsact(int interface_index) {
  Search search{interface_index};
  NetlinkRequest request(RTM_GETQDISC, NLM_F_DUMP);
  request.body<tcmsg>().tcm_ifindex = interface_index;
  if (const int error = request.send(see_qdisc, &search); error != 0) return errno_error(error, "cannot list qdiscs");
  return search.found;
}

absl::StatusOr<bool> has_filters(int interface_index) {
  Search search{interface_index};
  for (const std::uint32_t parent : {kIngress, kEgress}) {
    NetlinkRequest request(RTM_GETTFILTER, NLM_F_DUMP);
    auto& body = request.body<tcmsg>();
    body.tcm_ifindex = interface_index;
    body.tcm_parent = parent;
    if (const int error = request.send(see_filter, &search); error != 0) {
      return errno_error(error, "cannot list tc filters");
    }
  }
  return search.found;
}

}  // namespace anypop::backend
