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

}  // namespace

class Announcer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, const PopConfig& config)
      : io_(io),
        config_(config),
        look_session_(std::make_shared<Session>(io, config.birds.front().socket)),
        set_session_(std::make_shared<Session>(io, config.birds.front().socket)),
        looks_(io),
        sets_(io) {}

  void look(std::function<void(absl::StatusOr<BirdView>)> handler) {
    looks_.add([self = shared_from_this(), handler = std::move(handler)] {
      if (*self->stopped_) return;
      look_at_bird(self->look_session_, [self, handler](absl::StatusOr<BirdView> view) {
        if (*self->stopped_) return;
        self->looks_.front_is_done();
        handler(std::move(view));
      });
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
      set_level(self->io_, self->set_session_, {self->config_, announcement, level, overtaken}, self->stopped_,
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
    look_session_->close();
    set_session_->close();
  }

 private:
  boost::asio::io_context& io_;
  PopConfig config_;
  std::shared_ptr<Session> look_session_;
  std::shared_ptr<Session> set_session_;
  Queue looks_;
  Queue sets_;
  std::map<std::string, std::shared_ptr<bool>> latest_;  // by announcement: SetRequest::overtaken of the last call
  std::shared_ptr<bool> stopped_ = std::make_shared<bool>(false);
};

Announcer::Announcer(boost::asio::io_context& io, const PopConfig& config)
    : impl_(std::make_shared<Impl>(io, config)) {}
Announcer::~Announcer() { impl_->stop(); }

void Announcer::look(std::function<void(absl::StatusOr<BirdView>)> handler) { impl_->look(std::move(handler)); }
void Announcer::set(const AnnouncementConfig& announcement, Level level, std::function<void(SetResult)> handler) {
  impl_->set(announcement, level, std::move(handler));
}

}  // namespace anypop::bgpctl
