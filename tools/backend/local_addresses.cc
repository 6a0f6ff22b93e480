// SPDX-License-Identifier: Apache-2.0
#include "local_addresses.h"

#include <cerrno>
#include <cstring>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/text.h"
#include "netlink.h"

namespace anypop::backend {
namespace {

constexpr std::uint32_t kForever = 0xffffffff;

std::uint8_t family_of(const IpPrefix& prefix) { return prefix.family() == Family::kV4 ? AF_INET : AF_INET6; }
bool is_address(const IpPrefix& prefix) { return prefix.length_bits() == prefix.address().bytes().size() * 8; }

absl::StatusOr<unsigned> index_of(const std::string& device) {
  const unsigned index = ::if_nametoindex(device.c_str());
  if (index == 0) return not_found("found no device '{}', expected one to bear the VIPs, such as lo", escaped(device));
  return index;
}

void put_address(NetlinkRequest& request, bool add, const Vip& vip, unsigned index) {
  auto& body = request.body<ifaddrmsg>();
  const bool v4 = vip.prefix.family() == Family::kV4;
  body.ifa_family = family_of(vip.prefix);
  body.ifa_prefixlen = static_cast<std::uint8_t>(vip.prefix.length_bits());
  body.ifa_scope = v4 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  body.ifa_index = index;
  const auto bytes = vip.prefix.address().bytes();
  request.put(IFA_LOCAL, bytes.data(), bytes.size());
  request.put(IFA_ADDRESS, bytes.data(), bytes.size());
  if (!v4 && add) {
    const std::uint32_t address_flags = IFA_F_NODAD;
    request.put(IFA_FLAGS, &address_flags, sizeof address_flags);
    const ifa_cacheinfo lifetime{.ifa_prefered = 0, .ifa_valid = kForever, .cstamp = 0, .tstamp = 0};
    request.put(IFA_CACHEINFO, &lifetime, sizeof lifetime);
  }
}

void put_route(NetlinkRequest& request, const Vip& vip, unsigned index) {
  auto& body = request.body<rtmsg>();
  body.rtm_family = family_of(vip.prefix);
  body.rtm_dst_len = static_cast<std::uint8_t>(vip.prefix.length_bits());
  body.rtm_table = RT_TABLE_LOCAL;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = RT_SCOPE_HOST;
  body.rtm_type = RTN_LOCAL;
  const auto bytes = vip.prefix.address().bytes();
  request.put(RTA_DST, bytes.data(), bytes.size());
  request.put(RTA_OIF, &index, sizeof index);
}

absl::Status change(const Vip& vip, bool add) {
  const auto index = index_of(vip.device);
  if (!index.ok()) return index.status();
  const bool address = is_address(vip.prefix);
  const int type = add ? (address ? RTM_NEWADDR : RTM_NEWROUTE) : (address ? RTM_DELADDR : RTM_DELROUTE);
  NetlinkRequest request(static_cast<std::uint16_t>(type), add ? NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL : NLM_F_ACK);
  if (address) {
    put_address(request, add, vip, *index);
  } else {
    put_route(request, vip, *index);
  }
  const int error = request.send();
  if (error == 0 || (add && error == EEXIST)) return absl::OkStatus();
  // The kernel's words for "it was not there", for addresses and for routes.
  if (!add && (error == EADDRNOTAVAIL || error == ESRCH)) {
    return not_found("{} is not on {}", vip.prefix.to_string(), vip.device);
  }
  return errno_error(error, "cannot {} {} {} {}", add ? "put" : "take", vip.prefix.to_string(), add ? "on" : "from",
                     vip.device);
}

struct Search {
  const Vip* vip;
  unsigned index;
  bool found = false;
};

bool is(const nlattr* attribute, absl::Span<const std::uint8_t> bytes) {
  return attribute != nullptr && mnl_attr_get_payload_len(attribute) == bytes.size() &&
         std::memcmp(mnl_attr_get_payload(attribute), bytes.data(), bytes.size()) == 0;
}

int see_address(const nlmsghdr* message, void* data) {
  auto& search = *static_cast<Search*>(data);
  const auto* body = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  const auto found = attributes<IFA_MAX + 1>(message, sizeof(ifaddrmsg));
  // IPv6 has no IFA_LOCAL unless there is a peer.
  const nlattr* own = found[IFA_LOCAL] != nullptr ? found[IFA_LOCAL] : found[IFA_ADDRESS];
  if (body->ifa_index == search.index && is(own, search.vip->prefix.address().bytes())) search.found = true;
  return MNL_CB_OK;
}

int see_route(const nlmsghdr* message, void* data) {
  auto& search = *static_cast<Search*>(data);
  const auto* body = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  const auto found = attributes<RTA_MAX + 1>(message, sizeof(rtmsg));
  if (body->rtm_type == RTN_LOCAL && body->rtm_dst_len == search.vip->prefix.length_bits() &&
      is(found[RTA_DST], search.vip->prefix.address().bytes()) && found[RTA_OIF] != nullptr &&
      mnl_attr_get_u32(found[RTA_OIF]) == search.index) {
    search.found = true;
  }
  return MNL_CB_OK;
}

}  // namespace

absl::StatusOr<bool> has_local(const Vip& vip) {
  const auto index = index_of(vip.device);
  if (!index.ok()) return index.status();
  Search search{&vip, *index};
  const bool address = is_address(vip.prefix);
  NetlinkRequest request(address ? RTM_GETADDR : RTM_GETROUTE, NLM_F_DUMP);
  if (address) {
    request.body<ifaddrmsg>().ifa_family = family_of(vip.prefix);
  } else {
    request.body<rtmsg>().rtm_family = family_of(vip.prefix);
  }
  if (const int error = request.send(address ? see_address : see_route, &search); error != 0) {
    return errno_error(error, "cannot list what {} has", vip.device);
  }
  return search.found;
}

absl::Status add_local(const Vip& vip) { return change(vip, true); }
absl::Status remove_local(const Vip& vip) { return change(vip, false); }

}  // namespace anypop::backend
