// SPDX-License-Identifier: Apache-2.0
#include "healthmon/holds_watch.h"

#include <array>
#include <chrono>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/inotify.h>
#include <unistd.h>

namespace anypop::healthmon {
namespace {

namespace asio = boost::asio;

constexpr auto kPoll = std::chrono::milliseconds(200);
constexpr std::uint32_t kChanges = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;

}  // namespace

class HoldsWatch::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, std::filesystem::path folder, std::function<void()> look)
      : folder_(std::move(folder)), look_(std::move(look)), inotify_(io), timer_(io) {}

  void start() {
    // Without inotify (no instances left) the poll is slower, and enough.
    const int descriptor = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (descriptor >= 0) {
      inotify_.assign(descriptor);
      wait_for_change();
    }
    poll();
  }

  void stop() {
    stopped_ = true;
    timer_.cancel();
    boost::system::error_code ignored;
    inotify_.close(ignored);
  }

 private:
  void wait_for_change() {
    inotify_.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this()](boost::system::error_code error) {
                          if (error || self->stopped_) return;
                          // What changed does not matter: everything is read again.
                          std::array<char, 4096> events;
                          while (::read(self->inotify_.native_handle(), events.data(), events.size()) > 0) {
                          }
                          self->look_();
                          if (!self->stopped_) self->wait_for_change();
                        });
  }

  void poll() {
    // Watching the same folder again changes nothing; a folder that was replaced gets its watch back.
    if (inotify_.is_open()) ::inotify_add_watch(inotify_.native_handle(), folder_.c_str(), kChanges);
    look_();
    if (stopped_) return;
    timer_.expires_after(kPoll);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error && !self->stopped_) self->poll();
    });
  }

  std::filesystem::path folder_;
  std::function<void()> look_;
  asio::posix::stream_descriptor inotify_;
  asio::steady_timer timer_;
  bool stopped_ = false;
};

HoldsWatch::HoldsWatch(asio::io_context& io, std::filesystem::path folder, std::function<void()> look)
    : impl_(std::make_shared<Impl>(io, std::move(folder), std::move(look))) {
  impl_->start();
}

HoldsWatch::~HoldsWatch() { impl_->stop(); }

}  // namespace anypop::healthmon
