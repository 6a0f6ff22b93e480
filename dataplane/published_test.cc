// SPDX-License-Identifier: Apache-2.0
#include "dataplane/published.h"

#include <algorithm>
#include <array>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace anypop::dataplane {
namespace {

using std::chrono::milliseconds;

// Every word tells the generation, and the destructor wipes them: a reader that holds a freed value sees a mixture.
struct Value {
  explicit Value(std::uint64_t generation) {
    words.fill(generation);
    ++living;
  }
  ~Value() {
    words.fill(0);
    --living;
  }
  std::array<std::uint64_t, 64> words{};
  static inline std::atomic<int> living = 0;
};

TEST(Published, ReadersSeeWholeValuesAndOldOnesAreFreed) {
  constexpr unsigned kReaders = 3;
  constexpr std::uint64_t kGenerations = 300;
  {
    Published<Value> published(kReaders, std::make_shared<Value>(1));
    std::atomic<bool> stop = false;
    std::atomic<std::uint64_t> torn = 0;
    struct Seen {
      std::atomic<std::uint64_t> generation{0};
      std::atomic<std::uint64_t> reads{0};
    };
    std::array<Seen, kReaders> seen;
    std::vector<std::thread> threads;
    for (unsigned number = 0; number < kReaders; ++number) {
      threads.emplace_back([&, number] {
        Published<Value>::Reader reader(published, number);
        reader.online();
        std::uint64_t loops = 0;
        while (!stop.load(std::memory_order_relaxed)) {
          const Value& value = reader.load();
          const std::uint64_t first = value.words.front();
          if (!std::all_of(value.words.begin(), value.words.end(), [&](std::uint64_t w) { return w == first; })) ++torn;
          seen[number].generation.store(first, std::memory_order_relaxed);
          seen[number].reads.fetch_add(1, std::memory_order_release);
          reader.quiescent();
          if (++loops % 4096 == number) {  // as a worker that found nothing to do
            reader.offline();
            std::this_thread::sleep_for(std::chrono::microseconds(100));
            reader.online();
          }
        }
        reader.offline();
      });
    }
    for (std::uint64_t generation = 2; generation <= kGenerations; ++generation) {
      EXPECT_TRUE(published.publish(std::make_shared<Value>(generation), milliseconds(30'000)).ok());
      EXPECT_EQ(published.retired(), 0U);
      EXPECT_EQ(Value::living.load(), 1);
      // publish() came back: every read that begins from here on finds the new value, also that of a reader that slept.
      for (const Seen& reader : seen) {
        const std::uint64_t reads = reader.reads.load(std::memory_order_acquire);
        while (reader.reads.load(std::memory_order_acquire) < reads + 2) std::this_thread::yield();
        EXPECT_EQ(reader.generation.load(std::memory_order_relaxed), generation);
      }
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(torn.load(), 0U);
    EXPECT_EQ(published.current().words.front(), kGenerations);
  }
  EXPECT_EQ(Value::living.load(), 0);
}

TEST(Published, ASleepingReaderDelaysNobody) {
  Published<Value> published(1, std::make_shared<Value>(1));
  EXPECT_TRUE(published.publish(std::make_shared<Value>(2), milliseconds(0)).ok());
  EXPECT_EQ(Value::living.load(), 1);
}

TEST(Published, AHungReaderKeepsItsValueAndBoundsTheGrowth) {
  Published<Value> published(1, std::make_shared<Value>(1));
  Published<Value>::Reader reader(published, 0);
  reader.online();
  const Value& held = reader.load();
  EXPECT_EQ(published.publish(std::make_shared<Value>(2), milliseconds(1)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(held.words.back(), 1U);
  EXPECT_EQ(published.current().words.front(), 2U) << "late readers do not keep the others from the new value";
  while (published.retired() < kRetiredMax) {
    ASSERT_EQ(published.publish(std::make_shared<Value>(3), milliseconds(0)).code(),
              absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_EQ(published.publish(std::make_shared<Value>(4), milliseconds(0)).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(published.current().words.front(), 3U);

  reader.quiescent();
  published.reclaim();
  EXPECT_EQ(published.retired(), 0U);
  EXPECT_EQ(Value::living.load(), 1);
  reader.offline();
}

}  // namespace
}  // namespace anypop::dataplane
