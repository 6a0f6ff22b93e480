// SPDX-License-Identifier: Apache-2.0
// An address of the configuration as Asio wants it. Private to healthmon.
#pragma once

#include <algorithm>

#include <boost/asio/ip/address.hpp>

#include "healthmon/probe.h"

namespace anypop::healthmon {

template <typename Endpoint>
Endpoint endpoint_of(const ProbeTarget& target) {
  const auto bytes = target.address.bytes();
  if (target.address.family() == Family::kV4) {
    boost::asio::ip::address_v4::bytes_type v4;
    std::copy(bytes.begin(), bytes.end(), v4.begin());
    return {boost::asio::ip::address_v4(v4), target.probe.port};
  }
  boost::asio::ip::address_v6::bytes_type v6;
  std::copy(bytes.begin(), bytes.end(), v6.begin());
  return {boost::asio::ip::address_v6(v6), target.probe.port};
}

}  // namespace anypop::healthmon
