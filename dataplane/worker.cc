// SPDX-License-Identifier: Apache-2.0
#include "dataplane/worker.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <span>
#include <utility>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

namespace anypop::dataplane {
namespace {

constexpr std::size_t kSourceMacOffset = 6;  // in the Ethernet header (IEEE 802.3)

std::vector<int> wake_fds(const std::vector<WorkerQueue>& queues) {
  std::vector<int> fds;
  for (const WorkerQueue& queue : queues) fds.push_back(queue.wake_fd);
  return fds;
}

// One writer: no read-modify-write needed.
void add(std::atomic<std::uint64_t>& counter, std::uint64_t amount) {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

using Mbufs = std::array<rte_mbuf*, l4lb::kBurstMax>;

// packets[i] lies in mbufs[i].
struct Burst {
  Mbufs mbufs;
  std::array<l4lb::Packet, l4lb::kBurstMax> packets;
  std::size_t size = 0;
};

unsigned receive(const WorkerQueue& queue, QueueCounters& lost, Burst& burst) {
  Mbufs received;
  const std::uint16_t count = rte_eth_rx_burst(queue.port, queue.queue, received.data(), received.size());
  for (rte_mbuf* mbuf : std::span(received).first(count)) {
    if (mbuf->nb_segs != 1) {
      add(lost.rx_multi_segment, 1);
      rte_pktmbuf_free(mbuf);
      continue;
    }
    burst.mbufs[burst.size] = mbuf;
    burst.packets[burst.size++] = {.data = rte_pktmbuf_mtod(mbuf, std::byte*),
                                   .length_bytes = mbuf->data_len,
                                   .headroom_bytes = rte_pktmbuf_headroom(mbuf)};
  }
  return count;
}

// The engine may have moved the frame's beginning and its end.
void follow(const l4lb::Packet& packet, rte_mbuf& mbuf) {
  mbuf.data_off = static_cast<std::uint16_t>(packet.headroom_bytes);
  mbuf.data_len = static_cast<std::uint16_t>(packet.length_bytes);
  mbuf.pkt_len = packet.length_bytes;
}

// Sends what leaves, hands the kernel what is its, and frees everything else, so that every buffer of the burst has
// left our hands.
void send(const WorkerQueue& queue, QueueCounters& lost, Burst& burst, Punt* punt, std::uint32_t now_ms) {
  Mbufs leaving;
  Mbufs dropped;
  std::uint16_t leaving_count = 0;
  unsigned dropped_count = 0;
  for (std::size_t i = 0; i < burst.size; ++i) {
    if (!l4lb::leaves(burst.packets[i].verdict)) {
      if (punt != nullptr && burst.packets[i].verdict == l4lb::Verdict::kPassNotVip) {
        punt->add(burst.mbufs[i], now_ms);
      } else {
        dropped[dropped_count++] = burst.mbufs[i];
      }
      continue;
    }
    // The snapshot knows one port's MAC; with several, what leaves must bear the MAC of the port it leaves by.
    std::memcpy(burst.packets[i].data + kSourceMacOffset, queue.mac.bytes().data(), queue.mac.bytes().size());
    follow(burst.packets[i], *burst.mbufs[i]);
    leaving[leaving_count++] = burst.mbufs[i];
  }
  if (dropped_count > 0) rte_pktmbuf_free_bulk(dropped.data(), dropped_count);
  if (punt != nullptr) punt->flush();
  if (leaving_count == 0) return;
  const std::uint16_t sent = rte_eth_tx_burst(queue.port, queue.queue, leaving.data(), leaving_count);
  if (sent < leaving_count) {
    add(lost.tx_dropped, leaving_count - sent);
    rte_pktmbuf_free_bulk(leaving.data() + sent, leaving_count - sent);
  }
}

std::vector<std::unique_ptr<Punt>> make_punts(const std::vector<WorkerQueue>& queues, const PuntConfig& config) {
  std::vector<std::unique_ptr<Punt>> punts;
  for (const WorkerQueue& queue : queues) {
    punts.push_back(queue.kernel_port ? std::make_unique<Punt>(*queue.kernel_port, queue.queue, config) : nullptr);
  }
  return punts;
}

}  // namespace

std::uint64_t monotonic_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

std::uint32_t worker_now_ms() { return static_cast<std::uint32_t>(monotonic_ms()); }

Worker::Worker(unsigned number, std::vector<WorkerQueue> queues, const PopConfig& config, l4lb::FlowTable flows,
               Published<WorkerView>& views)
    : number_(number),
      queues_(std::move(queues)),
      queue_counters_(queues_.size()),
      punts_(make_punts(queues_, config.dataplane.punt)),
      state_(config.dataplane.engine, std::move(flows)),
      views_(views, number),
      tsc_per_ms_(std::max<std::uint64_t>(1, rte_get_tsc_hz() / 1000)),
      start_tsc_(rte_rdtsc()),
      start_ms_(monotonic_ms()),
      idle_(config.dataplane.polling, wake_fds(queues_)) {
  heartbeat_.last_tsc.store(rte_rdtsc(), std::memory_order_relaxed);
}

void Worker::set_peers(const std::vector<std::unique_ptr<Worker>>& workers,
                       const std::vector<const l4lb::FlowTable*>& left_over) {
  for (const auto& worker : workers) {
    if (worker.get() == this) continue;
    state_.peers.push_back(&worker->state_.flows);
    state_.fragment_peers.push_back(&worker->state_.fragments);
  }
  state_.peers.insert(state_.peers.end(), left_over.begin(), left_over.end());
}

void Worker::beat() {
  add(heartbeat_.loops, 1);
  heartbeat_.last_tsc.store(rte_rdtsc(), std::memory_order_relaxed);
}

double Worker::age_ms() const {
  // The other core's counter may be ahead of ours by a little.
  const std::uint64_t last = heartbeat_.last_tsc.load(std::memory_order_relaxed);
  const std::uint64_t now = std::max(rte_rdtsc(), last);
  return static_cast<double>(now - last) * 1e3 / static_cast<double>(rte_get_tsc_hz());
}

void Worker::run() {
  views_.online();
  while (!stop_.load(std::memory_order_relaxed)) {
    const WorkerView& view = views_.load();
    unsigned packets = 0;
    for (std::size_t i = 0; i < queues_.size(); ++i) packets += poll(i, view);
    beat();
    views_.quiescent();
    if (packets > 0) {
      idle_.worked();
    } else if (idle_.tired()) {
      views_.offline();
      idle_.sleep();
      views_.online();
    }
  }
  views_.offline();
}

std::uint32_t Worker::now_ms() const {
  return static_cast<std::uint32_t>(start_ms_ + (rte_rdtsc() - start_tsc_) / tsc_per_ms_);
}

unsigned Worker::poll(std::size_t index, const WorkerView& view) {
  const WorkerQueue& queue = queues_[index];
  Punt* punt = punts_[index].get();
  const unsigned from_kernel = punt != nullptr ? punt->forward_from_kernel(queue.port, queue.queue) : 0;
  Burst burst;
  const unsigned received = receive(queue, queue_counters_[index], burst);
  if (received == 0) return from_kernel;
  const bool timed = latency_.wants_burst();
  const std::uint64_t began = timed ? rte_rdtsc() : 0;
  process(queue, std::span(burst.packets).first(burst.size), view);
  send(queue, queue_counters_[index], burst, punt, now_ms());
  if (timed) latency_.count(rte_rdtsc() - began);
  return from_kernel + received;
}

void Worker::process(const WorkerQueue& queue, std::span<l4lb::Packet> packets, const WorkerView& view) {
  l4lb::Counters& counters = *view.counters[number_];
  if (view.capture == nullptr) [[likely]] {
    return process_burst(*view.snapshot, packets, now_ms(), state_, counters);
  }
  view.capture->before(number_, packets);
  process_burst(*view.snapshot, packets, now_ms(), state_, counters);
  view.capture->after(number_, static_cast<std::uint16_t>(queue.port_index), packets, rte_rdtsc(), 1000 * tsc_per_ms_);
}

}  // namespace anypop::dataplane
