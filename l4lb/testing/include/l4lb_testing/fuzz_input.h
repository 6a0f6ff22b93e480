// SPDX-License-Identifier: Apache-2.0
// How fuzzers write a burst of frames: each behind its length in two bytes, big-endian. A length that promises more
// than there is means the rest.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "l4lb_testing/packet_builder.h"

namespace anypop::l4lb_testing {

inline std::vector<Frame> split_burst(std::span<const std::uint8_t> input) {
  std::vector<Frame> frames;
  while (input.size() >= 2) {
    const std::size_t wanted = input[0] * std::size_t{256} + input[1];
    const std::size_t bytes = std::min(wanted, input.size() - 2);
    const auto frame = std::as_bytes(input.subspan(2, bytes));
    frames.emplace_back(frame.begin(), frame.end());
    input = input.subspan(2 + bytes);
  }
  return frames;
}

inline void append_frame(const Frame& frame, std::string& input) {
  input += static_cast<char>(frame.size() >> 8U);
  input += static_cast<char>(frame.size() & 0xffU);
  input.append(reinterpret_cast<const char*>(frame.data()), frame.size());
}

// Bytes taken from the front of an input; zeros when it is used up.
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t value = rest_[0];
    rest_ = rest_.subspan(1);
    return value;
  }
  std::uint16_t word() { return static_cast<std::uint16_t>(byte() * 256U + byte()); }
  // In memory of its own, so that AddressSanitizer sees its end.
  Frame rest() {
    const auto bytes = std::as_bytes(rest_);
    rest_ = {};
    return {bytes.begin(), bytes.end()};
  }

 private:
  std::span<const std::uint8_t> rest_;
};

// Ends the program, and so the fuzzer reports the input, unless `holds`.
inline void require(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace anypop::l4lb_testing
