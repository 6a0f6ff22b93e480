// SPDX-License-Identifier: Apache-2.0
#include "dataplane/link_message.h"

#include <optional>
#include <string_view>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "netlink_reader.h"

namespace anypop::dataplane {
namespace {

using netlink::Bytes;
using netlink::drop;
using netlink::for_each_attribute;
using netlink::read;

bool is_vlan(Bytes kind) {
  const std::string_view text(reinterpret_cast<const char*>(kind.data()), kind.size());
  return text.substr(0, text.find('\0')) == "vlan";
}

// False: malformed.
bool read_link(Bytes payload, std::vector<VlanLink>& vlans) {
  const auto header = read<ifinfomsg>(payload);
  if (!header) return false;
  std::optional<std::uint32_t> below;
  bool vlan = false;
  bool elsewhere = false;
  bool good = true;
  const auto look_at_info = [&](unsigned type, Bytes value) {
    if (type == IFLA_INFO_KIND) vlan = is_vlan(value);
  };
  const auto visit = [&](unsigned type, Bytes value) {
    switch (type) {
      case IFLA_LINK: below = read<std::uint32_t>(value); break;
      case IFLA_LINK_NETNSID: elsewhere = true; break;
      case IFLA_LINKINFO: good = for_each_attribute(value, look_at_info) && good; break;
      default: break;
    }
  };
  if (!for_each_attribute(drop(payload, NLMSG_ALIGN(sizeof(ifinfomsg))), visit) || !good) return false;
  if (vlan && below && !elsewhere) vlans.push_back({static_cast<unsigned>(header->ifi_index), *below});
  return true;
}

}  // namespace

LinkMessages parse_link_messages(Bytes datagram) {
  LinkMessages found;
  found.end.malformed = !netlink::for_each_message(datagram, [&](unsigned type, Bytes payload) {
    return type == RTM_NEWLINK ? read_link(payload, found.vlans) : read_dump_end(type, payload, found.end);
  });
  return found;
}

std::vector<std::byte> link_dump_request(std::uint32_t sequence) {
  std::vector<std::byte> buffer(256);
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = RTM_GETLINK;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = sequence;
  mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg));
  return {buffer.begin(), buffer.begin() + header->nlmsg_len};
}

}  // namespace anypop::dataplane
