// SPDX-License-Identifier: Apache-2.0
#include "dataplane/capture.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

void add_one(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

absl::StatusOr<std::vector<bpf_insn>> parse_program(const std::vector<std::uint64_t>& numbers) {
  if (numbers.size() % 4 != 0 || numbers.size() / 4 > kCaptureProgramMax) {
    return invalid_argument("program: found {} numbers, expected four for each of at most {} instructions",
                            numbers.size(), kCaptureProgramMax);
  }
  std::vector<bpf_insn> program;
  for (std::size_t i = 0; i < numbers.size(); i += 4) {
    program.push_back({static_cast<u_short>(numbers[i]), static_cast<u_char>(numbers[i + 1]),
                       static_cast<u_char>(numbers[i + 2]), static_cast<bpf_u_int32>(numbers[i + 3])});
  }
  if (!program.empty() && bpf_validate(program.data(), static_cast<int>(program.size())) == 0) {
    return invalid_argument("program: found instructions that are no BPF filter, expected those of tcpdump -ddd");
  }
  return program;
}

absl::StatusOr<std::bitset<l4lb::kVerdictCount>> parse_verdicts(const std::vector<std::string>& names) {
  std::bitset<l4lb::kVerdictCount> verdicts;
  if (names.empty()) return verdicts.set();
  for (const std::string& name : names) {
    const auto at =
        std::ranges::find_if(l4lb::kVerdicts, [&](const l4lb::VerdictInfo& info) { return info.name == name; });
    if (at == l4lb::kVerdicts.end()) {
      return invalid_argument("verdicts: found '{}', expected the name of a verdict such as drop_no_service",
                              escaped(name));
    }
    verdicts.set(static_cast<std::size_t>(at->verdict));
  }
  return verdicts;
}

}  // namespace

// One worker's: written by it, read by the control thread.
struct Capture::Lane {
  // The burst in hand.
  std::array<std::array<std::byte, kCaptureSnapMaxBytes>, l4lb::kBurstMax> copies;
  std::array<std::uint32_t, l4lb::kBurstMax> lengths{};  // 0: not wanted
  bool any = false;
  double tokens = 1;
  std::uint64_t last_tsc = 0;
  // A ring with one writer and one reader.
  std::array<CaptureRecord, kCaptureRecords> records;
  std::atomic<std::uint64_t> written{0};
  std::atomic<std::uint64_t> taken{0};
  std::atomic<std::uint64_t> missed{0};

  bool may_pass(std::uint64_t now_tsc, std::uint64_t tsc_hz, std::uint64_t per_second) {
    const double since = last_tsc == 0 ? 1.0 : static_cast<double>(now_tsc - last_tsc) / static_cast<double>(tsc_hz);
    last_tsc = now_tsc;
    const auto rate = static_cast<double>(per_second);
    tokens = std::min(rate, tokens + since * rate);
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  }
};

Capture::~Capture() = default;

absl::StatusOr<std::shared_ptr<Capture>> Capture::make(const dataplane_api::CaptureRequest& request, unsigned workers) {
  auto program = parse_program(request.program);
  if (!program.ok()) return program.status();
  const auto verdicts = parse_verdicts(request.verdicts);
  if (!verdicts.ok()) return verdicts.status();
  if (request.packets == 0 || request.per_second == 0 || request.snap_bytes == 0) {
    return invalid_argument("found packets {}, per_second {}, snap_bytes {}, expected at least 1 of each",
                            request.packets, request.per_second, request.snap_bytes);
  }
  auto capture = std::shared_ptr<Capture>(new Capture());
  capture->program_ = *std::move(program);
  capture->verdicts_ = *verdicts;
  capture->snap_bytes_ = std::min<std::uint64_t>(request.snap_bytes, kCaptureSnapMaxBytes);
  capture->per_second_ = request.per_second;
  capture->left_ = static_cast<std::int64_t>(std::min<std::uint64_t>(request.packets, INT64_MAX));
  for (unsigned worker = 0; worker < workers; ++worker) capture->lanes_.push_back(std::make_unique<Lane>());
  return capture;
}

void Capture::before(unsigned number, std::span<const l4lb::Packet> packets) {
  Lane& lane = *lanes_[number];
  lane.any = false;
  if (left_.load(std::memory_order_relaxed) <= 0) return;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const auto* data = reinterpret_cast<const u_char*>(packets[i].data);
    const std::uint32_t length = packets[i].length_bytes;
    const bool wanted = program_.empty() || bpf_filter(program_.data(), data, length, length) != 0;
    lane.lengths[i] = wanted ? length : 0;
    if (!wanted) continue;
    lane.any = true;
    std::memcpy(lane.copies[i].data(), packets[i].data, std::min<std::size_t>(length, snap_bytes_));
  }
}

void Capture::after(unsigned number, std::uint16_t port, std::span<const l4lb::Packet> packets, std::uint64_t now_tsc,
                    std::uint64_t tsc_hz) {
  Lane& lane = *lanes_[number];
  if (!lane.any) return;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const l4lb::Packet& packet = packets[i];
    if (lane.lengths[i] == 0 || !verdicts_.test(static_cast<std::size_t>(packet.verdict))) continue;
    const std::uint64_t written = lane.written.load(std::memory_order_relaxed);
    const bool room = written - lane.taken.load(std::memory_order_acquire) < kCaptureRecords;
    if (!room || !lane.may_pass(now_tsc, tsc_hz, per_second_)) {
      add_one(lane.missed);
      continue;
    }
    if (left_.fetch_sub(1, std::memory_order_relaxed) <= 0) return;
    CaptureRecord& record = lane.records[written % kCaptureRecords];
    record.tsc = now_tsc;
    record.length_bytes = lane.lengths[i];
    record.snap_bytes = static_cast<std::uint16_t>(std::min<std::size_t>(lane.lengths[i], snap_bytes_));
    record.port = port;
    record.service = packet.service;
    record.backend = packet.backend;
    record.verdict = packet.verdict;
    std::memcpy(record.bytes.data(), lane.copies[i].data(), record.snap_bytes);
    lane.written.store(written + 1, std::memory_order_release);
  }
}

std::vector<CaptureRecord> Capture::take(std::size_t most) {
  std::vector<CaptureRecord> out;
  for (const auto& lane : lanes_) {
    std::uint64_t taken = lane->taken.load(std::memory_order_relaxed);
    const std::uint64_t written = lane->written.load(std::memory_order_acquire);
    for (; taken < written && out.size() < most; ++taken) out.push_back(lane->records[taken % kCaptureRecords]);
    lane->taken.store(taken, std::memory_order_release);
  }
  std::ranges::stable_sort(out, {}, &CaptureRecord::tsc);
  return out;
}

std::uint64_t Capture::missed() const {
  std::uint64_t sum = 0;
  for (const auto& lane : lanes_) sum += lane->missed.load(std::memory_order_relaxed);
  return sum;
}

bool Capture::done() const {
  if (left_.load(std::memory_order_relaxed) > 0) return false;
  return std::ranges::all_of(lanes_, [](const auto& lane) {
    return lane->written.load(std::memory_order_acquire) == lane->taken.load(std::memory_order_relaxed);
  });
}

}  // namespace anypop::dataplane
