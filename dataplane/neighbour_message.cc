// SPDX-License-Identifier: Apache-2.0
#include "dataplane/neighbour_message.h"

#include <array>
#include <cstring>

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "netlink_reader.h"

namespace anypop::dataplane {
namespace {

using netlink::Bytes;
using netlink::drop;
using netlink::read;
using netlink::to_address;

std::optional<MacAddress> to_mac(Bytes bytes) {
  std::array<std::uint8_t, 6> mac{};
  if (bytes.size() != mac.size()) return std::nullopt;
  std::memcpy(mac.data(), bytes.data(), mac.size());
  return MacAddress(mac);
}

constexpr unsigned kUsable = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

// False: malformed. Families and kinds that are no next hops are skipped.
bool read_neighbour(bool deleted, Bytes payload, std::vector<NeighbourUpdate>& updates) {
  const auto header = read<ndmsg>(payload);
  if (!header) return false;
  Bytes destination;
  Bytes link_layer_address;
  const auto visit = [&](unsigned type, Bytes value) {
    if (type == NDA_DST) destination = value;
    if (type == NDA_LLADDR) link_layer_address = value;
  };
  if (!netlink::for_each_attribute(drop(payload, NLMSG_ALIGN(sizeof(ndmsg))), visit)) return false;
  if ((header->ndm_flags & NTF_PROXY) != 0) return true;
  const auto address = to_address(header->ndm_family, destination);
  if (!address) return true;
  NeighbourUpdate update{static_cast<unsigned>(header->ndm_ifindex), *address, std::nullopt, false};
  if (!deleted && (header->ndm_state & kUsable) != 0) update.mac = to_mac(link_layer_address);
  update.confirmed = update.mac.has_value() && (header->ndm_state & NUD_STALE) == 0;
  updates.push_back(update);
  return true;
}

std::vector<std::byte> finished(const std::vector<std::byte>& buffer, const nlmsghdr& header) {
  return {buffer.begin(), buffer.begin() + header.nlmsg_len};
}

struct Request {
  explicit Request(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence)
      : header(mnl_nlmsg_put_header(buffer.data())) {
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header->nlmsg_seq = sequence;
    neighbour = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ndmsg)));
  }
  std::vector<std::byte> buffer = std::vector<std::byte>(256);
  nlmsghdr* header;
  ndmsg* neighbour;
};

}  // namespace

NeighbourMessages parse_neighbour_messages(Bytes datagram) {
  NeighbourMessages found;
  found.end.malformed = !netlink::for_each_message(datagram, [&](unsigned type, Bytes payload) {
    const bool neighbour = type == RTM_NEWNEIGH || type == RTM_DELNEIGH;
    return neighbour ? read_neighbour(type == RTM_DELNEIGH, payload, found.updates)
                     : read_dump_end(type, payload, found.end);
  });
  return found;
}

std::vector<std::byte> neighbour_dump_request(Family family, std::uint32_t sequence) {
  Request request(RTM_GETNEIGH, NLM_F_DUMP, sequence);
  request.neighbour->ndm_family = netlink::address_family(family);
  return finished(request.buffer, *request.header);
}

std::vector<std::byte> neighbour_resolve_request(unsigned interface_index, const IpAddress& address,
                                                 std::uint32_t sequence) {
  Request request(RTM_NEWNEIGH, NLM_F_CREATE, sequence);
  request.neighbour->ndm_family = netlink::address_family(address.family());
  request.neighbour->ndm_ifindex = static_cast<int>(interface_index);
  request.neighbour->ndm_flags = NTF_USE;
  mnl_attr_put(request.header, NDA_DST, address.bytes().size(), address.bytes().data());
  return finished(request.buffer, *request.header);
}

}  // namespace anypop::dataplane
