// SPDX-License-Identifier: Apache-2.0
#include "dataplane/legacy.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <rte_hash_crc.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

constexpr std::string_view kName = "anypop-takeover";
constexpr std::string_view kVersion = "1";
constexpr std::size_t kHeaderMax = 256;

// (DPDK's function over many bytes reads words where none begins.)
std::uint32_t checksum(std::string_view bytes) {
  std::uint32_t sum = 0xffffffffU;
  for (; bytes.size() >= sizeof(std::uint64_t); bytes.remove_prefix(sizeof(std::uint64_t))) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    sum = rte_hash_crc_8byte(word, sum);
  }
  for (const char byte : bytes) sum = rte_hash_crc_1byte(static_cast<std::uint8_t>(byte), sum);
  return sum;
}

std::optional<std::uint64_t> hexadecimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string encode(const LegacyFile& file) {
  const std::string health = dataplane_api::to_json(file.legacy.health);
  const std::string parts = fmt::format("{}{}{}", file.legacy.monitored ? 'm' : '-', health, file.legacy.slots);
  return fmt::format("{} {} {:08x} {} {} {:016x} {}\n{}", kName, kVersion, checksum(parts), health.size() + 1,
                     file.legacy.slots.size(), file.epoch, file.boot, parts);
}

absl::StatusOr<LegacyFile> decode_legacy(std::string_view bytes) {
  const std::size_t end = bytes.substr(0, kHeaderMax).find('\n');
  const std::vector<std::string_view> words = split(bytes.substr(0, end == std::string_view::npos ? 0 : end), ' ');
  if (words.size() != 7 || words[0] != kName) {
    return invalid_argument("found something else, expected a file that begins with '{}'", kName);
  }
  if (words[1] != kVersion) return invalid_argument("found version '{}', expected {}", escaped(words[1]), kVersion);
  const std::string_view parts = bytes.substr(end + 1);
  const auto health_bytes = parse_number<std::size_t>(words[3], 1, parts.size());
  const auto slots_bytes = parse_number<std::size_t>(words[4], 0, parts.size());
  const auto epoch = hexadecimal(words[5]);
  if (!health_bytes || !slots_bytes || !epoch || *health_bytes + *slots_bytes != parts.size()) {
    return invalid_argument("found {} bytes, expected as many as its first line says: it was cut", bytes.size());
  }
  if (hexadecimal(words[2]) != checksum(parts)) return invalid_argument("found a wrong checksum: it was damaged");
  const auto health = dataplane_api::parse_health_update(parts.substr(1, *health_bytes - 1));
  if (!health.ok()) return health.status();
  return LegacyFile{
      .legacy = {.monitored = parts[0] == 'm', .health = *health, .slots = std::string(parts.substr(*health_bytes))},
      .epoch = *epoch,
      .boot = std::string(words[6])};
}

}  // namespace anypop::dataplane
