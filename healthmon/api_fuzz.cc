// SPDX-License-Identifier: Apache-2.0
// Whatever a client writes to the monitor's socket: the real HTTP server and the real API, with files in a folder of
// their own. Nothing may crash, nothing may stay open, and a reader's bytes never place a hold.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <boost/asio/io_context.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "bgpctl/holds.h"
#include "healthmon/api.h"

namespace {

using anypop::HttpRequest;
using anypop::HttpServer;
namespace healthmon = anypop::healthmon;

struct World {
  World() {
    std::string name = "/tmp/anypop_api_fuzz_XXXXXX";
    folder = ::mkdtemp(name.data());
    std::filesystem::create_directories(folder / "run");
    std::filesystem::create_directories(folder / "state");
    config.run_dir = folder / "run";
    config.state_dir = folder / "state";
    anypop::AnnouncementConfig web;
    web.name = "web";
    web.prefixes = {*anypop::IpPrefix::parse("198.51.100.0/24")};
    config.announcements = {web};
    operators = serve("operator", healthmon::Role::kOperator);
    readers = serve("reader", healthmon::Role::kReader);
  }
  ~World() {
    operators.reset();
    readers.reset();
    io.poll();
    std::filesystem::remove_all(folder);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  std::unique_ptr<HttpServer> serve(const char* name, healthmon::Role role) {
    auto server = HttpServer::listen_async(
        io, {.socket_path = folder / name, .body_max_bytes = 10'000, .request_timeout = std::chrono::seconds(60)},
        [this, role](const HttpRequest& request, const HttpServer::Reply& reply) {
          ++requests;
          if (!api.answer(request, role, reply)) reply(anypop::http_error(404, anypop::escaped(request.target)));
        });
    if (!server.ok()) std::abort();
    return *std::move(server);
  }

  void talk(const char* name, std::string_view bytes) {
    const int client = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder / name).string().copy(address.sun_path, sizeof(address.sun_path) - 1);
    if (::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) std::abort();
    [[maybe_unused]] const ssize_t sent = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ::shutdown(client, SHUT_WR);
    io.restart();
    while (io.poll() > 0) {
    }
    ::close(client);
    io.restart();
    while (io.poll() > 0) {
    }
  }

  bool held() const { return std::filesystem::exists(config.holds_dir() / "web.json"); }

  std::filesystem::path folder;
  anypop::PopConfig config;
  boost::asio::io_context io;
  std::uint64_t requests = 0;
  healthmon::Api api{io,
                     {.config = [this]() -> const anypop::PopConfig& { return config; },
                      .unix_ms = [] { return std::int64_t{1'795'184'777'000}; },
                      .record = [](const boost::json::object&) {},
                      .holds_changed = [] {},
                      .reload = [] { return absl::OkStatus(); }}};
  std::unique_ptr<HttpServer> operators;
  std::unique_ptr<HttpServer> readers;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (world.held()) std::filesystem::remove(world.config.holds_dir() / "web.json");
  world.talk("reader", bytes);
  if (world.held()) std::abort();
  world.talk("operator", bytes);
  const auto hold = anypop::bgpctl::load_hold(world.config, "web", 1'795'184'777'000);
  if (!hold.ok()) std::abort();  // what we wrote can be read
  if (*hold && !anypop::bgpctl::check_reason((*hold)->reason).ok()) std::abort();
  // The body alone, so that the fuzzer need not find a good Content-Length first.
  const auto order = healthmon::parse_hold_request(bytes);
  if (order.ok() && (order->announcements.empty() || order->kind.empty())) std::abort();
  return 0;
}
