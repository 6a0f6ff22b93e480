// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <pcap/pcap.h>

#include "anypop_replay/capture.h"
#include "base/text.h"
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

struct Closer {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

constexpr int kPcapng = 0x0a;  // the first byte of each format, in either byte order
constexpr int kGzip = 0x1f;
constexpr int kZstd = 0x28;

}  // namespace

absl::StatusOr<std::unique_ptr<CaptureReader>> open_capture(const std::string& file) {
  const bool standard = file == "-";
  const std::string name = standard ? "standard input" : escaped(file);
  std::unique_ptr<std::FILE, Closer> stream(standard ? stdin : std::fopen(file.c_str(), "rbe"));
  if (stream == nullptr) return errno_error(errno, "cannot read {}", name);
  errno = 0;
  const int first = std::getc(stream.get());
  if (first == EOF && std::ferror(stream.get()) != 0) return errno_error(errno, "cannot read {}", name);
  if (first == EOF) return std::make_unique<NoPackets>();
  std::ungetc(first, stream.get());
  if (first == kGzip || first == kZstd) {
    return invalid_argument("{}: found a compressed file, expected a capture: {} -dc FILE | anypop replay --in - …",
                            name, first == kGzip ? "gzip" : "zstd");
  }
  if (first == kPcapng) return PcapngReader::open(std::shared_ptr<std::FILE>(std::move(stream)), name);
  char problem[PCAP_ERRBUF_SIZE] = "";
  pcap_t* pcap = pcap_fopen_offline_with_tstamp_precision(stream.get(), PCAP_TSTAMP_PRECISION_NANO, problem);
  if (pcap == nullptr) return invalid_argument("{}: found {}, expected a pcap or pcapng capture", name, problem);
  (void)stream.release();  // pcap_close() closes it, and leaves standard input alone
  return std::make_unique<PcapReader>(pcap, name);
}

}  // namespace anypop::replay
