// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include <pcap/pcap.h>
#include <unistd.h>

#include "anypop_replay/capture.h"
#include "base/text.h"

namespace anypop::replay {
namespace {

constexpr int kSnapBytes = 262'144;  // what readers expect at most

}  // namespace

struct CaptureWriter::State {
  std::string file;
  std::string temporary;  // empty: written in place (standard output, a device)
  pcap_t* pcap = nullptr;
  pcap_dumper_t* dumper = nullptr;

  ~State() {
    if (dumper != nullptr && file != "-") pcap_dump_close(dumper);
    if (pcap != nullptr) pcap_close(pcap);
    if (!temporary.empty()) ::unlink(temporary.c_str());
  }
};

CaptureWriter::CaptureWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
CaptureWriter::CaptureWriter(CaptureWriter&&) noexcept = default;
CaptureWriter& CaptureWriter::operator=(CaptureWriter&&) noexcept = default;
CaptureWriter::~CaptureWriter() = default;

absl::StatusOr<CaptureWriter> CaptureWriter::create(const std::string& file) {
  auto state = std::make_unique<State>();
  state->file = file;
  std::error_code ignored;
  const auto kind = std::filesystem::status(file, ignored).type();
  const bool in_place =
      file == "-" || (kind != std::filesystem::file_type::not_found && kind != std::filesystem::file_type::regular);
  std::FILE* stream = nullptr;
  if (file == "-") {
    stream = stdout;
  } else {
    const std::string path = in_place ? file : fmt::format("{}.{}.partial", file, ::getpid());
    stream = std::fopen(path.c_str(), "wbe");
    if (stream == nullptr) return errno_error(errno, "cannot write {}", escaped(file));
    if (!in_place) state->temporary = path;
  }
  state->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, kSnapBytes, PCAP_TSTAMP_PRECISION_NANO);
  state->dumper = pcap_dump_fopen(state->pcap, stream);
  if (state->dumper == nullptr) {
    if (stream != stdout) std::fclose(stream);
    return unavailable("cannot write {}: {}", escaped(file), pcap_geterr(state->pcap));
  }
  return CaptureWriter(std::move(state));
}

void CaptureWriter::write(std::int64_t time_ns, std::uint32_t wire_bytes, std::span<const std::byte> bytes) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  constexpr std::int64_t kEnd = (std::int64_t{1} << 32U) * kSecond;
  pcap_pkthdr header{};
  time_ns = std::clamp<std::int64_t>(time_ns, 0, kEnd - 1);  // a file has no time before 1970, none after 2106
  header.ts.tv_sec = time_ns / kSecond;
  header.ts.tv_usec = time_ns % kSecond;
  header.caplen = static_cast<bpf_u_int32>(std::min<std::size_t>(bytes.size(), kSnapBytes));
  header.len = wire_bytes;
  pcap_dump(reinterpret_cast<u_char*>(state_->dumper), &header, reinterpret_cast<const u_char*>(bytes.data()));
}

absl::Status CaptureWriter::close() {
  std::FILE* stream = pcap_dump_file(state_->dumper);
  errno = 0;
  if (std::fflush(stream) != 0 || std::ferror(stream) != 0) {
    return errno_error(errno, "cannot write {}", escaped(state_->file));
  }
  if (state_->file != "-") pcap_dump_close(state_->dumper);
  state_->dumper = nullptr;
  if (state_->temporary.empty()) return absl::OkStatus();
  if (std::rename(state_->temporary.c_str(), state_->file.c_str()) != 0) {
    return errno_error(errno, "cannot write {}", escaped(state_->file));
  }
  state_->temporary.clear();
  return absl::OkStatus();
}

}  // namespace anypop::replay
