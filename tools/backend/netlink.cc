// SPDX-License-Identifier: Apache-2.0
#include "netlink.h"

#include <cerrno>
#include <memory>

#include <sys/socket.h>

namespace anypop::backend {
namespace {

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};

}  // namespace

NetlinkRequest::NetlinkRequest(std::uint16_t type, unsigned flags) : header_(mnl_nlmsg_put_header(buffer_.data())) {
  header_->nlmsg_type = type;
  header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header_->nlmsg_seq = 1;
}

int NetlinkRequest::send(mnl_cb_t each, void* data) {
  const std::unique_ptr<mnl_socket, CloseSocket> socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0 ||
      mnl_socket_sendto(socket.get(), header_, header_->nlmsg_len) < 0) {
    return errno;
  }
  std::array<char, 32768> answer{};
  while (true) {
    const ssize_t bytes = mnl_socket_recvfrom(socket.get(), answer.data(), answer.size());
    if (bytes < 0) return errno;
    const int more =
        mnl_cb_run(answer.data(), static_cast<std::size_t>(bytes), 1, mnl_socket_get_portid(socket.get()), each, data);
    if (more < 0) return errno;
    if (more == MNL_CB_STOP) return 0;
  }
}

}  // namespace anypop::backend
