// SPDX-License-Identifier: Apache-2.0
// What it costs a worker that its flow table is a file: lookups of random flows, half of which have records, in a table
// of the default size, on the heap and in files; give the file's folder by TMPDIR (default /dev/shm). And what taking
// the table over costs at a start.
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <unistd.h>

#include "base/config.h"
#include "dataplane/flow_file.h"

namespace {

using anypop::dataplane::FlowFile;
using anypop::l4lb::FlowMemory;
using anypop::l4lb::FlowTable;

constexpr std::uint32_t kRecords = anypop::EngineConfig{}.flow_records;
constexpr std::uint16_t kNow = 1000;
constexpr std::uint16_t kExpires = 2000;

std::vector<std::uint64_t> random_keys(std::size_t count) {
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> keys(count);
  for (std::uint64_t& key : keys) key = random();
  return keys;
}

void fill(FlowTable& table, const std::vector<std::uint64_t>& keys) {
  for (std::size_t i = 0; i < keys.size(); i += 2) table.insert(keys[i], {.backend_id = 1, .expires = kExpires}, kNow);
}

// As the engine does: a burst is asked for before it is looked up.
void look_up(benchmark::State& state, const FlowTable& table, const std::vector<std::uint64_t>& keys) {
  constexpr std::size_t kBurst = 64;
  std::uint64_t found = 0;
  for (std::size_t at = 0; state.KeepRunningBatch(kBurst); at = (at + kBurst) % (keys.size() - kBurst)) {
    for (std::size_t i = at; i < at + kBurst; ++i) table.prefetch(keys[i]);
    for (std::size_t i = at; i < at + kBurst; ++i) found += table.find(keys[i], kNow) ? 1U : 0U;
  }
  benchmark::DoNotOptimize(found);
}

// Removes the file at the end.
class File {
 public:
  File() : path_(folder() / ("anypop-flow-file-bench." + std::to_string(::getpid()))) {
    file_ = FlowFile::create(path_, kRecords, 1, 0).value();
  }
  ~File() { std::filesystem::remove(path_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  FlowTable& table() { return file_->table(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  static std::filesystem::path folder() {
    const char* const named = std::getenv("TMPDIR");
    return named != nullptr ? named : "/dev/shm";
  }
  std::filesystem::path path_;
  std::unique_ptr<FlowFile> file_;
};

void heap(benchmark::State& state) {
  const auto keys = random_keys(kRecords);
  FlowMemory memory(FlowTable::bytes_for(kRecords));
  FlowTable table(memory.bytes(), kRecords, 1);
  fill(table, keys);
  look_up(state, table, keys);
}

void file(benchmark::State& state) {
  const auto keys = random_keys(kRecords);
  File file;
  fill(file.table(), keys);
  look_up(state, file.table(), keys);
}

void take_over(benchmark::State& state) {
  File file;
  fill(file.table(), random_keys(kRecords));
  for (auto _ : state) benchmark::DoNotOptimize(FlowFile::open(file.path(), 1, 0).value());
}

BENCHMARK(heap);
BENCHMARK(file);
BENCHMARK(take_over)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
