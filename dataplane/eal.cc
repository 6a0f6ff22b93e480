// SPDX-License-Identifier: Apache-2.0
#include "dataplane/eal.h"

#include <atomic>
#include <cstdio>
#include <mutex>
#include <string_view>
#include <utility>

#include <absl/strings/ascii.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <spdlog/spdlog.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

// DPDK writes from any of its threads, through a C stream: hence process-wide state.
struct DpdkLog {
  std::mutex mutex;
  std::string first_error;
  std::atomic<bool> pass_errors = false;
};
DpdkLog& dpdk_log() {
  static DpdkLog log;
  return log;
}

void take_line(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  if (line.empty()) return;
  const int level = rte_log_cur_msg_loglevel();
  if (level > static_cast<int>(RTE_LOG_ERR)) {
    spdlog::debug("event=dpdk text=\"{}\"", escaped(line));
    return;
  }
  DpdkLog& log = dpdk_log();
  // While something starts, later errors mostly say that an earlier one happened. Verbose shows all of them.
  if (!log.pass_errors.load(std::memory_order_relaxed)) spdlog::debug("event=dpdk text=\"{}\"", escaped(line));
  if (log.pass_errors.load(std::memory_order_relaxed)) {
    spdlog::error("event=dpdk text=\"{}\"", escaped(line));
    return;
  }
  const std::lock_guard lock(log.mutex);
  if (log.first_error.empty()) log.first_error = line;
}

ssize_t write_cookie(void* /*cookie*/, const char* data, std::size_t size) {
  for (const std::string_view line : split({data, size}, '\n')) take_line(line);
  return static_cast<ssize_t>(size);
}

void redirect_log() {
  FILE* stream = ::fopencookie(nullptr, "w", {.write = write_cookie});
  if (stream == nullptr) return;
  std::setvbuf(stream, nullptr, _IOLBF, 0);
  rte_openlog_stream(stream);
}

}  // namespace

std::string take_dpdk_error() {
  DpdkLog& log = dpdk_log();
  const std::lock_guard lock(log.mutex);
  if (log.first_error.empty()) return {};
  return fmt::format(" (DPDK: {})", std::exchange(log.first_error, {}));
}

absl::StatusOr<std::unique_ptr<Eal>> Eal::start(const std::vector<std::string>& arguments) {
  redirect_log();
  auto eal = std::unique_ptr<Eal>(new Eal());
  eal->arguments_ = arguments;
  for (std::string& argument : eal->arguments_) eal->argv_.push_back(argument.data());
  eal->argv_.push_back(nullptr);
  spdlog::debug("event=eal_start arguments=\"{}\"", fmt::join(arguments, " "));
  if (rte_eal_init(static_cast<int>(arguments.size()), eal->argv_.data()) < 0) {
    return failed_precondition("DPDK did not start: {}{}", rte_strerror(rte_errno), take_dpdk_error());
  }
  take_dpdk_error();
  return eal;
}

Eal::~Eal() { rte_eal_cleanup(); }

void Eal::log_errors_from_now_on() { dpdk_log().pass_errors.store(true, std::memory_order_relaxed); }

}  // namespace anypop::dataplane
