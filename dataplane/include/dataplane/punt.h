// SPDX-License-Identifier: Apache-2.0
// A worker's way to the kernel and back, for one queue of a port that DPDK owns. What is for no service is sorted into
// classes; each has its own limit and its own place in line, so that a flood of junk costs BGP and BFD nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include <rte_mbuf.h>

#include "base/config.h"
#include "l4lb/pipeline.h"
#include "l4lb/punt_class.h"
#include "l4lb/worker_state.h"

namespace anypop::dataplane {

// One writer, the worker.
struct PuntCounters {
  using Each = std::array<std::atomic<std::uint64_t>, l4lb::kPuntClassCount>;
  Each sent{};     // handed to the kernel
  Each limited{};  // over the class's limit
  Each refused{};  // the kernel's interface took no more
  std::atomic<std::uint64_t> from_kernel{0};
  std::atomic<std::uint64_t> from_kernel_dropped{0};  // the port took no more
};

class Punt {
 public:
  // `kernel_port` and `queue` are DPDK's.
  Punt(std::uint16_t kernel_port, std::uint16_t queue, const DataplaneConfig& config);

  // The worker's thread. Takes the buffer. At most l4lb::kBurstMax of them before the next flush().
  void add(rte_mbuf* mbuf, std::uint32_t now_ms);
  void flush();
  // What the kernel sent, to the port's queue. How many there were.
  unsigned forward_from_kernel(std::uint16_t port, std::uint16_t queue);

  const PuntCounters& counters() const { return counters_; }

 private:
  struct Lane {
    std::array<rte_mbuf*, l4lb::kBurstMax> mbufs;
    std::uint16_t size = 0;
  };

  std::uint16_t kernel_port_;
  std::uint16_t queue_;
  std::vector<IpPrefix> probe_sources_;
  std::array<l4lb::TokenBucket, l4lb::kPuntClassCount> limits_;
  std::array<Lane, l4lb::kPuntClassCount> lanes_{};
  PuntCounters counters_;
};

}  // namespace anypop::dataplane
