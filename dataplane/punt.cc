// SPDX-License-Identifier: Apache-2.0
#include "dataplane/punt.h"

#include <span>

#include <rte_ethdev.h>

namespace anypop::dataplane {
namespace {

void add_to(std::atomic<std::uint64_t>& counter, std::uint64_t amount) {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

}  // namespace

Punt::Punt(std::uint16_t kernel_port, std::uint16_t queue, const DataplaneConfig& config)
    : kernel_port_(kernel_port),
      queue_(queue),
      probe_sources_(config.engine.probe_sources),
      limits_{l4lb::TokenBucket(config.punt.routing_per_second), l4lb::TokenBucket(config.punt.probes_per_second),
              l4lb::TokenBucket(config.punt.neighbours_per_second), l4lb::TokenBucket(config.punt.icmp_per_second),
              l4lb::TokenBucket(config.punt.other_per_second)} {}

void Punt::add(rte_mbuf* mbuf, std::uint32_t now_ms) {
  const std::span frame(rte_pktmbuf_mtod(mbuf, const std::byte*), mbuf->data_len);
  const auto kind = static_cast<std::size_t>(l4lb::punt_class(frame, probe_sources_));
  if (!limits_[kind].take(now_ms)) {
    add_to(counters_.limited[kind], 1);
    rte_pktmbuf_free(mbuf);
    return;
  }
  lanes_[kind].mbufs[lanes_[kind].size++] = mbuf;
}

void Punt::flush() {
  for (std::size_t kind = 0; kind < lanes_.size(); ++kind) {
    Lane& lane = lanes_[kind];
    if (lane.size == 0) continue;
    const std::uint16_t sent = rte_eth_tx_burst(kernel_port_, queue_, lane.mbufs.data(), lane.size);
    add_to(counters_.sent[kind], sent);
    if (sent < lane.size) {
      add_to(counters_.refused[kind], lane.size - sent);
      rte_pktmbuf_free_bulk(lane.mbufs.data() + sent, lane.size - sent);
    }
    lane.size = 0;
  }
}

unsigned Punt::forward_from_kernel(std::uint16_t port, std::uint16_t queue) {
  std::array<rte_mbuf*, l4lb::kBurstMax> mbufs;
  const std::uint16_t count = rte_eth_rx_burst(kernel_port_, queue_, mbufs.data(), mbufs.size());
  if (count == 0) return 0;
  const std::uint16_t sent = rte_eth_tx_burst(port, queue, mbufs.data(), count);
  add_to(counters_.from_kernel, sent);
  if (sent < count) {
    add_to(counters_.from_kernel_dropped, count - sent);
    rte_pktmbuf_free_bulk(mbufs.data() + sent, count - sent);
  }
  return count;
}

}  // namespace anypop::dataplane
