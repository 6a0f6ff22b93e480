// SPDX-License-Identifier: Apache-2.0
#include "dataplane/worker.h"

#include <algorithm>
#include <array>
#include <bit>
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

std::vector<int> wake_fds(const std::vector<WorkerQueue>& queues, const std::optional<ProbeQueue>& probes) {
  std::vector<int> fds;
  for (const WorkerQueue& queue : queues) fds.push_back(queue.wake_fd);
  if (probes) fds.push_back(probes->wake_fd);
  return fds;
}

std::vector<std::size_t> first_queues(const std::vector<WorkerQueue>& queues) {
  std::vector<std::size_t> first;
  for (std::size_t i = 0; i < queues.size(); ++i) {
    if (queues[i].port_index == first.size()) first.push_back(i);
  }
  return first;
}

// One writer: no read-modify-write needed.
void add(std::atomic<std::uint64_t>& counter, std::uint64_t amount) {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

// No system call: the kernel answers in the process (vdso(7)).
std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

using Mbufs = std::array<rte_mbuf*, l4lb::kBurstMax>;

// The engine may have moved the frame's beginning and its end.
void follow(const l4lb::Packet& packet, rte_mbuf& mbuf) {
  mbuf.data_off = static_cast<std::uint16_t>(packet.headroom_bytes);
  mbuf.data_len = static_cast<std::uint16_t>(packet.length_bytes);
  mbuf.pkt_len = packet.length_bytes;
}

std::vector<std::unique_ptr<Punt>> make_punts(const std::vector<WorkerQueue>& queues, const DataplaneConfig& config) {
  std::vector<std::unique_ptr<Punt>> punts;
  for (const WorkerQueue& queue : queues) {
    punts.push_back(queue.kernel_port ? std::make_unique<Punt>(*queue.kernel_port, queue.queue, config) : nullptr);
  }
  return punts;
}

}  // namespace

std::uint64_t monotonic_ms() { return monotonic_ns() / 1'000'000; }

std::uint32_t worker_now_ms() { return static_cast<std::uint32_t>(monotonic_ms()); }

unsigned Worker::Burst::receive(std::uint16_t port, std::uint16_t queue, std::atomic<std::uint64_t>& multi_segment) {
  Mbufs received;
  size = 0;
  const std::uint16_t count = rte_eth_rx_burst(port, queue, received.data(), received.size());
  for (rte_mbuf* mbuf : std::span(received).first(count)) {
    if (mbuf->nb_segs != 1) {
      add(multi_segment, 1);
      rte_pktmbuf_free(mbuf);
      continue;
    }
    mbufs[size] = mbuf;
    packets[size++] = {.data = rte_pktmbuf_mtod(mbuf, std::byte*),
                       .length_bytes = mbuf->data_len,
                       .headroom_bytes = rte_pktmbuf_headroom(mbuf)};
  }
  return count;
}

Worker::Worker(unsigned number, std::vector<WorkerQueue> queues, std::optional<ProbeQueue> probes,
               const PopConfig& config, l4lb::FlowTable flows, Published<WorkerView>& views)
    : number_(number),
      queues_(std::move(queues)),
      queue_counters_(queues_.size()),
      punts_(make_punts(queues_, config.dataplane)),
      lanes_(queues_.size()),
      queue_of_port_(first_queues(queues_)),
      probes_(probes),
      state_(config.dataplane.engine, std::move(flows)),
      views_(views, number),
      clock_(rte_get_tsc_hz(), rte_rdtsc(), monotonic_ns()),
      idle_(config.dataplane.polling, wake_fds(queues_, probes_)) {
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
    if (probes_) packets += poll_probes(view);
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

std::uint32_t Worker::now_ms() { return static_cast<std::uint32_t>(clock_.now_ms(rte_rdtsc(), monotonic_ns)); }

unsigned Worker::poll(std::size_t index, const WorkerView& view) {
  const WorkerQueue& queue = queues_[index];
  Punt* punt = punts_[index].get();
  const unsigned from_kernel = punt != nullptr ? punt->forward_from_kernel(queue.port, queue.queue) : 0;
  const unsigned received = burst_.receive(queue.port, queue.queue, queue_counters_[index].rx_multi_segment);
  if (received == 0) return from_kernel;
  const bool timed = latency_.wants_burst();
  const std::uint64_t began = timed ? rte_rdtsc() : 0;
  process(queue, burst_.all(), view);
  send(index, view);
  if (timed) latency_.count(rte_rdtsc() - began);
  return from_kernel + received;
}

// What may answer a probe instead of its backend goes back the way it came.
unsigned Worker::poll_probes(const WorkerView& view) {
  const unsigned received = burst_.receive(probes_->port, probes_->queue, queue_counters_[0].rx_multi_segment);
  if (received == 0) return 0;
  if (view.capture != nullptr) view.capture->before(number_, burst_.all());
  process_probes(*view.snapshot, burst_.all(), now_ms(), state_, *view.counters[number_]);
  if (view.capture != nullptr) {
    view.capture->after(number_, static_cast<std::uint16_t>(queues_[0].port_index), burst_.all(), rte_rdtsc(),
                        clock_.tsc_hz());
  }
  for (std::size_t i = 0; i < burst_.size; ++i) {
    const l4lb::Packet& packet = burst_.packets[i];
    if (packet.verdict == l4lb::Verdict::kForwardProbe) {
      leave_by(way_out(0, packet, view), packet, burst_.mbufs[i]);
      continue;
    }
    follow(packet, *burst_.mbufs[i]);
    if (!l4lb::leaves(packet.verdict) || rte_eth_tx_burst(probes_->port, probes_->queue, &burst_.mbufs[i], 1) == 0) {
      rte_pktmbuf_free(burst_.mbufs[i]);
    }
  }
  flush();
  return received;
}

// The queue of a port that leads to the backend; where the packet came in, if that port does, or if it is an answer.
std::size_t Worker::way_out(std::size_t in, const l4lb::Packet& packet, const WorkerView& view) const {
  if (queue_of_port_.size() < 2) return in;
  if (packet.verdict != l4lb::Verdict::kForward && packet.verdict != l4lb::Verdict::kForwardProbe) return in;
  const std::uint8_t ports = l4lb::next_hop_ports(*view.snapshot, packet.service, packet.backend);
  const auto first = static_cast<std::size_t>(std::countr_zero(ports));
  const bool stays = (ports >> queues_[in].port_index & 1U) != 0 || first >= queue_of_port_.size();
  return stays ? in : queue_of_port_[first];
}

void Worker::leave_by(std::size_t queue, const l4lb::Packet& packet, rte_mbuf* mbuf) {
  // The snapshot knows one port's MAC; with several, what leaves must bear the MAC of the port it leaves by.
  std::memcpy(packet.data + kSourceMacOffset, queues_[queue].mac.bytes().data(), queues_[queue].mac.bytes().size());
  follow(packet, *mbuf);
  Lane& lane = lanes_[queue];
  lane.mbufs[lane.size++] = mbuf;
}

void Worker::flush() {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[i];
    if (lane.size == 0) continue;
    const std::uint16_t sent = rte_eth_tx_burst(queues_[i].port, queues_[i].queue, lane.mbufs.data(), lane.size);
    if (sent < lane.size) {
      add(queue_counters_[i].tx_dropped, lane.size - sent);
      rte_pktmbuf_free_bulk(lane.mbufs.data() + sent, lane.size - sent);
    }
    lane.size = 0;
  }
}

// Sends what leaves, hands the kernel what is its, and frees everything else, so that every buffer of the burst has
// left our hands.
void Worker::send(std::size_t in, const WorkerView& view) {
  Punt* const punt = punts_[in].get();
  const std::uint32_t now = now_ms();
  Mbufs dropped;
  unsigned dropped_count = 0;
  for (std::size_t i = 0; i < burst_.size; ++i) {
    const l4lb::Packet& packet = burst_.packets[i];
    if (l4lb::leaves(packet.verdict)) {
      leave_by(way_out(in, packet, view), packet, burst_.mbufs[i]);
    } else if (punt != nullptr && packet.verdict == l4lb::Verdict::kPassNotVip) {
      punt->add(burst_.mbufs[i], now);
    } else {
      dropped[dropped_count++] = burst_.mbufs[i];
    }
  }
  if (dropped_count > 0) rte_pktmbuf_free_bulk(dropped.data(), dropped_count);
  if (punt != nullptr) punt->flush();
  flush();
}

void Worker::process(const WorkerQueue& queue, std::span<l4lb::Packet> packets, const WorkerView& view) {
  l4lb::Counters& counters = *view.counters[number_];
  if (view.capture == nullptr) [[likely]] {
    return process_burst(*view.snapshot, packets, now_ms(), state_, counters);
  }
  view.capture->before(number_, packets);
  process_burst(*view.snapshot, packets, now_ms(), state_, counters);
  view.capture->after(number_, static_cast<std::uint16_t>(queue.port_index), packets, rte_rdtsc(), clock_.tsc_hz());
}

}  // namespace anypop::dataplane
