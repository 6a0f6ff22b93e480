// SPDX-License-Identifier: Apache-2.0
// Packets to measure with. Each is a header of its own in a buffer that is larger than the caches, in an order that has
// nothing to do with the one in which flows are numbered; a Pool brings them into packet buffers as a NIC would, too
// many of them for the second-level cache.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/config.h"
#include "l4lb/pipeline.h"
#include "l4lb/snapshot.h"

namespace anypop::l4lb_bench {

inline constexpr std::size_t kBurst = 32;

// Memory on huge pages where the kernel has them, as packet buffers are. Zero at first.
class Buffer {
 public:
  explicit Buffer(std::size_t bytes);
  std::byte* data() { return memory_.get(); }
  const std::byte* data() const { return memory_.get(); }
  std::size_t size() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t bytes_;
};

enum class Kind : std::uint8_t { kTcp, kSyn, kUdp };  // kTcp: in the middle of a connection

struct TrafficOptions {
  Family family = Family::kV4;
  Kind kind = Kind::kTcp;
  std::size_t flows = 1000;
  bool zipf = false;                    // flow n is met in proportion to 1/n; else all are met equally often
  std::size_t services = 1;             // that the flows are spread over
  bool vlan_tag = false;                // 802.1Q
  bool to_vips = true;                  // false: to addresses that are none
  std::size_t packets_min = 1U << 20U;  // 80 MB of headers; fewer only where speed does not matter

  friend bool operator==(const TrafficOptions&, const TrafficOptions&) = default;
};

struct Traffic {
  static constexpr std::size_t kHeaderBytes = 80;

  Buffer headers;                  // `packets` of kHeaderBytes, in the order in which they arrive
  std::size_t packets = 0;         // then from the start again
  std::uint32_t packet_bytes = 0;  // of each
  std::size_t source_at = 0;       // in each: the end of the source address, which is the flow's number
  std::size_t source_port_at = 0;
};

// 64 bytes on the wire in IPv4, the least that holds the headers in IPv6.
Traffic make_traffic(const TrafficOptions& options);

// Packet buffers, used in turn.
class Pool {
 public:
  Pool();
  // The next burst. `fresh`: each packet becomes one of a flow that has not been before (2^48 of them).
  std::span<l4lb::Packet> receive(const Traffic& traffic, bool fresh = false);

 private:
  static constexpr std::size_t kBuffers = 4096;
  static constexpr std::size_t kBufferBytes = 2304;
  static constexpr std::uint32_t kHeadroom = 128;  // as DPDK's buffers have it

  Buffer memory_;
  std::array<l4lb::Packet, kBurst> burst_;
  std::size_t next_buffer_ = 0;
  std::size_t next_header_ = 0;
  std::uint64_t next_flow_ = 0;
};

struct ServiceOptions {
  Family family = Family::kV4;
  std::size_t services = 1;
  std::size_t backends = 10;  // of each
  bool own_pools = false;     // each service has backends, and so a Maglev table, of its own
  Protocol protocol = Protocol::kTcp;
  Track track = Track::kChanges;
  Forwarding forwarding = Forwarding::kL2;
  Family outer = Family::kV4;  // of the backends

  friend bool operator==(const ServiceOptions&, const ServiceOptions&) = default;
};
std::vector<ServiceConfig> make_services(const ServiceOptions& options);
l4lb::SnapshotInput all_healthy(const std::vector<ServiceConfig>& services);

}  // namespace anypop::l4lb_bench
