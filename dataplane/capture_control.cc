// SPDX-License-Identifier: Apache-2.0
#include "dataplane/capture_control.h"

#include <ctime>
#include <string>

#include <rte_cycles.h>
#include <spdlog/spdlog.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

constexpr std::size_t kFetchMost = 1000;

std::uint64_t realtime_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

std::string hex(std::span<const std::byte> bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    out += kDigits[static_cast<unsigned>(byte) >> 4U];
    out += kDigits[static_cast<unsigned>(byte) & 15U];
  }
  return out;
}

// The names are those of now: a reload may have renumbered what a record of before it says.
dataplane_api::CapturedPacket describe(const CaptureRecord& record, const PopConfig& config, std::uint64_t now_tsc,
                                       std::uint64_t now_ns) {
  const std::uint64_t age_tsc = now_tsc - std::min(now_tsc, record.tsc);
  const auto age_ns =
      static_cast<std::uint64_t>(static_cast<double>(age_tsc) * 1e9 / static_cast<double>(rte_get_tsc_hz()));
  dataplane_api::CapturedPacket packet{.time_ns = now_ns - age_ns,
                                       .port = config.dataplane.ports.at(record.port).name,
                                       .length = record.length_bytes,
                                       .verdict = std::string(l4lb::verdict_name(record.verdict)),
                                       .service = {},
                                       .backend = {},
                                       .data = hex(std::span(record.bytes).first(record.snap_bytes))};
  if (record.service < config.services.size()) {
    const ServiceConfig& service = config.services[record.service];
    packet.service = service.name;
    if (record.backend < service.backends.size()) packet.backend = service.backends[record.backend].name;
  }
  return packet;
}

}  // namespace

absl::Status CaptureControl::start(const dataplane_api::CaptureRequest& request) {
  if (capture_) return already_exists("another capture is running; it ends when nobody fetches from it for 3 s");
  auto capture = Capture::make(request, workers_);
  if (!capture.ok()) return capture.status();
  if (absl::Status status = forwarding_.set_capture(*capture); !status.ok()) return status;
  capture_ = *std::move(capture);
  spdlog::info("event=capture state=started packets={} per_second={}", request.packets, request.per_second);
  wait();
  return absl::OkStatus();
}

absl::StatusOr<dataplane_api::CaptureAnswer> CaptureControl::fetch() {
  if (!capture_) return not_found("no capture is running");
  dataplane_api::CaptureAnswer answer;
  const std::uint64_t now_tsc = rte_rdtsc();
  const std::uint64_t now_ns = realtime_ns();
  for (const CaptureRecord& record : capture_->take(kFetchMost)) {
    answer.packets.push_back(describe(record, forwarding_.config(), now_tsc, now_ns));
  }
  answer.missed = capture_->missed();
  answer.done = capture_->done();
  wait();
  return answer;
}

absl::Status CaptureControl::stop() {
  if (!capture_) return not_found("no capture is running");
  timer_.cancel();
  capture_ = nullptr;
  spdlog::info("event=capture state=ended");
  return forwarding_.set_capture(nullptr);
}

void CaptureControl::wait() {
  timer_.expires_after(kCapturePatience);
  timer_.async_wait([this](boost::system::error_code error) {
    if (error || !capture_) return;
    if (absl::Status status = stop(); !status.ok()) spdlog::warn("event=capture error=\"{}\"", message(status));
  });
}

}  // namespace anypop::dataplane
