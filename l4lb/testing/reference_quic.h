// SPDX-License-Identifier: Apache-2.0
// QUIC-LB of the reference engine.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/config.h"
#include "l4lb/snapshot.h"
#include "reference_tunnel.h"

namespace anypop::l4lb_testing {

// The living backend that the connection ID of this UDP payload names.
std::optional<std::size_t> reference_quic(const ServiceConfig& service, const std::vector<l4lb::BackendState>& states,
                                          const Bytes& datagram);

}  // namespace anypop::l4lb_testing
