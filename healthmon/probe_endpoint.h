// SPDX-License-Identifier: Apache-2.0
// Addresses of the configuration as Asio wants them. Private to healthmon.
#pragma once

#include <algorithm>

#include <boost/asio/detail/socket_option.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/system/error_code.hpp>
#include <netinet/in.h>

#include "healthmon/probe.h"

namespace anypop::healthmon {

inline boost::asio::ip::address to_asio(const IpAddress& address) {
  const auto bytes = address.bytes();
  if (address.family() == Family::kV4) {
    boost::asio::ip::address_v4::bytes_type v4;
    std::copy(bytes.begin(), bytes.end(), v4.begin());
    return boost::asio::ip::address_v4(v4);
  }
  boost::asio::ip::address_v6::bytes_type v6;
  std::copy(bytes.begin(), bytes.end(), v6.begin());
  return boost::asio::ip::address_v6(v6);
}

template <typename Endpoint>
Endpoint endpoint_of(const ProbeTarget& target) {
  return {to_asio(target.address), target.probe.port};
}

// Opens the socket that the probe will connect, with its source address if it has one.
template <typename Socket>
void open_for(const ProbeTarget& target, Socket& socket, boost::system::error_code& error) {
  using Endpoint = typename Socket::endpoint_type;
  namespace option = boost::asio::detail::socket_option;
  socket.open(endpoint_of<Endpoint>(target).protocol(), error);
  if (error || !target.source) return;
  // The port is chosen when the other end is known: with as many sockets as backends there are more ports so.
  socket.set_option(option::boolean<IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT>(true), error);
  // IPv6 knows single addresses of its own only, and this one is of a whole prefix that is routed to itself.
  if (!error && target.source->family() == Family::kV6) {
    socket.set_option(option::boolean<IPPROTO_IPV6, IPV6_FREEBIND>(true), error);
  }
  if (!error) socket.bind(Endpoint(to_asio(*target.source), 0), error);
}

}  // namespace anypop::healthmon
