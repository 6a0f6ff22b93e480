// SPDX-License-Identifier: Apache-2.0
#include "healthmon/dns_message.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <absl/strings/ascii.h>
#include <arpa/inet.h>

#include "base/text.h"
#include "healthmon/exchange.h"

namespace anypop::healthmon {
namespace {

constexpr std::uint16_t kClassIn = 1;
constexpr std::uint16_t kTypeOpt = 41;
constexpr std::uint16_t kUdpBytes = 1232;  // what survives any path unfragmented
constexpr unsigned kRecordsMax = 256;      // looked at in one answer
constexpr unsigned kPointersMax = 32;      // followed in one name

void put16(std::string& out, unsigned value) {
  out += static_cast<char>(value >> 8U & 0xffU);
  out += static_cast<char>(value & 0xffU);
}

void put_name(std::string& out, std::string_view name) {
  if (name != ".") {
    for (const std::string_view label : split(name, '.')) {
      out += static_cast<char>(label.size());
      out += label;
    }
  }
  out += '\0';
}

// Reads from left to right; after the first thing that is not there it reads nothing more.
class Reader {
 public:
  explicit Reader(std::string_view message, std::size_t at = 0) : message_(message), at_(at) {}

  bool good() const { return good_; }
  std::size_t at() const { return at_; }
  void skip(std::size_t count) { (void)bytes(count); }
  unsigned u8() {
    const std::string_view byte = bytes(1);
    return byte.empty() ? 0 : static_cast<unsigned char>(byte[0]);
  }
  unsigned u16() {
    const unsigned high = u8();
    return high << 8U | u8();
  }
  std::string_view bytes(std::size_t count) {
    if (!good_ || message_.size() - at_ < count) {
      good_ = false;
      return {};
    }
    at_ += count;
    return message_.substr(at_ - count, count);
  }
  // In lower case, without the last dot; the root is ".". Ends behind the name, wherever its parts are.
  std::string name();

 private:
  std::string_view message_;
  std::size_t at_;
  bool good_ = true;
};

std::string Reader::name() {
  std::string text;
  std::optional<std::size_t> behind;
  for (unsigned pointers = 0; good_;) {
    const unsigned length = u8();
    if (!good_ || length == 0) break;
    if (length >= 0xc0U) {
      const std::size_t target = (length & 0x3fU) << 8U | u8();
      if (!behind) behind = at_;
      good_ = good_ && ++pointers <= kPointersMax && target < message_.size();
      if (good_) at_ = target;
      continue;
    }
    if (length > 63 || text.size() > 255) good_ = false;
    const std::string_view label = bytes(length);
    text += text.empty() ? "" : ".";
    std::transform(label.begin(), label.end(), std::back_inserter(text),
                   [](unsigned char c) { return absl::ascii_tolower(c); });
  }
  if (behind && good_) at_ = *behind;
  return text.empty() ? "." : text;
}

std::string address_text(int family, std::string_view bytes, std::size_t expected_bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  if (bytes.size() != expected_bytes) return "";
  return ::inet_ntop(family, bytes.data(), text, sizeof(text)) == nullptr ? "" : text;
}

// The record as a zone file shows it, as far as a probe can ask for it; "" when it cannot be read.
std::string record_text(std::uint16_t type, std::string_view message, std::size_t at, std::size_t size) {
  const std::string_view data = message.substr(at, size);
  // A name may point back, but its record must not reach beyond its end.
  Reader reader(message.substr(0, at + size), at);
  std::string text;
  switch (type) {
    case 1: return address_text(AF_INET, data, 4);
    case 28: return address_text(AF_INET6, data, 16);
    case 2:
    case 5:
    case 6:
    case 12: text = reader.name(); break;
    case 15: {
      const unsigned preference = reader.u16();
      text = fmt::format("{} {}", preference, reader.name());
      break;
    }
    case 16:
      while (reader.good() && reader.at() < at + size) {
        const unsigned length = reader.u8();
        text += reader.bytes(length);
      }
      break;
    default: break;
  }
  return reader.good() ? text : "";
}

std::string normal(std::uint16_t type, const std::string& expected) {
  const bool is_name = type != 16 && type != 1 && type != 28;
  std::string text = type == 16 ? expected : absl::AsciiStrToLower(expected);
  if (is_name && text.size() > 1 && text.ends_with('.')) text.pop_back();
  return text;
}

std::vector<std::string> answers(const DnsProbeConfig& probe, std::string_view message, Reader reader, unsigned count) {
  std::vector<std::string> found;
  for (unsigned i = 0; i < std::min(count, kRecordsMax); ++i) {
    (void)reader.name();
    const unsigned type = reader.u16();
    const unsigned record_class = reader.u16();
    reader.skip(4);  // TTL
    const unsigned size = reader.u16();
    const std::size_t at = reader.at();
    reader.skip(size);
    if (!reader.good()) break;
    if (type == probe.type && record_class == kClassIn) found.push_back(record_text(probe.type, message, at, size));
  }
  return found;
}

ProbeResult judge(const DnsProbeConfig& probe, unsigned rcode, const std::vector<std::string>& found) {
  const std::string name = dns_rcode_name(static_cast<std::uint16_t>(rcode));
  if (rcode != probe.rcode) return {false, fmt::format("{}, expected {}", name, dns_rcode_name(probe.rcode))};
  if (probe.expected_answer.empty()) return {true, name};
  const std::string expected = normal(probe.type, probe.expected_answer);
  if (std::find(found.begin(), found.end(), expected) != found.end())
    return {true, fmt::format("{}, {}", name, expected)};
  const std::string type = dns_type_name(probe.type);
  if (found.empty()) return {false, fmt::format("{} without {}, expected {}", name, type, escaped(expected))};
  return {false, fmt::format("{} {}, expected {}", type, escaped(found.front().substr(0, 100)), escaped(expected))};
}

class DnsExchange : public Exchange {
 public:
  DnsExchange(const DnsProbeConfig& probe, std::uint16_t id) : probe_(probe), id_(id) {
    const std::string query = dns_query(probe, id);
    put16(output_, static_cast<unsigned>(query.size()));
    output_ += query;
  }
  std::string output() override { return std::exchange(output_, {}); }
  std::optional<ProbeResult> input(std::string_view bytes) override {
    answer_ += bytes;
    Reader reader(answer_);
    const unsigned size = reader.u16();
    const std::string_view message = reader.bytes(size);
    if (!reader.good()) return std::nullopt;
    const DnsVerdict verdict = check_dns_answer(probe_, id_, message);
    if (verdict.kind == DnsVerdict::Kind::kJudged) return verdict.result;
    return ProbeResult{false, "no answer to the question over TCP"};
  }
  ProbeResult closed() override { return {false, "closed without an answer over TCP"}; }

 private:
  DnsProbeConfig probe_;
  std::uint16_t id_;
  std::string output_;
  std::string answer_;
};

}  // namespace

std::string dns_query(const DnsProbeConfig& probe, std::uint16_t id) {
  std::string query;
  put16(query, id);
  put16(query, 0x0100);  // recursion desired: a resolver would else only look into its cache
  for (const unsigned count : {1U, 0U, 0U, 1U}) put16(query, count);
  put_name(query, probe.name);
  put16(query, probe.type);
  put16(query, kClassIn);
  put_name(query, ".");
  put16(query, kTypeOpt);
  put16(query, kUdpBytes);
  query.append(6, '\0');  // extended RCODE, version, flags, no options
  return query;
}

DnsVerdict check_dns_answer(const DnsProbeConfig& probe, std::uint16_t id, std::string_view message) {
  constexpr unsigned kResponse = 0x8000;
  constexpr unsigned kOpcode = 0x7800;
  constexpr unsigned kTruncated = 0x0200;
  Reader reader(message);
  const unsigned found_id = reader.u16();
  const unsigned flags = reader.u16();
  const unsigned questions = reader.u16();
  const unsigned records = reader.u16();
  reader.skip(4);
  if (!reader.good() || found_id != id || (flags & (kResponse | kOpcode)) != kResponse) return {};
  // FORMERR and the like may come without the question (RFC 1035, section 4.1.1).
  if (questions == 1) {
    const std::string name = reader.name();
    const unsigned type = reader.u16();
    const unsigned question_class = reader.u16();
    if (!reader.good() || name != absl::AsciiStrToLower(probe.name) || type != probe.type ||
        question_class != kClassIn) {
      return {};
    }
  } else if (questions != 0 || (flags & 0xfU) == 0) {
    return {};
  }
  if ((flags & kTruncated) != 0) return {.kind = DnsVerdict::Kind::kTruncated};
  return {.kind = DnsVerdict::Kind::kJudged,
          .result = judge(probe, flags & 0xfU, answers(probe, message, reader, records))};
}

std::unique_ptr<Exchange> dns_exchange(const DnsProbeConfig& probe, std::uint16_t id) {
  return std::make_unique<DnsExchange>(probe, id);
}

}  // namespace anypop::healthmon
