// SPDX-License-Identifier: Apache-2.0
// A worker: one thread on one core that carries packets from its receive queues through the engine to the transmit
// queue of the port that leads to the backend, run to completion, sharing nothing with other workers. What others may
// read of it are counters and the heartbeat, each with one writer.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <rte_common.h>
#include <rte_mbuf.h>

#include "base/address.h"
#include "base/config.h"
#include "dataplane/forwarding.h"
#include "dataplane/idle.h"
#include "dataplane/latency.h"
#include "dataplane/published.h"
#include "dataplane/punt.h"
#include "dataplane/worker_clock.h"
#include "l4lb/pipeline.h"
#include "l4lb/snapshot.h"

namespace anypop::dataplane {

struct WorkerQueue {
  std::uint16_t port = 0;
  std::uint16_t queue = 0;
  std::size_t port_index = 0;                // in the configuration
  MacAddress mac;                            // of the port, the source of what leaves by it
  int wake_fd = -1;                          // see Port::wake_fd()
  std::optional<std::uint16_t> kernel_port;  // DPDK's, of the kernel's interface for this port
};

// A worker's end of the interface by which the monitor's probes come (probe_entrance.h).
struct ProbeQueue {
  std::uint16_t port = 0;
  std::uint16_t queue = 0;
  int wake_fd = -1;
};

// What a queue lost on this worker's side of the device.
struct alignas(RTE_CACHE_LINE_SIZE) QueueCounters {
  std::atomic<std::uint64_t> tx_dropped{0};        // forwarded, but the port took no more
  std::atomic<std::uint64_t> rx_multi_segment{0};  // larger than a packet buffer
};

struct alignas(RTE_CACHE_LINE_SIZE) HeartbeatCell {
  std::atomic<std::uint64_t> loops{0};
  std::atomic<std::uint64_t> last_tsc{0};  // rte_rdtsc() at the last pass
};

// Milliseconds since the machine's start, the same for all processes; and the engine's clock, which is its lower half.
// Any thread.
std::uint64_t monotonic_ms();
std::uint32_t worker_now_ms();

class alignas(RTE_CACHE_LINE_SIZE) Worker {
 public:
  Worker(unsigned number, std::vector<WorkerQueue> queues, std::optional<ProbeQueue> probes, const PopConfig& config,
         l4lb::FlowTable flows, Published<WorkerView>& views);

  // The other workers, whose tables this one may look into, and flow tables that no worker has. Before run().
  void set_peers(const std::vector<std::unique_ptr<Worker>>& workers,
                 const std::vector<const l4lb::FlowTable*>& left_over);
  // Polls until stop(). The worker's thread.
  void run();
  void stop() { stop_.store(true, std::memory_order_relaxed); }

  // Any thread.
  unsigned number() const { return number_; }
  const l4lb::FlowTable& flows() const { return state_.flows; }  // its const functions
  const std::vector<WorkerQueue>& queues() const { return queues_; }
  const QueueCounters& queue_counters(std::size_t queue) const { return queue_counters_[queue]; }
  const Punt* punt(std::size_t queue) const { return punts_[queue].get(); }  // nullptr: no kernel interface
  const LatencyHistogram& latency() const { return latency_; }
  std::uint64_t loops() const { return heartbeat_.loops.load(std::memory_order_relaxed); }
  double age_ms() const;  // since the last pass; since the construction before the first one

 private:
  // What was received at once: packets[i] lies in mbufs[i]. It is kept, because a new one would be written over as a
  // whole at each poll, packets or none.
  struct Burst {
    // Frames that lie in several buffers are counted and dropped. How many frames there were.
    unsigned receive(std::uint16_t port, std::uint16_t queue, std::atomic<std::uint64_t>& multi_segment);
    std::span<l4lb::Packet> all() { return std::span(packets).first(size); }

    std::array<rte_mbuf*, l4lb::kBurstMax> mbufs;
    std::array<l4lb::Packet, l4lb::kBurstMax> packets;
    std::size_t size = 0;
  };
  // Packets on their way out by one queue.
  struct Lane {
    std::array<rte_mbuf*, l4lb::kBurstMax> mbufs;
    std::uint16_t size = 0;
  };
  unsigned poll(std::size_t queue, const WorkerView& view);
  unsigned poll_probes(const WorkerView& view);
  void process(const WorkerQueue& queue, std::span<l4lb::Packet> packets, const WorkerView& view);
  std::size_t way_out(std::size_t in, const l4lb::Packet& packet, const WorkerView& view) const;
  void send(std::size_t in, const WorkerView& view);
  void leave_by(std::size_t queue, const l4lb::Packet& packet, rte_mbuf* mbuf);
  void flush();
  std::uint32_t now_ms();
  void beat();

  HeartbeatCell heartbeat_;
  std::atomic<bool> stop_ = false;
  unsigned number_;
  std::vector<WorkerQueue> queues_;
  std::vector<QueueCounters> queue_counters_;
  std::vector<std::unique_ptr<Punt>> punts_;  // of each queue
  Burst burst_;
  std::vector<Lane> lanes_;                 // of each queue
  std::vector<std::size_t> queue_of_port_;  // the first of each port's
  std::optional<ProbeQueue> probes_;
  l4lb::WorkerState state_;
  Published<WorkerView>::Reader views_;
  WorkerClock clock_;
  LatencyHistogram latency_;
  IdleStrategy idle_;
};

}  // namespace anypop::dataplane
