// SPDX-License-Identifier: Apache-2.0
#include "anypop_cli/fleet.h"

#include <filesystem>
#include <future>

#include <boost/json/parse.hpp>

#include "anypop_cli/facts.h"
#include "base/atomic_file.h"
#include "base/config.h"
#include "base/text.h"
#include "http_tcp.h"

namespace anypop::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kStateTarget = "/v1/state";
constexpr std::size_t kAtATime = 32;

absl::StatusOr<json::value> ask(const std::string& address) {
  if (address.starts_with("http://")) {
    const auto body = http_get(address, std::string(kStateTarget), kAnswerTimeout);
    if (!body.ok()) return body.status();
    json::error_code error;
    json::value value = json::parse(*body, error);
    if (error) return unavailable("{}: {} is not JSON: {}", escaped(address), kStateTarget, error.message());
    return value;
  }
  std::error_code none;
  if (std::filesystem::is_directory(address, none)) {
    return get_json(std::filesystem::path(address) / "healthmon.sock", kStateTarget);
  }
  if (address.ends_with(".sock")) return get_json(address, kStateTarget);
  const auto config = load_config(address);
  if (!config.ok()) return config.status();
  return get_json(config->monitor_socket(), kStateTarget);
}

}  // namespace

absl::StatusOr<std::vector<FleetTarget>> fleet_targets(const std::vector<std::string>& targets,
                                                       const std::string& inventory) {
  std::vector<FleetTarget> all;
  for (const std::string& target : targets) all.push_back(parse_target(target));
  if (inventory.empty()) return all;
  const auto text = read_file(inventory);
  if (!text.ok()) return text.status();
  const auto listed = parse_inventory(*text, inventory);
  if (!listed.ok()) return listed.status();
  all.insert(all.end(), listed->begin(), listed->end());
  return all;
}

std::vector<FleetAnswer> ask_fleet(const std::vector<FleetTarget>& targets) {
  std::vector<FleetAnswer> answers;
  for (std::size_t first = 0; first < targets.size(); first += kAtATime) {
    std::vector<std::future<absl::StatusOr<json::value>>> asked;
    for (std::size_t i = first; i < std::min(first + kAtATime, targets.size()); ++i) {
      asked.push_back(std::async(std::launch::async, ask, targets[i].address));
    }
    for (auto& one : asked) answers.push_back({targets[answers.size()], one.get()});
  }
  return answers;
}

}  // namespace anypop::cli
