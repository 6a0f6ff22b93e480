// SPDX-License-Identifier: Apache-2.0
#include "bgpctl/config_check.h"

#include <utility>

#include "base/text.h"
#include "bgpctl/printable.h"
#include "session.h"

namespace anypop::bgpctl {
namespace {

constexpr SessionTimeouts kTimeouts{.command = std::chrono::milliseconds(10'000)};

absl::Status judge(const absl::StatusOr<Reply>& reply) {
  if (!reply.ok()) return reply.status();
  const ReplyLine* error = reply->error();
  if (error == nullptr) return absl::OkStatus();
  if (error->code == kReplyBadConfiguration) return invalid_argument("{}", printable(error->text));
  return failed_precondition("BIRD answers {} {}", error->code, printable(error->text));
}

}  // namespace

class ConfigCheck::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(boost::asio::io_context& io, std::string socket_path)
      : session_(std::make_shared<Session>(io, std::move(socket_path), kTimeouts)) {}

  void ask(std::function<void(absl::Status)> handler) {
    session_->command("configure check", [self = shared_from_this(), handler = std::move(handler)](auto reply) {
      // Kept open for nothing: the next question is far away.
      self->session_->close();
      if (!self->stopped_) handler(judge(reply));
    });
  }
  void stop() {
    stopped_ = true;
    session_->close();
  }

 private:
  std::shared_ptr<Session> session_;
  bool stopped_ = false;
};

ConfigCheck::ConfigCheck(boost::asio::io_context& io, std::string socket_path)
    : impl_(std::make_shared<Impl>(io, std::move(socket_path))) {}
ConfigCheck::~ConfigCheck() { impl_->stop(); }
void ConfigCheck::ask(std::function<void(absl::Status)> handler) { impl_->ask(std::move(handler)); }

}  // namespace anypop::bgpctl
