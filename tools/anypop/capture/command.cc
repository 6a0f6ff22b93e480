// SPDX-License-Identifier: Apache-2.0
#include "anypop_capture/command.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>

#include <fmt/format.h>
#include <pcap/pcap.h>

#include "anypop_capture/frame_text.h"
#include "anypop_capture/pcapng_writer.h"
#include "base/config.h"
#include "base/text.h"
#include "dataplane_api/http_client.h"
#include "dataplane_api/messages.h"

namespace anypop::capture {
namespace {

namespace api = dataplane_api;

constexpr std::chrono::seconds kTimeout{2};
constexpr timespec kFetchInterval{0, 50'000'000};

volatile std::sig_atomic_t interrupted = 0;

// Names in the filter are resolved here, not in the dataplane.
absl::StatusOr<std::vector<std::uint64_t>> compile(const std::string& filter) {
  std::vector<std::uint64_t> numbers;
  if (filter.empty()) return numbers;
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> handle(pcap_open_dead(DLT_EN10MB, 65535), pcap_close);
  bpf_program program{};
  if (pcap_compile(handle.get(), &program, filter.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0) {
    return invalid_argument("--filter: found '{}', expected a filter as of tcpdump: {}", escaped(filter),
                            pcap_geterr(handle.get()));
  }
  for (unsigned i = 0; i < program.bf_len; ++i) {
    const bpf_insn& at = program.bf_insns[i];
    numbers.insert(numbers.end(), {at.code, at.jt, at.jf, at.k});
  }
  pcap_freecode(&program);
  return numbers;
}

absl::StatusOr<std::string> ask(const std::filesystem::path& socket, const std::string& method,
                                const std::string& body) {
  const auto answer = http_call(socket, {method, std::string(api::kCapturePath), body}, kTimeout);
  if (!answer.ok()) return answer.status();
  if (answer->status == 200) return answer->body;
  return failed_precondition("{}: the dataplane answered {}: {}", socket.string(), answer->status,
                             escaped(answer->body.substr(0, 300)));
}

std::vector<std::byte> from_hex(std::string_view text) {
  std::vector<std::byte> out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    unsigned value = 0;
    std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    out.push_back(static_cast<std::byte>(value));
  }
  return out;
}

class Output {
 public:
  static absl::StatusOr<Output> open(const std::string& path) {
    Output out;
    if (path.empty()) return out;
    out.file_.reset(path == "-" ? stdout : std::fopen(path.c_str(), "wb"));
    if (out.file_ == nullptr) return errno_error(errno, "cannot write {}", path);
    if (absl::Status status = out.write(PcapngWriter::header()); !status.ok()) return status;
    return out;
  }

  absl::Status show(const api::CapturedPacket& packet) {
    const std::vector<std::byte> data = from_hex(packet.data);
    std::string fate = packet.verdict;
    if (!packet.service.empty()) fate += " service " + packet.service;
    if (!packet.backend.empty()) fate += " backend " + packet.backend;
    if (file_ == nullptr) {
      const auto seconds = static_cast<std::time_t>(packet.time_ns / 1'000'000'000);
      std::tm when{};
      ::gmtime_r(&seconds, &when);
      fmt::print("{:02}:{:02}:{:02}.{:06} {} {} bytes  {}  -> {}\n", when.tm_hour, when.tm_min, when.tm_sec,
                 packet.time_ns / 1000 % 1'000'000, packet.port, packet.length, frame_text(data), fate);
      std::fflush(stdout);
      return absl::OkStatus();
    }
    return write(writer_.packet({packet.time_ns, packet.port, static_cast<std::uint32_t>(packet.length), data, fate}));
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const {
      if (file != stdout) std::fclose(file);
    }
  };
  absl::Status write(const std::string& bytes) {
    const bool good = std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size();
    return good && std::fflush(file_.get()) == 0 ? absl::OkStatus() : errno_error(errno, "cannot write the capture");
  }

  std::unique_ptr<std::FILE, Close> file_;
  PcapngWriter writer_;
};

struct Seen {
  std::uint64_t packets = 0;
  std::uint64_t missed = 0;
};

absl::Status follow(const Request& request, const std::filesystem::path& socket, Output& out, Seen& seen) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(request.seconds);
  while (interrupted == 0 && std::chrono::steady_clock::now() < end) {
    const auto body = ask(socket, "GET", "");
    if (!body.ok()) return body.status();
    const auto answer = api::parse_capture_answer(*body);
    if (!answer.ok()) return answer.status();
    for (const api::CapturedPacket& packet : answer->packets) {
      if (absl::Status status = out.show(packet); !status.ok()) return status;
      ++seen.packets;
    }
    seen.missed = answer->missed;
    if (answer->done) break;
    if (answer->packets.empty()) ::nanosleep(&kFetchInterval, nullptr);
  }
  return absl::OkStatus();
}

absl::StatusOr<Seen> capture(const Request& request) {
  const auto config = load_config(request.config);
  if (!config.ok()) return config.status();
  const auto program = compile(request.filter);
  if (!program.ok()) return program.status();
  auto out = Output::open(request.out);
  if (!out.ok()) return out.status();
  const std::filesystem::path socket = config->dataplane_socket();
  const api::CaptureRequest wanted{
      .program = *program, .verdicts = request.verdicts, .packets = request.packets, .per_second = request.per_second};
  if (const auto started = ask(socket, "POST", to_json(wanted)); !started.ok()) return started.status();
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  Seen seen;
  const absl::Status status = follow(request, socket, *out, seen);
  const auto stopped = ask(socket, "DELETE", "");
  if (!status.ok()) return status;
  if (!stopped.ok()) return stopped.status();
  return seen;
}

}  // namespace

int run(const Request& request) {
  const auto seen = capture(request);
  if (!seen.ok()) {
    fmt::print(stderr, "{}\n", message(seen.status()));
    return 1;
  }
  fmt::print(stderr, "{} packets, {} more missed by the rate limit\n", seen->packets, seen->missed);
  return 0;
}

}  // namespace anypop::capture
