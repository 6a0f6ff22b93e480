// SPDX-License-Identifier: Apache-2.0
#include "reference_quic.h"

#include <string>

namespace anypop::l4lb_testing {

std::optional<std::size_t> reference_quic(const ServiceConfig& service, const std::vector<l4lb::BackendState>& states,
                                          const Bytes& datagram) {
  if (datagram.empty()) return std::nullopt;
  std::string id;
  if (datagram[0] >= 128) {
    if (datagram.size() < 6 || datagram.size() < 6U + datagram[5]) return std::nullopt;
    for (std::size_t i = 0; i < datagram[5]; ++i) id += static_cast<char>(datagram[6 + i]);
  } else {
    for (std::size_t i = 1; i < datagram.size() && i <= 20; ++i) id += static_cast<char>(datagram[i]);
  }
  if (id.empty()) return std::nullopt;
  for (const QuicConfig& quic : service.quic) {
    if (static_cast<unsigned char>(id[0]) / 32U != quic.config_id) continue;
    if (id.size() < 1 + quic.server_id_bytes + 4) continue;
    for (std::size_t i = 0; i < service.backends.size(); ++i) {
      for (const std::string& server_id : service.backends[i].server_ids) {
        if (states[i].healthy && server_id == id.substr(1, quic.server_id_bytes)) return i;
      }
    }
  }
  return std::nullopt;
}

}  // namespace anypop::l4lb_testing
