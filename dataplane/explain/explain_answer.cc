// SPDX-License-Identifier: Apache-2.0
#include "explain_api/explain_answer.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>

#include "base/text.h"

namespace anypop {
namespace {

using dataplane_api::ExplainAnswer;
using dataplane_api::ExplainRequest;

absl::Status read_address(std::string_view key, const std::string& text, IpAddress& out) {
  const auto address = IpAddress::parse(text);
  if (!address.ok()) return invalid_argument("{}: {}", key, message(address.status()));
  out = *address;
  return absl::OkStatus();
}

absl::Status read_number(std::string_view key, std::uint64_t found, std::uint64_t most) {
  if (found <= most) return absl::OkStatus();
  return invalid_argument("{}: found {}, expected at most {}", key, found, most);
}

absl::Status read_payload(const std::string& text, std::vector<std::byte>& out) {
  if (text.size() % 2 != 0 || !std::all_of(text.begin(), text.end(), absl::ascii_isxdigit)) {
    return invalid_argument("payload: found {} characters, expected bytes in hexadecimal", text.size());
  }
  const std::string bytes = absl::HexStringToBytes(text);
  std::ranges::transform(bytes, std::back_inserter(out), [](char byte) { return static_cast<std::byte>(byte); });
  return absl::OkStatus();
}

absl::StatusOr<l4lb::FlowQuestion> read_question(const ExplainRequest& request) {
  constexpr std::uint64_t kPortMax = 65535;
  l4lb::FlowQuestion question;
  if (request.protocol != "tcp" && request.protocol != "udp") {
    return invalid_argument("protocol: found '{}', expected tcp or udp", escaped(request.protocol));
  }
  question.protocol = request.protocol == "tcp" ? Protocol::kTcp : Protocol::kUdp;
  for (const absl::Status& status : {read_address("source", request.source, question.source),
                                     read_address("destination", request.destination, question.destination),
                                     read_number("source_port", request.source_port, kPortMax),
                                     read_number("destination_port", request.destination_port, kPortMax),
                                     read_number("ip_bytes", request.ip_bytes, l4lb::kQuestionMaxBytes),
                                     read_payload(request.payload, question.payload)}) {
    if (!status.ok()) return status;
  }
  question.source_port = static_cast<std::uint16_t>(request.source_port);
  question.destination_port = static_cast<std::uint16_t>(request.destination_port);
  question.opens = request.opens;
  question.ip_bytes = static_cast<std::uint32_t>(request.ip_bytes);
  return question;
}

std::string hex(std::span<const std::byte> bytes) {
  std::string out;
  for (const std::byte byte : bytes) out += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return out;
}

}  // namespace

absl::StatusOr<ExplainAnswer> explain_answer(const PopConfig& config, const l4lb::Snapshot& snapshot,
                                             const ExplainRequest& request, std::uint32_t now_ms,
                                             const ExplainTables& tables, const NextHopText& next_hop) {
  const auto question = read_question(request);
  if (!question.ok()) return question.status();
  const auto explained = l4lb::explain(snapshot, *question, now_ms, tables.workers, tables.left_over);
  if (!explained.ok()) return explained.status();
  ExplainAnswer answer{.generation = l4lb::generation(snapshot),
                       .verdict = std::string(verdict_name(explained->verdict)),
                       .decision = std::string(decision_name(explained->decision)),
                       .slots = explained->slots,
                       .slot = explained->slot,
                       .next_hop = explained->next_hop ? explained->next_hop->to_string() : std::string(),
                       .outer_header = hex(explained->outer_header),
                       .sent_bytes = explained->packet.size()};
  if (explained->service == l4lb::kNone) return answer;
  const ServiceConfig& service = config.services[explained->service];
  answer.service = service.name;
  if (explained->owner != l4lb::kNone) answer.owner = service.backends[explained->owner].name;
  const auto name_of = [&](std::uint16_t backend) {
    return backend == l4lb::kNone ? std::string() : service.backends[backend].name;
  };
  answer.window = explained->window;
  answer.previous_owner = name_of(explained->previous_owner);
  for (const l4lb::ExplainedRecord& record : explained->records) {
    const bool left_over = record.table >= tables.workers.size();
    answer.records.push_back({.worker = record.table - (left_over ? tables.workers.size() : 0),
                              .left_over = left_over,
                              .backend = name_of(record.backend),
                              .half_open = record.half_open,
                              .closing = record.closing,
                              .expires_ms = record.expires_ms});
  }
  if (explained->backend == l4lb::kNone) return answer;
  const BackendConfig& backend = service.backends[explained->backend];
  answer.backend = backend.name;
  answer.backend_address = backend.address.to_string();
  const bool sought = explained->next_hop || explained->verdict == l4lb::Verdict::kDropNextHopUnresolved;
  if (sought && !backend.mac && next_hop) answer.next_hop_way = next_hop(backend.address);
  return answer;
}

}  // namespace anypop
