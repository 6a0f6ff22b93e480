// SPDX-License-Identifier: Apache-2.0
#include "probe_route_message.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "netlink_reader.h"

namespace anypop::dataplane {
namespace {

void put(nlmsghdr* header, std::uint16_t type, const IpAddress& address) {
  mnl_attr_put(header, type, address.bytes().size(), address.bytes().data());
}

void put_rule(nlmsghdr* header, const IpPrefix& sources) {
  auto* rule = static_cast<fib_rule_hdr*>(mnl_nlmsg_put_extra_header(header, sizeof(fib_rule_hdr)));
  rule->family = static_cast<std::uint8_t>(netlink::address_family(sources.family()));
  rule->src_len = static_cast<std::uint8_t>(sources.length_bits());
  rule->action = FR_ACT_TO_TBL;
  put(header, FRA_SRC, sources.address());
  mnl_attr_put_u32(header, FRA_TABLE, kProbeTable);
  mnl_attr_put_u32(header, FRA_PRIORITY, kProbeRulePriority);
}

void put_route(nlmsghdr* header, bool local, const IpPrefix& sources, unsigned interface_index) {
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  route->rtm_family = static_cast<std::uint8_t>(netlink::address_family(sources.family()));
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_type = local ? RTN_LOCAL : RTN_UNICAST;
  route->rtm_scope = local ? RT_SCOPE_HOST : RT_SCOPE_LINK;
  if (local) {
    route->rtm_dst_len = static_cast<std::uint8_t>(sources.length_bits());
    put(header, RTA_DST, sources.address());
  }
  mnl_attr_put_u32(header, RTA_TABLE, local ? static_cast<std::uint32_t>(RT_TABLE_LOCAL) : kProbeTable);
  mnl_attr_put_u32(header, RTA_OIF, interface_index);
}

}  // namespace

std::vector<std::byte> probe_route_request(ProbeRoute what, const IpPrefix& sources, unsigned interface_index, bool add,
                                           std::uint32_t sequence) {
  std::vector<std::byte> buffer(256);
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
  const bool rule = what == ProbeRoute::kRule;
  header->nlmsg_type = rule ? (add ? RTM_NEWRULE : RTM_DELRULE) : (add ? RTM_NEWROUTE : RTM_DELROUTE);
  // The kernel does not replace a rule; one that is there already is an error that says so.
  const int adding = NLM_F_CREATE | (rule ? NLM_F_EXCL : NLM_F_REPLACE);
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | (add ? adding : 0));
  header->nlmsg_seq = sequence;
  if (rule) {
    put_rule(header, sources);
  } else {
    put_route(header, what == ProbeRoute::kLocal, sources, interface_index);
  }
  buffer.resize(header->nlmsg_len);
  return buffer;
}

}  // namespace anypop::dataplane
