// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include <absl/strings/ascii.h>
#include <fmt/format.h>

#include "anypop_cli/explain_text.h"
#include "anypop_replay/offline.h"
#include "base/config.h"
#include "base/text.h"
#include "commands.h"
#include "dataplane_api/http_client.h"
#include "explain_api/explain_answer.h"

namespace anypop::cli {
namespace {

using dataplane_api::ExplainAnswer;
using dataplane_api::ExplainRequest;

constexpr std::chrono::milliseconds kTimeout{2000};

int fail(const absl::Status& status, int code = 1) {
  fmt::print(stderr, "anypop explain: {}\n", message(status));
  return code;
}

absl::StatusOr<ExplainAnswer> ask_dataplane(const PopConfig& config, const ExplainRequest& request) {
  const std::string socket = config.dataplane_socket();
  const auto answer = http_call(socket, {"POST", std::string(dataplane_api::kExplainPath), to_json(request)}, kTimeout);
  if (!answer.ok()) return answer.status();
  if (answer->status == 200) return dataplane_api::parse_explain_answer(answer->body);
  if (answer->status == 400) return invalid_argument("{}: {}", socket, escaped(answer->body));
  return unavailable("{}: the dataplane answered {}: {}", socket, answer->status, escaped(answer->body));
}

absl::StatusOr<ExplainAnswer> ask_configuration(const PopConfig& config, const ExplainOptions& options,
                                                const ExplainRequest& request) {
  replay::OfflineForwarding forwarding(config, {.mtu_bytes = options.mtu_bytes.value_or(1500)});
  // Whoever goes down was there before, so that slots have a previous owner.
  forwarding.snapshot();
  for (const std::string& text : options.down) {
    const auto backend = replay::find_backend(config, text);
    if (!backend.ok()) return invalid_argument("--down: {}", message(backend.status()));
    forwarding.set_healthy(*backend, false);
  }
  return explain_answer(config, forwarding.snapshot(), request, 0);
}

// What one protocol alone has must not be passed over in silence with the other.
absl::Status check_protocol(const ExplainOptions& options) {
  if (options.syn && options.protocol != "tcp") {
    return invalid_argument("--syn: found it with --protocol {}, expected tcp", options.protocol);
  }
  if (options.connection_id && options.protocol != "udp") {
    return invalid_argument("--connection-id: found it with --protocol {}, expected udp", options.protocol);
  }
  return absl::OkStatus();
}

// As the payload of a datagram: a short header (RFC 9000 section 17.3), and the connection ID that follows it.
absl::StatusOr<std::string> read_connection_id(const std::optional<std::string>& text) {
  constexpr std::size_t kDigitsMax = 40;
  if (!text) return std::string();
  const bool hex = std::all_of(text->begin(), text->end(), absl::ascii_isxdigit);
  if (hex && !text->empty() && text->size() % 2 == 0 && text->size() <= kDigitsMax) return "40" + *text;
  return invalid_argument("--connection-id: found '{}', expected 1 to 20 bytes in hexadecimal, two digits each",
                          escaped(*text));
}

absl::StatusOr<ExplainRequest> read_request(const ExplainOptions& options) {
  const auto from = parse_endpoint(options.from);
  if (!from.ok()) return invalid_argument("--from: {}", message(from.status()));
  const auto to = parse_endpoint(options.to);
  if (!to.ok()) return invalid_argument("--to: {}", message(to.status()));
  if (absl::Status status = check_protocol(options); !status.ok()) return status;
  const auto payload = read_connection_id(options.connection_id);
  if (!payload.ok()) return payload.status();
  return ExplainRequest{.protocol = options.protocol,
                        .source = from->address.to_string(),
                        .source_port = from->port,
                        .destination = to->address.to_string(),
                        .destination_port = to->port,
                        .opens = options.syn,
                        .ip_bytes = options.bytes,
                        .payload = *payload};
}

// A MAC that only stands for the backend's.
bool is_stand_in(const PopConfig& config, const ExplainAnswer& answer) {
  if (answer.next_hop.empty()) return false;
  const auto backend = replay::find_backend(config, fmt::format("{}/{}", answer.service, answer.backend));
  return backend.ok() && !config.services[backend->service].backends[backend->backend].mac;
}

}  // namespace

int explain(const ExplainOptions& options) {
  const auto request = read_request(options);
  if (!request.ok()) return fail(request.status(), 2);
  const auto config = load_config(options.config);
  if (!config.ok()) return fail(config.status());
  bool live = !options.offline && options.down.empty() && !options.mtu_bytes;
  absl::StatusOr<ExplainAnswer> answer;
  if (live) {
    answer = ask_dataplane(*config, *request);
    if (!answer.ok() && !absl::IsInvalidArgument(answer.status()) && !options.live) {
      fmt::print(stderr, "anypop explain: {}; the answer is the configuration's\n", message(answer.status()));
      live = false;
    }
  }
  if (!live) answer = ask_configuration(*config, options, *request);
  if (!answer.ok()) return fail(answer.status());
  const std::string source =
      live ? fmt::format("the dataplane, generation {}", answer->generation)
           : fmt::format("{} with {}", config->file.string(),
                         options.down.empty() ? "every backend healthy" : "backends down as told");
  if (options.json) {
    std::string object = to_json(*answer);
    object.insert(1, fmt::format("\"source\":\"{}\",", live ? "dataplane" : "configuration"));
    fmt::print("{}\n", object);
  } else {
    fmt::print("{}", explain_text(*request, *answer, source));
    if (!live && is_stand_in(*config, *answer))
      fmt::print("  The next hop is a stand-in: the backend has no `mac:`.\n");
  }
  return 0;
}

}  // namespace anypop::cli
