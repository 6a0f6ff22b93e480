// SPDX-License-Identifier: Apache-2.0
#include "quic_routes.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "quic.h"

namespace anypop::l4lb {

QuicRoutes::QuicRoutes(const ServiceConfig& service, const std::vector<BackendState>& states) {
  if (service.quic.empty()) return;
  for (const QuicConfig& quic : service.quic) {
    server_id_bytes_[quic.config_id] = static_cast<std::uint8_t>(quic.server_id_bytes);
  }
  std::size_t ids = 0;
  for (const BackendConfig& backend : service.backends) ids += backend.server_ids.size();
  entries_.resize(std::bit_ceil(2 * ids + 1));
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (!states[i].healthy) continue;
    for (const std::string& id : service.backends[i].server_ids) {
      insert(key_of(std::as_bytes(std::span(id))), static_cast<std::uint16_t>(i));
    }
  }
}

const std::uint16_t* QuicRoutes::find(std::span<const std::byte> datagram) const {
  const std::span<const std::byte> id = quic_destination_id(datagram);
  if (id.empty()) return nullptr;
  const std::size_t bytes = server_id_bytes_[std::to_integer<std::uint8_t>(id[0]) >> 5U];
  if (bytes == 0 || id.size() < 1 + bytes + QuicConfig::kNonceBytesMin) return nullptr;
  const Key key = key_of(id.subspan(1, bytes));
  for (std::size_t at = home(key);; at = (at + 1) & (entries_.size() - 1)) {
    const Entry& entry = entries_[at];
    if (entry.key == key) return &entry.backend;
    if (entry.key == Key{}) return nullptr;
  }
}

QuicRoutes::Key QuicRoutes::key_of(std::span<const std::byte> server_id) {
  std::array<std::byte, sizeof(Key)> padded{};
  std::memcpy(padded.data(), server_id.data(), server_id.size());
  padded.back() = static_cast<std::byte>(server_id.size());
  return std::bit_cast<Key>(padded);
}

std::size_t QuicRoutes::home(const Key& key) const {
  const std::uint64_t mixed = (key[0] * 0x9e3779b97f4a7c15ULL) ^ (key[1] * 0xd6e8feb86659fd93ULL);
  return ((mixed ^ (mixed >> 32U)) * 0xff51afd7ed558ccdULL >> 32U) & (entries_.size() - 1);
}

void QuicRoutes::insert(const Key& key, std::uint16_t backend) {
  std::size_t at = home(key);
  while (entries_[at].key != Key{}) at = (at + 1) & (entries_.size() - 1);
  entries_[at] = {.key = key, .backend = backend};
}

}  // namespace anypop::l4lb
