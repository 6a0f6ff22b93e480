// SPDX-License-Identifier: Apache-2.0
#include "config_quic.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>

#include "base/text.h"

namespace anypop {
namespace {

absl::Status parse_server_id(const std::string& found, std::string& out) {
  const bool hex = std::all_of(found.begin(), found.end(), absl::ascii_isxdigit);
  if (!hex || found.empty() || found.size() % 2 != 0 || found.size() > 2 * QuicConfig::kServerIdBytesMax) {
    return invalid_argument("found '{}', expected 1 to {} bytes in hexadecimal digits", escaped(found),
                            QuicConfig::kServerIdBytesMax);
  }
  out = absl::HexStringToBytes(found);
  return absl::OkStatus();
}

std::string hex(const std::string& bytes) { return absl::BytesToHexString(bytes); }

// Each length that the configurations have, once per backend, and never the same ID twice.
class ServerIds {
 public:
  explicit ServerIds(const ServiceConfig& service) {
    for (const QuicConfig& quic : service.quic) lengths_.insert(quic.server_id_bytes);
  }

  // What is wrong with a backend's; empty: nothing.
  std::string add(const BackendConfig& backend) {
    std::set<std::size_t> missing = lengths_;
    for (const std::string& id : backend.server_ids) {
      if (lengths_.empty()) return "found it without quic in the service, expected it only with that";
      if (!lengths_.contains(id.size())) {
        return fmt::format("found '{}', which has {} bytes, expected {} (server_id_bytes of the service's quic)",
                           hex(id), id.size(), fmt::join(lengths_, " or "));
      }
      if (const auto [at, added] = owners_.emplace(id, backend.name); !added) {
        return fmt::format("found '{}', which is backend '{}' already, expected unique server IDs", hex(id),
                           at->second);
      }
      missing.erase(id.size());
    }
    if (missing.empty()) return {};
    return fmt::format("found none of {} bytes, expected one, because the service has quic", *missing.begin());
  }

 private:
  std::set<std::size_t> lengths_;
  std::map<std::string, std::string> owners_;
};

}  // namespace

void read_quic(YamlMap& map, ServiceConfig& service) {
  const auto read = [&](YamlMap& entry) {
    QuicConfig& quic = service.quic.emplace_back();
    entry.number("config_id", quic.config_id, 0U, QuicConfig::kConfigs - 1, true);
    entry.number("server_id_bytes", quic.server_id_bytes, 1U, QuicConfig::kServerIdBytesMax, true);
  };
  // Several only while one replaces another.
  map.is_list("quic") ? map.list("quic", read) : map.map("quic", read);
}

void read_server_ids(YamlMap& map, BackendConfig& backend) {
  const auto parse = [&](const std::string& found) {
    return parse_server_id(found, backend.server_ids.emplace_back());
  };
  map.is_list("server_id") ? map.values("server_id", parse) : map.value("server_id", parse);
}

void check_quic(const ServiceConfig& service, std::size_t index, const ConfigMarks::Service& marks,
                ConfigErrors& errors) {
  if (!service.quic.empty() && service.protocol != Protocol::kUdp) {
    errors.add(marks.mark, fmt::format("services[{}].quic", index), "found it with protocol: tcp, expected udp");
  }
  std::set<unsigned> ids;
  for (const QuicConfig& quic : service.quic) {
    if (!ids.insert(quic.config_id).second) {
      errors.add(marks.mark, fmt::format("services[{}].quic", index),
                 fmt::format("found config_id {} a second time, expected unique ones", quic.config_id));
    }
  }
  ServerIds server_ids(service);
  for (std::size_t i = 0; i < service.backends.size(); ++i) {
    const std::string problem = server_ids.add(service.backends[i]);
    if (problem.empty()) continue;
    errors.add(marks.backends[i], fmt::format("services[{}].backends[{}].server_id", index, i), problem);
  }
}

}  // namespace anypop
