// SPDX-License-Identifier: Apache-2.0
#include "healthmon/api.h"

#include <array>
#include <optional>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <pwd.h>

#include "api_events.h"
#include "base/text.h"
#include "bgpctl/announcement.h"
#include "bgpctl/holds.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;
using bgpctl::Hold;
using bgpctl::HoldKind;

constexpr std::string_view kHolds = "/v1/holds";
constexpr std::string_view kEvents = "/v1/events";
constexpr std::string_view kReload = "/v1/reload";

HttpResponse ok(const json::object& body) { return {200, json::serialize(body) + "\n"}; }

HttpResponse refused(const absl::Status& status) {
  const unsigned code = absl::IsNotFound(status) ? 404 : absl::IsInvalidArgument(status) ? 400 : 500;
  return http_error(code, std::string(message(status)));
}

// The login name, or the number of a user without one.
std::string name_of(const std::optional<HttpPeer>& peer) {
  if (!peer) return "unknown";
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer;
  if (::getpwuid_r(peer->uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return escaped(entry.pw_name);
  }
  return fmt::format("uid {}", peer->uid);
}

json::array commands_json(const AnnouncementConfig& announcement, bgpctl::Level level) {
  json::array commands;
  for (const bgpctl::LevelCommand& command : bgpctl::commands_for(announcement, level)) {
    commands.emplace_back(command.line());
  }
  return commands;
}

// What of a hold's being placed or released is written down.
json::object hold_event(const char* event, const std::string& announcement, const Hold& hold) {
  json::object line{{"event", event}, {"announcement", announcement}};
  for (const auto& [key, value] : bgpctl::hold_json(hold)) line[key] = value;
  line["over"] = "api";
  return line;
}

}  // namespace

std::filesystem::path read_only_socket(const PopConfig& config) { return config.run_dir / "healthmon-read.sock"; }

Api::Api(boost::asio::io_context& io, Sources sources)
    : sources_(std::move(sources)), events_(std::make_shared<Events>(io, sources_.config().event_log())) {}
Api::~Api() { events_->end(); }

std::vector<std::string> Api::routes() {
  return {"GET /v1/events", "GET /v1/holds", "POST /v1/holds", "DELETE /v1/holds/NAME", "POST /v1/reload"};
}

bool Api::answer(const HttpRequest& request, Role role, const HttpServer::Reply& reply) {
  const std::string_view target = request.target;
  const std::string_view path = target.substr(0, target.find('?'));
  const bool one_hold = path.starts_with(kHolds) && path.size() > kHolds.size() && path[kHolds.size()] == '/';
  if (path != kEvents && path != kHolds && path != kReload && !one_hold) return false;
  const auto wrong_method = [&](const char* expected) {
    reply(http_error(405, fmt::format("found {}, expected {}", escaped(request.method), expected)));
    return true;
  };
  if (path == kEvents) {
    if (request.method != "GET") return wrong_method("GET");
    reply(events_->begin(request, sources_.config()));
    return true;
  }
  if (path == kHolds && request.method == "GET") {
    reply(list_holds());
    return true;
  }
  if (request.method != (one_hold ? "DELETE" : "POST")) {
    return wrong_method(one_hold ? "DELETE" : path == kReload ? "POST" : "GET or POST");
  }
  if (role != Role::kOperator) {
    reply(http_error(403, fmt::format("found {} on a read-only socket, expected it on {}", request.method,
                                      sources_.config().monitor_socket().string())));
  } else {
    reply(one_hold ? release(request, path.substr(kHolds.size() + 1))
                   : (path == kReload ? reload() : place_holds(request)));
  }
  return true;
}

HttpResponse Api::reload() const {
  const absl::Status status = sources_.reload();
  if (status.ok()) return ok({{"reloaded", sources_.config().file.string()}});
  return http_error(absl::IsFailedPrecondition(status) ? 409 : 400, std::string(message(status)));
}

HttpResponse Api::list_holds() const {
  const PopConfig& config = sources_.config();
  json::array holds;
  json::array errors;
  for (const AnnouncementConfig& announcement : config.announcements) {
    const auto hold = bgpctl::load_hold(config, announcement.name, sources_.unix_ms());
    if (!hold.ok()) errors.emplace_back(std::string(message(hold.status())));
    if (!hold.ok() || !*hold) continue;
    json::object entry = bgpctl::hold_json(**hold);
    entry["announcement"] = announcement.name;
    holds.push_back(std::move(entry));
  }
  return ok({{"holds", std::move(holds)}, {"errors", std::move(errors)}});
}

HttpResponse Api::place_holds(const HttpRequest& request) const {
  const PopConfig& config = sources_.config();
  const absl::StatusOr<HoldRequest> order = parse_hold_request(request.body);
  if (!order.ok()) return refused(order.status());
  std::vector<const AnnouncementConfig*> wanted;
  for (const std::string& name : order->announcements) {
    wanted.push_back(config.find_announcement(name));
    if (wanted.back() == nullptr) {
      return refused(not_found("found announcement '{}', expected one of {}", escaped(name), config.file.string()));
    }
  }
  Hold hold{*bgpctl::parse_hold_kind(order->kind), order->reason, name_of(request.peer), sources_.unix_ms(),
            std::nullopt};
  if (order->for_ms > 0) hold.expires_unix_ms = hold.placed_unix_ms + order->for_ms;
  const bgpctl::Level level = bgpctl::highest_level(hold.kind);
  json::array holds;
  for (const AnnouncementConfig* announcement : wanted) {
    json::object entry = bgpctl::hold_json(hold);
    entry["announcement"] = announcement->name;
    entry["state_file"] = bgpctl::state_file_path(config, *announcement).string();
    entry["commands"] = commands_json(*announcement, level);
    holds.push_back(std::move(entry));
    if (order->dry_run) continue;
    if (absl::Status placed = bgpctl::place_hold(config, announcement->name, hold); !placed.ok()) {
      sources_.holds_changed();
      return refused(placed);
    }
    sources_.record(hold_event("hold", announcement->name, hold));
  }
  if (!order->dry_run) sources_.holds_changed();
  return ok({{"dry_run", order->dry_run}, {"holds", std::move(holds)}});
}

HttpResponse Api::release(const HttpRequest& request, std::string_view name) const {
  const PopConfig& config = sources_.config();
  if (config.find_announcement(name) == nullptr) {
    return refused(
        not_found("found announcement '{}', expected one of {}", escaped(name.substr(0, 100)), config.file.string()));
  }
  const auto hold = bgpctl::load_hold(config, name, sources_.unix_ms());
  if (absl::Status released = bgpctl::release_hold(config, name); !released.ok()) return refused(released);
  const bool was_held = !hold.ok() || hold->has_value();
  if (was_held) {
    json::object event = hold_event("release", std::string(name), hold.ok() ? **hold : Hold{});
    event["placed_by"] = event["who"];
    event["who"] = name_of(request.peer);
    sources_.record(event);
    sources_.holds_changed();
  }
  return ok({{"released", was_held}});
}

}  // namespace anypop::healthmon
