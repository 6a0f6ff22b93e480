// SPDX-License-Identifier: Apache-2.0
// From a QUIC connection ID to the backend whose server made it: QUIC-LB (draft-ietf-quic-load-balancers-21) with
// server IDs in plaintext. A connection then stays where it is whatever becomes of the client's address, and of the
// service's other backends.
//
// Every packet is asked, also an Initial: a client's later Initials carry the server's ID already. Its first one has an
// ID of random bytes. Should these happen to name a server, the connection begins there, which does no harm but to the
// weights; long server IDs make it rare. Everything that names no living backend follows its flow:
//   - an unknown configuration, or the one of all ones, with which servers say that an ID names none
//   - an ID that is too short, or whose server is unknown or dead
//   - fragments, also the first one, because the later ones have no ID (QUIC forbids them: RFC 9000 section 14)
//   - ICMP errors: they quote what the backend sent, and a short header has no ID of the server there. After a client
//     has moved they may miss its backend, which therefore must find the path MTU by itself (RFC 8899, as RFC 9000
//     section 14.3 asks anyway)
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/config.h"
#include "l4lb/snapshot.h"

namespace anypop::l4lb {

class QuicRoutes {
 public:
  // Of a service without `quic`.
  QuicRoutes() = default;
  // Precondition: one state for each backend.
  QuicRoutes(const ServiceConfig& service, const std::vector<BackendState>& states);

  // Is there anything to find? False for most services.
  bool any() const { return !entries_.empty(); }

  // The living backend (index within the service) that this UDP payload names, or nullptr; valid as long as this
  // object. Constant time: what is in the table comes from the configuration.
  const std::uint16_t* find(std::span<const std::byte> datagram) const;

 private:
  // A server ID, padded with zeros, and its length in the last byte: 0 in entries that nobody uses.
  using Key = std::array<std::uint64_t, 2>;
  struct Entry {
    Key key{};
    std::uint16_t backend = 0;
  };
  static Key key_of(std::span<const std::byte> server_id);
  std::size_t home(const Key& key) const;
  void insert(const Key& key, std::uint16_t backend);

  std::array<std::uint8_t, 8> server_id_bytes_{};  // by configuration; 0: there is no such
  std::vector<Entry> entries_;                     // open addressing: a power of two, at most half of them used
};

}  // namespace anypop::l4lb
