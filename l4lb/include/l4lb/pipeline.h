// SPDX-License-Identifier: Apache-2.0
// The engine: a burst of frames in, a Verdict for each and rewritten headers out. Pure: no clock, no allocation, no
// system call, no lock. The same code runs in the workers, over a capture, in the fuzzers and in the tests.
//
// In: Ethernet, IEEE 802.1Q and 802.1ad tags, IPv4 (RFC 791), IPv6 (RFC 8200). Out: rewritten MACs, or IP in IP (RFC
// 2003, RFC 2473, RFC 4213), GRE (RFC 2784) or GUE (draft-ietf-intarea-gue), with DSCP and ECN by RFC 6040. QUIC
// connection IDs by draft-ietf-quic-load-balancers. A frame that is wrong has a Verdict, which is all the error there
// is.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "l4lb/snapshot.h"
#include "l4lb/verdict.h"
#include "l4lb/worker_state.h"

namespace anypop::l4lb {

inline constexpr std::size_t kBurstMax = 64;
inline constexpr std::uint16_t kNone = 0xffff;
// The most that a frame grows at its front: an IPv6 and a UDP header with GUE's.
inline constexpr std::uint32_t kHeadroomBytes = 52;

// What made a packet's flow go to its backend.
enum class ChosenBy : std::uint8_t {
  kNobody,         // no backend was chosen, or the monitor did, with a probe
  kSlot,           // the owner of its Maglev slot
  kRecord,         // a record of the flow
  kPreviousOwner,  // of its slot, which has changed owners of late
  kConnectionId,   // the packet's QUIC connection ID
};

// One frame, from the Ethernet header on, in memory that the caller owns and the engine may rewrite. It may also write
// to the `headroom_bytes` before `data`: what leaves in a tunnel, and an ICMP error, begins there.
struct Packet {
  std::byte* data = nullptr;                  // in and out: where the frame begins
  std::uint32_t length_bytes = 0;             // in and out
  std::uint32_t headroom_bytes = 0;           // in and out: before `data`; kHeadroomBytes are always enough
  Verdict verdict = Verdict::kDropTruncated;  // out
  std::uint8_t ip_offset = 0;                 // out: of the IP header in the frame as it came, once known
  bool follows = false;                       // out: belongs to a flow by what another packet says: a later fragment,
                                              // or an ICMP error
  ChosenBy chosen_by = ChosenBy::kNobody;     // out
  std::uint16_t service = kNone;              // out: index in the configuration, once known
  std::uint16_t backend = kNone;              // out: index within the service, once known
};

// What one worker counted. One writer; any thread may read, and sees each counter whole. Bytes are those of the frames
// that leave, outer headers included.
class Counters {
 public:
  explicit Counters(const std::vector<ServiceConfig>& services);
  explicit Counters(const Snapshot& snapshot);  // for as many services and backends as it has

  struct Traffic {
    std::atomic<std::uint64_t> packets{0};
    std::atomic<std::uint64_t> bytes{0};
  };
  std::uint64_t verdict(Verdict verdict) const;
  FlowTableStats flows() const;
  const Traffic& backend(std::size_t service, std::size_t backend) const;

  // Writer's side. Each packet is counted once: by count(), or by ByBackend and count_verdicts().
  void count(std::span<const Packet> packets);
  void count(const Packet& packet) { count(std::span(&packet, 1)); }
  // Of those that are forwarded, by backend as Snapshot numbers them all.
  class ByBackend {
   public:
    void add(std::size_t backend, std::uint32_t bytes) const {
      increase(traffic_[backend].packets, 1);
      increase(traffic_[backend].bytes, bytes);
    }
    void prefetch(std::size_t backend) const { __builtin_prefetch(&traffic_[backend], 1); }

   private:
    friend Counters;
    explicit ByBackend(Traffic* traffic) : traffic_(traffic) {}
    Traffic* traffic_;
  };
  ByBackend by_backend() { return ByBackend(backends_.data()); }
  // Of all `packets`, `forwarded` of which ByBackend has counted.
  void count_verdicts(std::span<const Packet> packets, std::size_t forwarded);
  void set_flows(const FlowTableStats& stats);

 private:
  // One writer, so a plain load and store: readers see whole values, and no bus lock is taken.
  static void increase(std::atomic<std::uint64_t>& counter, std::uint64_t more) {
    counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }

  std::array<std::atomic<std::uint64_t>, kVerdictCount> verdicts_{};
  std::vector<std::size_t> first_backend_;  // of each service, in backends_
  std::vector<Traffic> backends_;
  std::array<std::atomic<std::uint64_t>, sizeof(FlowTableStats) / sizeof(std::uint64_t)> flows_{};
};

// Decides about each packet, rewrites those that leave (see leaves()), and counts all. Packets are taken kBurstMax at a
// time; a burst of that size costs least per packet. `now_ms` is any clock that does not go back, modulo 2^32; `state`
// and `counters` are the calling worker's own.
void process_burst(const Snapshot& snapshot, std::span<Packet> packets, std::uint32_t now_ms, WorkerState& state,
                   Counters& counters);

// The same for a benchmark that wants to see where the time goes: what each stage takes is added to its own, in ticks
// of the clock that is handed in. It is read some five times a burst and family.
using Ticks = std::uint64_t (*)();
struct StageTicks {
  std::uint64_t parse = 0;
  std::uint64_t hash = 0;
  std::uint64_t slot = 0;     // service and slot
  std::uint64_t track = 0;    // records and windows
  std::uint64_t forward = 0;  // backend, outer header, counters
};
void process_burst_timed(const Snapshot& snapshot, std::span<Packet> packets, std::uint32_t now_ms, WorkerState& state,
                         Counters& counters, Ticks read, StageTicks& ticks);

// The same for packets that are known to be the monitor's probes, because nobody else can send by the way they came:
// each goes to the backend that its source address names (EngineConfig::probe_sources, base/probe_source.h), as a
// client's packet would go there, with the verdict kForwardProbe. They are no traffic of the backend's, and no flow is
// remembered.
void process_probes(const Snapshot& snapshot, std::span<Packet> packets, std::uint32_t now_ms, WorkerState& state,
                    Counters& counters);

}  // namespace anypop::l4lb
