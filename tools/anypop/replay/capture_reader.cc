// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include <pcap/pcap.h>

#include "anypop_replay/capture.h"
#include "base/text.h"
#include "gzip_stream.h"
#include "pcapng_reader.h"

namespace anypop::replay {
namespace {

class NoPackets : public CaptureReader {
 public:
  absl::StatusOr<bool> next(CapturedPacket& /*packet*/) override { return false; }
};

// libpcap takes the file's 32 bits of seconds and of a fraction for signed ones; a file means them unsigned, which ends
// in 2106. `time` has nanoseconds in place of microseconds, perhaps more than a second of them.
std::int64_t nanoseconds(const timeval& time) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  return static_cast<std::uint32_t>(time.tv_sec) * kSecond + std::max<std::int64_t>(time.tv_usec, 0);
}

class PcapReader : public CaptureReader {
 public:
  PcapReader(pcap_t* pcap, std::string name) : pcap_(pcap), name_(std::move(name)) {}
  ~PcapReader() override { pcap_close(pcap_); }

  absl::StatusOr<bool> next(CapturedPacket& packet) override {
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    const int result = pcap_next_ex(pcap_, &header, &data);
    if (result == PCAP_ERROR_BREAK) return false;
    if (result != 1) return invalid_argument("{}: {}", name_, pcap_geterr(pcap_));
    packet.time_ns = nanoseconds(header->ts);
    packet.wire_bytes = std::max(header->len, header->caplen);
    packet.link_type = pcap_datalink(pcap_);
    packet.bytes = {reinterpret_cast<const std::byte*>(data), header->caplen};
    return true;
  }

 private:
  pcap_t* pcap_;
  std::string name_;
};

// What comes out of a gzip file. That its end is not the file's only the unpacking knows.
class UnpackedReader : public CaptureReader {
 public:
  UnpackedReader(std::unique_ptr<CaptureReader> reader, std::shared_ptr<const std::string> problem, std::string name)
      : reader_(std::move(reader)), problem_(std::move(problem)), name_(std::move(name)) {}

  absl::StatusOr<bool> next(CapturedPacket& packet) override {
    auto more = reader_->next(packet);
    if (more.ok() && *more) return more;
    if (!problem_->empty()) return invalid_argument("{}: the gzip file {}", name_, *problem_);
    return more;
  }

 private:
  std::unique_ptr<CaptureReader> reader_;
  std::shared_ptr<const std::string> problem_;
  std::string name_;
};

using namespace std::string_view_literals;
constexpr std::string_view kPcapng = "\x0a\x0d\x0d\x0a"sv;
constexpr std::string_view kGzip = "\x1f\x8b"sv;

// Formats that are not unpacked here, and who does it.
struct Packed {
  std::string_view begins;
  std::string_view tool;
};
constexpr Packed kPacked[] = {{"\xfd\x37zXZ"sv, "xz"},        {"BZh"sv, "bzip2"},
                              {"\x04\x22\x4d\x18"sv, "lz4"},  {"\x02\x21\x4c\x18"sv, "lz4"},
                              {"\x28\xb5\x2f\xfd"sv, "zstd"}, {"\x1f\x9d"sv, "gzip"}};

// The first bytes, which stay there: glibc takes back as many as have been read.
std::string peek(std::FILE* stream) {
  constexpr std::size_t kBytes = 5;
  std::array<char, kBytes> bytes{};
  const std::string first(bytes.data(), std::fread(bytes.data(), 1, bytes.size(), stream));
  for (auto at = first.rbegin(); at != first.rend(); ++at) std::ungetc(static_cast<unsigned char>(*at), stream);
  return first;
}

absl::StatusOr<std::unique_ptr<CaptureReader>> open_unpacked(Stream stream, std::string_view first,
                                                             const std::string& name) {
  if (first.empty()) return std::make_unique<NoPackets>();
  if (first.starts_with(kGzip)) return invalid_argument("{}: found gzip in gzip, expected a capture", name);
  for (const Packed& packed : kPacked) {
    if (!first.starts_with(packed.begins)) continue;
    return invalid_argument(
        "{}: found a file that {} has compressed, expected a capture: {} -dc FILE | anypop replay --in - …", name,
        packed.tool, packed.tool);
  }
  if (first.starts_with(kPcapng)) {
    return PcapngReader::open(std::shared_ptr<std::FILE>(stream.release(), StreamCloser()), name);
  }
  char problem[PCAP_ERRBUF_SIZE] = "";
  pcap_t* pcap = pcap_fopen_offline_with_tstamp_precision(stream.get(), PCAP_TSTAMP_PRECISION_NANO, problem);
  if (pcap == nullptr) return invalid_argument("{}: found {}, expected a pcap or pcapng capture", name, problem);
  (void)stream.release();  // pcap_close() closes it, and leaves standard input alone
  return std::make_unique<PcapReader>(pcap, name);
}

absl::StatusOr<std::unique_ptr<CaptureReader>> open_gzip(Stream packed, const std::string& name) {
  GzipStream gzip = unpack_gzip(std::move(packed));
  if (gzip.stream == nullptr) return errno_error(errno, "cannot read {}", name);
  const std::string first = peek(gzip.stream.get());
  auto reader = open_unpacked(std::move(gzip.stream), first, name);
  if (!gzip.problem->empty() && (!reader.ok() || first.empty())) {
    return invalid_argument("{}: the gzip file {}", name, *gzip.problem);
  }
  if (!reader.ok()) return reader.status();
  return std::make_unique<UnpackedReader>(*std::move(reader), std::move(gzip.problem), name);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CaptureReader>> open_capture(const std::string& file) {
  const bool standard = file == "-";
  const std::string name = standard ? "standard input" : escaped(file);
  Stream stream(standard ? stdin : std::fopen(file.c_str(), "rbe"));
  if (stream == nullptr) return errno_error(errno, "cannot read {}", name);
  errno = 0;
  const std::string first = peek(stream.get());
  if (std::ferror(stream.get()) != 0) return errno_error(errno, "cannot read {}", name);
  if (first.starts_with(kGzip)) return open_gzip(std::move(stream), name);
  return open_unpacked(std::move(stream), first, name);
}

}  // namespace anypop::replay
