// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/announcer.h"

#include <deque>
#include <utility>

#include <boost/asio/post.hpp>

#include "operations.h"
#include "session.h"

namespace anypop::bgpctl {

// A queue of operations over one session.
class Announcer::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, const PopConfig& config)
      : io_(io), config_(config), session_(std::make_shared<Session>(io, config.bird.socket)) {}

  void look(std::function<void(absl::StatusOr<BirdView>)> handler) {
    add([self = shared_from_this(), handler = std::move(handler)] {
      look_at_bird(self->session_, [self, handler](absl::StatusOr<BirdView> view) {
        self->complete([&] { handler(std::move(view)); });
      });
    });
  }

  void set(const AnnouncementConfig& announcement, bool announced, std::function<void(SetResult)> handler) {
    add([self = shared_from_this(), announcement, announced, handler = std::move(handler)] {
      set_level(self->io_, self->session_, {self->config_, announcement, announced}, self->stopped_,
                [self, handler](SetResult result) { self->complete([&] { handler(std::move(result)); }); });
    });
  }

  void stop() {
    *stopped_ = true;
    operations_.clear();
    session_->close();
  }

 private:
  using Operation = std::function<void()>;

  void add(Operation operation) {
    operations_.push_back(std::move(operation));
    if (operations_.size() == 1) start_front();
  }

  // From the io_context, so that no handler runs inside a call.
  void start_front() {
    boost::asio::post(io_, [self = shared_from_this()] {
      if (*self->stopped_ || self->operations_.empty()) return;
      const Operation operation = self->operations_.front();
      operation();
    });
  }

  template <typename Handler>
  void complete(const Handler& handler) {
    if (*stopped_) return;
    operations_.pop_front();
    if (!operations_.empty()) start_front();
    handler();
  }

  boost::asio::io_context& io_;
  PopConfig config_;
  std::shared_ptr<Session> session_;
  std::deque<Operation> operations_;  // the front one is running
  std::shared_ptr<bool> stopped_ = std::make_shared<bool>(false);
};

Announcer::Announcer(boost::asio::io_context& io, const PopConfig& config)
    : impl_(std::make_shared<Impl>(io, config)) {}
Announcer::~Announcer() { impl_->stop(); }

void Announcer::look(std::function<void(absl::StatusOr<BirdView>)> handler) { impl_->look(std::move(handler)); }
void Announcer::set(const AnnouncementConfig& announcement, bool announced, std::function<void(SetResult)> handler) {
  impl_->set(announcement, announced, std::move(handler));
}

}  // namespace anypop::bgpctl
