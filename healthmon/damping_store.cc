// SPDX-License-Identifier: Apache-2.0
#include "healthmon/damping_store.h"

#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <spdlog/spdlog.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "bgpctl/event_log.h"
#include "bgpctl/flaps.h"
#include "healthmon/holds_watch.h"

namespace anypop::healthmon {
namespace {

constexpr auto kDelay = std::chrono::milliseconds(50);
constexpr auto kRetry = std::chrono::seconds(1);
constexpr std::int64_t kNsPerMs = 1'000'000;

// run_dir is forgotten at a reboot, so a word in it names the boot. /proc, which also would, is hidden from a hardened
// service.
std::string boot_id(const PopConfig& config) {
  const std::filesystem::path path = config.run_dir / "boot-id";
  if (const auto text = read_file(path); text.ok() && !text->empty()) return *text;
  std::random_device random;
  const std::string made = fmt::format("{:08x}{:08x}", random(), random());
  (void)write_file_atomically(path, made);  // without it the wall clock tells the ages
  return made;
}

}  // namespace

class DampingStore::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, const PopConfig& config, std::function<void(std::size_t)> forgiven)
      : config_(config), boot_id_(boot_id(config)), forgiven_(std::move(forgiven)), timer_(io) {}

  void start(boost::asio::io_context& io) {
    std::error_code ignored;
    std::filesystem::create_directory(config_.flaps_dir(), ignored);
    for (std::size_t i = 0; i < config_.announcements.size(); ++i) {
      if (std::filesystem::exists(path(i), ignored)) there_.insert(i);
    }
    watch_.emplace(io, config_.flaps_dir(), [this] { look(); });
  }

  void stop() {
    stopped_ = true;
    watch_.reset();
    timer_.cancel();
    write();
  }

  Dampings load(Now now) {
    Dampings dampings(config_.announcements.size());
    for (std::size_t i = 0; i < dampings.size(); ++i) {
      const auto text = read_file(path(i));
      if (absl::IsNotFound(text.status())) continue;
      const auto damping = text.ok() ? parse_damping(*text, now, boot_id_) : text.status();
      if (damping.ok()) {
        dampings[i] = *damping;
        save(i, *damping);  // so that the wall clock is asked at most once in each boot, and may be stepped afterwards
      } else {
        spdlog::warn("event=flaps_forgotten file={} error=\"{}\"", path(i).string(),
                     escaped(message(damping.status())));
      }
    }
    return dampings;
  }

  void save(std::size_t announcement, const Damping& damping) {
    waiting_[announcement] = damping;
    arm(kDelay);
  }

 private:
  std::filesystem::path path(std::size_t announcement) const {
    return bgpctl::flaps_file(config_, config_.announcements[announcement].name);
  }

  void arm(std::chrono::milliseconds delay) {
    timer_.expires_after(delay);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error && !self->stopped_) self->write();
    });
  }

  void write() {
    const Now now{SteadyTime::clock::now(), bgpctl::unix_now_ns() / kNsPerMs};
    std::string problem;
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      const absl::Status written = write_file_atomically(path(at->first), damping_text(at->second, now, boot_id_));
      if (!written.ok()) problem = message(written);
      if (written.ok()) there_.insert(at->first);
      at = written.ok() ? waiting_.erase(at) : std::next(at);
    }
    if (!problem.empty() && problem != problem_) {
      spdlog::warn("event=flaps_not_written error=\"{}\"", escaped(problem));
    }
    problem_ = problem;
    if (!waiting_.empty() && !stopped_) arm(kRetry);
  }

  void look() {
    std::error_code error;
    const std::set<std::size_t> known = there_;
    for (const std::size_t announcement : known) {
      if (std::filesystem::exists(path(announcement), error) || error) continue;
      there_.erase(announcement);
      waiting_.erase(announcement);
      forgiven_(announcement);
    }
  }

  const PopConfig config_;
  std::string boot_id_;
  std::function<void(std::size_t)> forgiven_;
  boost::asio::steady_timer timer_;
  std::optional<HoldsWatch> watch_;
  std::map<std::size_t, Damping> waiting_;  // to be written
  std::set<std::size_t> there_;             // have a file
  std::string problem_;
  bool stopped_ = false;
};

DampingStore::DampingStore(boost::asio::io_context& io, const PopConfig& config,
                           std::function<void(std::size_t)> forgiven)
    : impl_(std::make_shared<Impl>(io, config, std::move(forgiven))) {
  impl_->start(io);
}
DampingStore::~DampingStore() { impl_->stop(); }
Dampings DampingStore::load(Now now) { return impl_->load(now); }
void DampingStore::save(std::size_t announcement, const Damping& damping) { impl_->save(announcement, damping); }

}  // namespace anypop::healthmon
