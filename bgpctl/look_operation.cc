// SPDX-License-Identifier: Apache-2.0
#include <deque>
#include <string>
#include <utility>

#include "base/text.h"
#include "operations.h"
#include "view_reader.h"

namespace anypop::bgpctl {
namespace {

// A reconfiguration that comes in between stops `show route`; more than this many in a row are an answer of their own.
constexpr int kExportTries = 5;

// show status → show protocols → show route export, for each session that stands → show route, for each watched prefix.
class Look : public std::enable_shared_from_this<Look> {
 public:
  Look(std::shared_ptr<Session> session, std::vector<IpPrefix> watched,
       std::function<void(absl::StatusOr<BirdView>)> done)
      : session_(std::move(session)), watched_(std::move(watched)), done_(std::move(done)) {}

  void start() {
    ask("show status", [](Look& look, const Reply& reply) {
      if (absl::Status read = read_status(reply, look.view_); !read.ok()) return look.done_(read);
      look.ask_protocols();
    });
  }

 private:
  void ask(const std::string& line, void (*next)(Look&, const Reply&)) {
    session_->command(line, [self = shared_from_this(), next](absl::StatusOr<Reply> reply) {
      if (!reply.ok()) return self->done_(reply.status());
      next(*self, *reply);
    });
  }

  void ask_protocols() {
    ask("show protocols", [](Look& look, const Reply& reply) {
      absl::StatusOr<std::map<std::string, BirdProtocol>> protocols = read_protocols(reply);
      if (!protocols.ok()) return look.done_(protocols.status());
      look.view_.protocols = *std::move(protocols);
      for (const auto& [name, protocol] : look.view_.protocols) {
        if (protocol.kind != "BGP") continue;
        look.view_.sessions[name];
        if (is_established(protocol)) look.names_.push_back(name);
      }
      look.ask_exports();
    });
  }

  void ask_exports() {
    if (names_.empty()) return ask_others();
    const std::string symbol = symbol_text(names_.front());
    if (symbol.empty()) return done_(internal_error("BIRD names a protocol '{}'", escaped(names_.front())));
    ask("show route export " + symbol, [](Look& look, const Reply& reply) { look.take_exports(reply); });
  }

  void take_exports(const Reply& reply) {
    absl::StatusOr<BirdSessionExport> exported = read_exports(reply);
    if (absl::IsAborted(exported.status()) && ++tries_ < kExportTries) return ask_exports();
    if (!exported.ok()) return done_(exported.status());
    view_.sessions[names_.front()] = *std::move(exported);
    names_.pop_front();
    tries_ = 0;
    ask_exports();
  }

  void ask_others() {
    if (watched_.empty()) return done_(std::move(view_));
    ask(fmt::format("show route {} all", watched_.back().to_string()),
        [](Look& look, const Reply& reply) { look.take_others(reply); });
  }

  void take_others(const Reply& reply) {
    const absl::StatusOr<std::size_t> others = count_others(reply, view_.protocols);
    if (absl::IsAborted(others.status()) && ++tries_ < kExportTries) return ask_others();
    if (!others.ok()) return done_(others.status());
    view_.others[watched_.back()] = *others;
    watched_.pop_back();
    tries_ = 0;
    ask_others();
  }

  std::shared_ptr<Session> session_;
  std::vector<IpPrefix> watched_;  // whose routes are still to be asked for
  std::function<void(absl::StatusOr<BirdView>)> done_;
  BirdView view_;
  std::deque<std::string> names_;  // sessions whose exports are still to be asked for
  int tries_ = 0;
};

}  // namespace

void look_at_bird(const std::shared_ptr<Session>& session, std::vector<IpPrefix> watched,
                  std::function<void(absl::StatusOr<BirdView>)> done) {
  std::make_shared<Look>(session, std::move(watched), std::move(done))->start();
}

}  // namespace anypop::bgpctl
