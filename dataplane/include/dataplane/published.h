// SPDX-License-Identifier: Apache-2.0
// One immutable value, replaced by the control thread while workers read it: RCU by quiescent states (rte_rcu_qsbr).
// A reader pays two stores a loop and never waits; an old value is freed once every reader has passed a point where it
// held none. Readers announce when they sleep (offline), so that a sleeping worker delays nobody.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <new>
#include <thread>
#include <utility>

#include <absl/status/status.h>
#include <rte_rcu_qsbr.h>

#include "base/text.h"

namespace anypop::dataplane {

// Old values that may wait for a reader. More means that a worker hangs; publishing is then refused, or a hung worker
// would make the process grow.
inline constexpr std::size_t kRetiredMax = 256;

template <typename T>
class Published {
 public:
  // `readers` threads, numbered from 0. The first value is in force at once.
  Published(unsigned readers, std::shared_ptr<const T> first) : current_(std::move(first)), pointer_(current_.get()) {
    const std::size_t size = rte_rcu_qsbr_get_memsize(readers);
    void* memory = std::aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_CACHE_LINE_ROUNDUP(size));
    if (memory == nullptr) throw std::bad_alloc();
    qsbr_ = static_cast<rte_rcu_qsbr*>(memory);
    rte_rcu_qsbr_init(qsbr_, readers);
    for (unsigned reader = 0; reader < readers; ++reader) rte_rcu_qsbr_thread_register(qsbr_, reader);
  }
  ~Published() { std::free(qsbr_); }  // the readers must have ended
  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;

  // A reader's side: one per worker thread.
  class Reader {
   public:
    Reader(Published& published, unsigned number) : published_(&published), number_(number) {}

    // Between online() and offline() the value that load() returned stays valid until the next quiescent().
    void online() { rte_rcu_qsbr_thread_online(published_->qsbr_, number_); }
    void quiescent() { rte_rcu_qsbr_quiescent(published_->qsbr_, number_); }
    void offline() { rte_rcu_qsbr_thread_offline(published_->qsbr_, number_); }
    const T& load() const { return *published_->pointer_.load(std::memory_order_acquire); }

   private:
    Published* published_;
    unsigned number_;
  };

  // Control thread. Puts `value` in force and waits until every reader has left the old one, for at most `wait`:
  // DeadlineExceeded then, with the new value in force all the same. ResourceExhausted: too many old values wait for a
  // reader that hangs, and nothing was changed.
  absl::Status publish(std::shared_ptr<const T> value, std::chrono::milliseconds wait) {
    if (full()) {
      return resource_exhausted("found {} old snapshots that a worker has not left, expected none: a worker hangs",
                                retired_.size());
    }
    pointer_.store(value.get(), std::memory_order_release);
    std::uint64_t token = rte_rcu_qsbr_start(qsbr_);
    retired_.push_back({token, std::exchange(current_, std::move(value))});
    const auto deadline = std::chrono::steady_clock::now() + wait;
    while (rte_rcu_qsbr_check(qsbr_, token, false) != 1) {
      if (std::chrono::steady_clock::now() >= deadline) {
        return deadline_exceeded("not every worker took the new snapshot within {} ms", wait.count());
      }
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    reclaim();
    return absl::OkStatus();
  }

  // Control thread: would publish() be refused because a reader hangs?
  bool full() {
    reclaim();
    return retired_.size() >= kRetiredMax;
  }
  // Control thread: the value in force.
  const T& current() const { return *current_; }
  // Control thread: frees what nobody reads any more. publish() does it too.
  void reclaim() {
    while (!retired_.empty() && rte_rcu_qsbr_check(qsbr_, retired_.front().token, false) == 1) retired_.pop_front();
  }
  std::size_t retired() const { return retired_.size(); }

 private:
  struct Retired {
    std::uint64_t token;
    std::shared_ptr<const T> value;
  };

  rte_rcu_qsbr* qsbr_ = nullptr;
  std::shared_ptr<const T> current_;
  std::atomic<const T*> pointer_;
  std::deque<Retired> retired_;  // oldest first
};

}  // namespace anypop::dataplane
