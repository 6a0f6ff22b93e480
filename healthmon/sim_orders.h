// SPDX-License-Identifier: Apache-2.0
// Operators' orders in the simulated PoP: the product's own files and functions, and beside them, naively, a book of
// what must be in force. Every reading is compared with the book, so an order that comes back, or is forgotten, is seen
// at once. An order is over for good when somebody has read it at its time or later, whatever the clock says
// afterwards.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "bgpctl/holds.h"
#include "healthmon/backend_drain.h"
#include "healthmon/monitor_core.h"

namespace anypop::healthmon::sim {

class Orders {
 public:
  // Gives the configuration a state_dir: in memory, if there is such a thing, because each order is synced to its disk.
  explicit Orders(PopConfig& config) : config_(config), holds_(config.announcements.size()) {
    std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm/" : testing::TempDir();
    name += "healthmon_sim_XXXXXX";
    config.state_dir = ::mkdtemp(name.data());
    for (const ServiceConfig& service : config.services) drains_.emplace_back(service.backends.size());
  }
  ~Orders() {
    std::error_code ignored;
    std::filesystem::remove_all(config_.state_dir, ignored);
  }
  Orders(const Orders&) = delete;
  Orders& operator=(const Orders&) = delete;

  void place(std::size_t i, bgpctl::HoldKind kind, std::int64_t now_ms, std::optional<std::int64_t> expires_ms) {
    const bgpctl::Hold hold{kind, next_reason(), "alice", now_ms, expires_ms};
    EXPECT_TRUE(bgpctl::place_hold(config_, name(i), hold).ok());
    holds_[i] = {Entry{hold}, std::nullopt};
  }
  // By the lease: what an operator ordered waits beneath it.
  void place_lease(std::size_t i, std::int64_t now_ms) {
    const bgpctl::Hold hold{bgpctl::HoldKind::kWithdraw, next_reason(), kLease, now_ms, std::nullopt};
    EXPECT_TRUE(bgpctl::place_hold_above(config_, name(i), hold).ok());
    holds_[i] = {Entry{hold}, holds_[i].top};
  }
  void release(std::size_t i, bgpctl::Beneath beneath) {
    EXPECT_TRUE(bgpctl::release_hold(config_, name(i), beneath).ok());
    holds_[i] = {beneath == bgpctl::Beneath::kKeep ? holds_[i].beneath : std::nullopt, std::nullopt};
  }
  void release_lease(std::size_t i) {
    if (holds_[i].top && holds_[i].top->hold.who == kLease) release(i, bgpctl::Beneath::kKeep);
  }
  // The file of its hold is no hold any more.
  void spoil(std::size_t i) {
    std::error_code ignored;
    std::filesystem::create_directories(config_.holds_dir(), ignored);
    EXPECT_TRUE(write_file_atomically(config_.holds_dir() / (name(i) + ".json"), "half a ho").ok());
    holds_[i].top = Entry{{}, false};
  }
  // What has no end stays.
  void release_what_ends() {
    for (std::size_t i = 0; i < holds_.size(); ++i) {
      const auto& [top, beneath] = holds_[i];
      if (top && (!top->readable || beneath || top->hold.expires_unix_ms || top->hold.who == kLease)) {
        release(i, bgpctl::Beneath::kDrop);
      }
    }
    for (std::size_t s = 0; s < drains_.size(); ++s) {
      for (std::size_t b = 0; b < drains_[s].size(); ++b) {
        if (drains_[s][b] && drains_[s][b]->expires_unix_ms) undrain({s, b});
      }
    }
  }

  void drain(BackendId id, std::int64_t now_ms, std::optional<std::int64_t> expires_ms) {
    const ServiceConfig& service = config_.services[id.service];
    const DrainOrder order{service.name, service.backends[id.backend].name, next_reason(), "alice", now_ms, expires_ms};
    EXPECT_TRUE(place_drain(config_, order).ok());
    drains_[id.service][id.backend] = order;
  }
  void undrain(BackendId id) {
    const ServiceConfig& service = config_.services[id.service];
    EXPECT_TRUE(release_drain(config_, service.name, service.backends[id.backend].name).ok());
    drains_[id.service][id.backend].reset();
  }

  // As the monitor and bgpctl do it.
  absl::StatusOr<std::optional<bgpctl::Hold>> read_hold(std::size_t i, std::int64_t now_ms) {
    const auto found = bgpctl::load_hold(config_, name(i), now_ms);
    holds_[i].pass(now_ms);
    const std::optional<Entry>& expected = holds_[i].top;
    EXPECT_EQ(found.ok(), !expected || expected->readable) << name(i) << ": " << found.status();
    if (!found.ok()) return found;
    EXPECT_EQ(found->has_value(), expected.has_value())
        << name(i) << (*found ? ": an order is back: " + (*found)->reason : ": forgotten: " + expected->hold.reason);
    if (*found && expected) {
      EXPECT_EQ(**found, expected->hold) << name(i);
    }
    return found;
  }
  Holds read_holds(std::int64_t now_ms) {
    Holds holds;
    for (std::size_t i = 0; i < holds_.size(); ++i) holds.push_back(read_hold(i, now_ms));
    return holds;
  }
  absl::StatusOr<std::vector<DrainOrder>> read_drains(std::int64_t now_ms) {
    const auto found = load_drains(config_, now_ms);
    std::vector<DrainOrder> expected;
    for (auto& service : drains_) {
      for (auto& order : service) {
        if (order && order->expires_unix_ms && *order->expires_unix_ms <= now_ms) order.reset();
        if (order) expected.push_back(*order);
      }
    }
    std::sort(expected.begin(), expected.end(), [](const DrainOrder& a, const DrainOrder& b) {
      return std::tie(a.service, a.backend) < std::tie(b.service, b.backend);
    });
    EXPECT_TRUE(found.ok() && *found == expected) << "orders about backends came back, or are forgotten";
    return found;
  }

  // By the book: nullptr also if nobody can know.
  const bgpctl::Hold* standing(std::size_t i, std::int64_t now_ms) const {
    const auto& [top, beneath] = holds_[i];
    if (top && !top->over(now_ms)) return top->readable ? &top->hold : nullptr;
    return beneath && beneath->readable && !beneath->over(now_ms) ? &beneath->hold : nullptr;
  }
  bool none(std::size_t i) const { return !holds_[i].top; }
  bool readable(std::size_t i) const { return none(i) || holds_[i].top->readable; }
  bool drained(BackendId id, std::int64_t now_ms) const {
    const std::optional<DrainOrder>& order = drains_[id.service][id.backend];
    return order && (!order->expires_unix_ms || *order->expires_unix_ms > now_ms);
  }
  std::optional<std::int64_t> next_expiry() const {
    std::optional<std::int64_t> next;
    const auto take = [&](const std::optional<std::int64_t>& at) {
      if (at) next = std::min(next.value_or(*at), *at);
    };
    for (const Book& book : holds_) {
      if (book.top) take(book.top->hold.expires_unix_ms);
      if (book.beneath) take(book.beneath->hold.expires_unix_ms);
    }
    for (const auto& service : drains_) {
      for (const auto& order : service) take(order ? order->expires_unix_ms : std::nullopt);
    }
    return next;
  }

 private:
  static constexpr const char* kLease = "monitor-lost";

  struct Entry {
    bgpctl::Hold hold;
    bool readable = true;
    bool over(std::int64_t now_ms) const { return readable && hold.expires_unix_ms && *hold.expires_unix_ms <= now_ms; }
  };
  struct Book {
    std::optional<Entry> top;
    std::optional<Entry> beneath;
    // Somebody has read it at this time.
    void pass(std::int64_t now_ms) {
      if (beneath && beneath->over(now_ms)) beneath.reset();
      if (top && top->over(now_ms)) top = std::exchange(beneath, std::nullopt);
    }
  };

  const std::string& name(std::size_t i) const { return config_.announcements[i].name; }
  std::string next_reason() { return fmt::format("order {}", ++orders_); }

  const PopConfig& config_;
  std::vector<Book> holds_;                                     // by announcement
  std::vector<std::vector<std::optional<DrainOrder>>> drains_;  // [service][backend]
  unsigned orders_ = 0;
};

}  // namespace anypop::healthmon::sim
