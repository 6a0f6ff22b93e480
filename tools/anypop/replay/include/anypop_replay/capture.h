// SPDX-License-Identifier: Apache-2.0
// Captures as files: pcap of either byte order and time resolution, pcapng, and what else libpcap reads; written as
// pcap with nanoseconds. "-" is standard input and output. Nothing in a capture is trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace anypop::replay {

struct CapturedPacket {
  std::int64_t time_ns = 0;          // since 1970
  std::uint32_t wire_bytes = 0;      // what it was on the wire; at least bytes.size()
  int link_type = 0;                 // see link_layer.h
  std::span<const std::byte> bytes;  // what was captured of it; valid until the next read
};

class CaptureReader {
 public:
  virtual ~CaptureReader() = default;
  // False: that was all. InvalidArgument: the rest of the file is damaged or missing; the packets before it were good.
  virtual absl::StatusOr<bool> next(CapturedPacket& packet) = 0;
};

// A file without a single byte is a capture without packets. Errors name the file and say what was found.
absl::StatusOr<std::unique_ptr<CaptureReader>> open_capture(const std::string& file);

// Ethernet frames into a file that appears whole, in close(), or not at all. (What goes to standard output cannot be
// taken back.)
class CaptureWriter {
 public:
  static absl::StatusOr<CaptureWriter> create(const std::string& file);
  CaptureWriter(CaptureWriter&&) noexcept;
  CaptureWriter& operator=(CaptureWriter&&) noexcept;
  ~CaptureWriter();  // without close(): nothing is left

  void write(std::int64_t time_ns, std::uint32_t wire_bytes, std::span<const std::byte> bytes);
  absl::Status close();

 private:
  struct State;
  explicit CaptureWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace anypop::replay
