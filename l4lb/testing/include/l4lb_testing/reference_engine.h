// SPDX-License-Identifier: Apache-2.0
// The engine once more, slow and plain: bytes by index, std::map, the paper's Maglev loop over whole permutations, AES
// from field arithmetic. Shares no code with the engine, so that where the two agree the engine is probably right.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/config.h"
#include "l4lb/snapshot.h"
#include "l4lb/verdict.h"
#include "l4lb_testing/packet_builder.h"
#include "l4lb_testing/reference_flows.h"

namespace anypop::l4lb_testing {

using Key = std::array<std::uint8_t, 16>;

// FIPS 197.
Key reference_aes128(const Key& key, const Key& plain);

// The keyed hash of a flow, from addresses of 4 or 16 bytes.
std::uint64_t reference_hash(const Key& key, const std::vector<std::uint8_t>& source,
                             const std::vector<std::uint8_t>& destination, std::uint16_t source_port,
                             std::uint16_t destination_port, std::uint8_t protocol);

struct ReferenceMember {
  std::string name;
  unsigned weight = 1;
  std::uint16_t backend = 0;
};
std::vector<std::uint16_t> reference_maglev(std::vector<ReferenceMember> members, std::uint32_t size);

// What of an outer header varies with the flow, from the flow's hash.
struct OuterVariation {
  std::uint64_t source = 0;  // added to the first address of the prefix
  unsigned udp_port = 0;
  unsigned flow_label = 0;
};
OuterVariation outer_variation(std::uint64_t hash, const IpPrefix& sources);

// Rates are not limited here.
class ReferenceEngine {
 public:
  ReferenceEngine(std::vector<ServiceConfig> services, const Key& key, EngineConfig config = {});

  // What SnapshotBuilder::update_config() and build() do. A service keeps its table size and what it hashes.
  void reconfigure(std::vector<ServiceConfig> services) { services_ = std::move(services); }
  void update(const l4lb::SnapshotInput& input);

  struct Outcome {
    l4lb::Verdict verdict = l4lb::Verdict::kPassNotVip;
    std::optional<std::size_t> service;
    std::optional<std::size_t> backend;
    std::optional<ReferenceFlows::By> by;  // what chose the backend
    Frame frame;                           // afterwards
  };
  Outcome process(const Frame& frame, std::uint32_t now_ms);

 private:
  using Bytes = std::vector<std::uint8_t>;
  struct Flow;
  // Where the IP packet lies in the frame.
  struct Place {
    std::size_t ip_at = 0;
    std::size_t ip_bytes = 0;
  };

  Outcome process_ip(const Bytes& packet, bool v4, Frame frame);
  Outcome icmp(const Bytes& message, Flow flow, const Place& place, Frame frame);
  l4lb::Verdict follow_fragment(unsigned id, bool later, Flow& flow);
  bool serves(const Bytes& vip) const;
  Outcome forward(const Flow& flow, const Place& place, Frame frame);
  std::uint64_t flow_hash(const Flow& flow) const;
  std::uint64_t slot_hash(const ServiceConfig& service, const Flow& flow) const;
  void send(const Flow& flow, const Place& place, std::uint64_t hash, Outcome& outcome) const;
  bool is_vip(const Bytes& address) const;

  // First fragments, by source, destination, identification and (in IPv4) protocol.
  struct First {
    unsigned source_port = 0;
    unsigned destination_port = 0;
    unsigned protocol = 0;
    std::uint32_t seen_ms = 0;
  };
  std::map<std::tuple<Bytes, Bytes, unsigned, unsigned>, First> firsts_;
  std::uint32_t now_ms_ = 0;

  EngineConfig config_;
  std::vector<ServiceConfig> services_;
  Key key_;
  l4lb::SnapshotInput input_;
  std::vector<std::vector<std::uint16_t>> tables_;  // of each service; empty: no healthy backend
  std::map<std::string, ReferenceFlows> flows_;     // by service
};

}  // namespace anypop::l4lb_testing
