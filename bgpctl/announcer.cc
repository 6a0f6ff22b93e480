// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/announcer.h"

#include <deque>
#include <map>
#include <utility>

#include <boost/asio/post.hpp>

#include "bgpctl/announcement.h"
#include "operations.h"
#include "session.h"

namespace anypop::bgpctl {

namespace {

// Operations one after another, each started from the io_context, so that no handler runs inside a call.
class Queue {
 public:
  using Operation = std::function<void()>;

  explicit Queue(boost::asio::io_context& io) : io_(io) {}
  void add(Operation operation) {
    operations_.push_back(std::move(operation));
    if (operations_.size() == 1) start_front();
  }
  void front_is_done() {
    operations_.pop_front();
    if (!operations_.empty()) start_front();
  }
  void stop() { operations_.clear(); }

 private:
  void start_front() {
    boost::asio::post(io_, [operation = operations_.front(), stopped = std::weak_ptr<bool>(alive_)] {
      if (!stopped.expired()) operation();
    });
  }

  boost::asio::io_context& io_;
  std::deque<Operation> operations_;  // the front one is running
  std::shared_ptr<bool> alive_ = std::make_shared<bool>();
};

// Of which `bird` is to tell who else announces them.
std::vector<IpPrefix> watched_prefixes(const PopConfig& config, const BirdConfig& bird) {
  std::vector<IpPrefix> watched;
  for (const AnnouncementConfig& announcement : config.announcements) {
    for (const IpPrefix& prefix : announcement.prefixes) {
      if (announcement.keep_last && &config.bird_of(prefix.family()) == &bird) watched.push_back(prefix);
    }
  }
  return watched;
}

// The answers of all BIRDs to one look.
struct Answers {
  std::vector<absl::StatusOr<BirdView>> views;
  std::size_t missing = 0;
};

}  // namespace

class Announcer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, const PopConfig& config) : io_(io), config_(config), looks_(io), sets_(io) {
    for (const BirdConfig& bird : config_.birds) {
      look_sessions_.push_back(std::make_shared<Session>(io, bird.socket));
      set_sessions_.push_back(std::make_shared<Session>(io, bird.socket));
    }
  }

  void configure(const PopConfig& config) { config_ = config; }

  void look(std::function<void(absl::StatusOr<BirdView>)> handler) {
    looks_.add([self = shared_from_this(), handler = std::move(handler)] {
      if (*self->stopped_) return;
      self->look_at_all(handler);
    });
  }

  void set(const AnnouncementConfig& announcement, Level level, std::function<void(SetResult)> handler) {
    std::shared_ptr<bool>& latest = latest_[announcement.name];
    if (latest != nullptr && level == Level::kWithdrawn) *latest = true;
    const auto overtaken = latest = std::make_shared<bool>(false);
    // At once, whatever is under way; its turn in the queue writes it again, under the lock.
    if (level == Level::kWithdrawn) (void)write_state_file(config_, announcement, level);
    sets_.add([self = shared_from_this(), announcement, level, overtaken, handler = std::move(handler)] {
      if (*self->stopped_) return;
      set_level(self->io_, self->set_sessions_, {self->config_, announcement, level, overtaken}, self->stopped_,
                [self, handler](SetResult result) {
                  if (*self->stopped_) return;
                  self->sets_.front_is_done();
                  handler(std::move(result));
                });
    });
  }

  void stop() {
    *stopped_ = true;
    looks_.stop();
    sets_.stop();
    for (const auto& session : look_sessions_) session->close();
    for (const auto& session : set_sessions_) session->close();
  }

 private:
  void look_at_all(const std::function<void(absl::StatusOr<BirdView>)>& handler) {
    const std::size_t birds = config_.birds.size();
    const auto answers = std::make_shared<Answers>();
    answers->views.assign(birds, absl::UnknownError("not asked"));
    answers->missing = birds;
    for (std::size_t i = 0; i < birds; ++i) {
      look_at_bird(look_sessions_[i], watched_prefixes(config_, config_.birds[i]),
                   [self = shared_from_this(), handler, answers, i](absl::StatusOr<BirdView> view) {
                     if (*self->stopped_) return;
                     answers->views[i] = std::move(view);
                     if (--answers->missing > 0) return;
                     self->looks_.front_is_done();
                     handler(merge_views(self->config_.birds, std::move(answers->views)));
                   });
    }
  }

  boost::asio::io_context& io_;
  PopConfig config_;
  std::vector<std::shared_ptr<Session>> look_sessions_;  // one for each of config_.birds
  std::vector<std::shared_ptr<Session>> set_sessions_;
  Queue looks_;
  Queue sets_;
  std::map<std::string, std::shared_ptr<bool>> latest_;  // by announcement: SetRequest::overtaken of the last call
  std::shared_ptr<bool> stopped_ = std::make_shared<bool>(false);
};

Announcer::Announcer(boost::asio::io_context& io, const PopConfig& config)
    : impl_(std::make_shared<Impl>(io, config)) {}
Announcer::~Announcer() { impl_->stop(); }

void Announcer::configure(const PopConfig& config) { impl_->configure(config); }
void Announcer::look(std::function<void(absl::StatusOr<BirdView>)> handler) { impl_->look(std::move(handler)); }
void Announcer::set(const AnnouncementConfig& announcement, Level level, std::function<void(SetResult)> handler) {
  impl_->set(announcement, level, std::move(handler));
}

}  // namespace anypop::bgpctl
