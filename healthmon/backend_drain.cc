// SPDX-License-Identifier: Apache-2.0
#include "healthmon/backend_drain.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <tuple>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "bgpctl/folder_lock.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;

bool has_backend(const PopConfig& config, std::string_view service, std::string_view backend) {
  const ServiceConfig* found = config.find_service(service);
  return found != nullptr && std::any_of(found->backends.begin(), found->backends.end(),
                                         [&](const BackendConfig& b) { return b.name == backend; });
}

// Only names of the configuration become paths.
absl::StatusOr<std::filesystem::path> drain_path(const PopConfig& config, std::string_view service,
                                                 std::string_view backend) {
  if (!has_backend(config, service, backend)) {
    return not_found("found {}/{}, expected a service and one of its backends as in {}", escaped(service),
                     escaped(backend), config.file.string());
  }
  return drains_dir(config) / fmt::format("{}.{}.json", service, backend);
}

DrainOrder read_order(const std::filesystem::path& path) {
  DrainOrder order{.reason = "the file cannot be read", .who = "unknown"};
  const absl::StatusOr<std::string> text = read_file(path);
  json::error_code error;
  const json::value value = text.ok() ? json::parse(*text, error) : json::value();
  if (error || !value.is_object()) return order;
  const json::object& object = value.get_object();
  const auto text_at = [&](std::string_view key, std::string& out) {
    const json::value* found = object.if_contains({key.data(), key.size()});
    if (found != nullptr && found->is_string()) out = std::string(found->get_string());
  };
  text_at("reason", order.reason);
  text_at("who", order.who);
  if (const json::value* placed = object.if_contains("placed_unix_ms"); placed != nullptr && placed->is_int64()) {
    order.placed_unix_ms = placed->get_int64();
  }
  if (const json::value* expires = object.if_contains("expires_unix_ms"); expires != nullptr && expires->is_int64()) {
    order.expires_unix_ms = expires->get_int64();
  }
  return order;
}

bool is_over(const DrainOrder& order, std::int64_t now_unix_ms) {
  return order.expires_unix_ms && *order.expires_unix_ms <= now_unix_ms;
}

// Best effort: who may only read takes it for none, and leaves it to the others.
void remove_expired(const std::filesystem::path& path, std::int64_t now_unix_ms) {
  const bgpctl::FolderLock lock(path.parent_path(), std::chrono::milliseconds(0));
  if (lock.locked() && is_over(read_order(path), now_unix_ms)) (void)::unlink(path.c_str());
}

}  // namespace

std::filesystem::path drains_dir(const PopConfig& config) { return config.state_dir / "drained"; }

absl::Status place_drain(const PopConfig& config, const DrainOrder& order) {
  const auto path = drain_path(config, order.service, order.backend);
  if (!path.ok()) return path.status();
  std::error_code error;
  std::filesystem::create_directories(drains_dir(config), error);
  if (error) return permission_denied("cannot create {}: {}", drains_dir(config).string(), error.message());
  json::object object{{"reason", order.reason}, {"who", order.who}, {"placed_unix_ms", order.placed_unix_ms}};
  const bgpctl::FolderLock lock(drains_dir(config), bgpctl::kOrderPatience);  // had or not, the order goes on
  if (order.expires_unix_ms) object["expires_unix_ms"] = *order.expires_unix_ms;
  return write_file_atomically(*path, json::serialize(object) + "\n");
}

absl::Status release_drain(const PopConfig& config, std::string_view service, std::string_view backend) {
  const auto path = drain_path(config, service, backend);
  if (!path.ok()) return path.status();
  if (::unlink(path->c_str()) != 0 && errno != ENOENT) return errno_error(errno, "cannot remove {}", path->string());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DrainOrder>> load_drains(const PopConfig& config, std::int64_t now_unix_ms) {
  std::vector<DrainOrder> orders;
  std::error_code error;
  std::filesystem::directory_iterator files(drains_dir(config), error);
  if (error == std::errc::no_such_file_or_directory) return orders;
  for (; !error && files != std::filesystem::directory_iterator(); files.increment(error)) {
    const std::string name = files->path().filename().string();
    const std::vector<std::string_view> parts = split(name, '.');
    if (parts.size() != 3 || parts[2] != "json" || !has_backend(config, parts[0], parts[1])) continue;
    DrainOrder order = read_order(files->path());
    order.service = parts[0];
    order.backend = parts[1];
    if (is_over(order, now_unix_ms)) {
      remove_expired(files->path(), now_unix_ms);
    } else {
      orders.push_back(std::move(order));
    }
  }
  if (error) return unavailable("cannot read {}: {}", drains_dir(config).string(), error.message());
  std::sort(orders.begin(), orders.end(), [](const DrainOrder& a, const DrainOrder& b) {
    return std::tie(a.service, a.backend) < std::tie(b.service, b.backend);
  });
  return orders;
}

}  // namespace anypop::healthmon
