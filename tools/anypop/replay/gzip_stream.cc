// SPDX-License-Identifier: Apache-2.0
#include "gzip_stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <zlib.h>

namespace anypop::replay {
namespace {

class Unpacker {
 public:
  Unpacker(Stream packed, std::shared_ptr<std::string> problem)
      : packed_(std::move(packed)), problem_(std::move(problem)) {
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&state_, MAX_WBITS + kGzipOnly) != Z_OK) std::abort();  // out of memory
  }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;
  ~Unpacker() { inflateEnd(&state_); }

  // Up to `bytes`, at least one; 0: the end; -1 with errno: something is wrong.
  ssize_t read(char* to, std::size_t bytes) {
    if (!problem_->empty()) return fail();
    state_.next_out = reinterpret_cast<Bytef*>(to);
    state_.avail_out = static_cast<uInt>(std::min<std::size_t>(bytes, 1U << 30U));
    const uInt wanted = state_.avail_out;
    bool good = true;
    while (good && !over_ && state_.avail_out == wanted) good = step();
    // What came out before something was wrong is good.
    if (!good && state_.avail_out == wanted) return fail();
    return static_cast<ssize_t>(wanted - state_.avail_out);
  }

 private:
  static ssize_t fail() {
    errno = EBADMSG;
    return -1;
  }

  bool complain(std::string_view what) {
    *problem_ = what;
    return false;
  }

  // False: nothing more to unpack.
  bool refill() {
    if (state_.avail_in > 0) return true;
    state_.next_in = input_.data();
    state_.avail_in = static_cast<uInt>(std::fread(input_.data(), 1, input_.size(), packed_.get()));
    return state_.avail_in > 0;
  }

  bool step() {
    if (!refill()) {
      if (!between_) return complain(std::ferror(packed_.get()) != 0 ? "cannot be read" : "ends early");
      over_ = true;
      return true;
    }
    // What follows the last file and is none, such as the zeros of a tape's block, is nobody's.
    if (between_ && state_.next_in[0] != kFirstByte) {
      over_ = true;
      return true;
    }
    between_ = false;
    const int result = inflate(&state_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      between_ = true;
      inflateReset(&state_);
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return complain("is damaged");
    }
    return true;
  }

  static constexpr Bytef kFirstByte = 0x1f;
  Stream packed_;
  std::shared_ptr<std::string> problem_;
  z_stream state_{};
  bool between_ = false;  // one file has ended, no other has begun
  bool over_ = false;
  std::array<Bytef, 65536> input_{};
};

}  // namespace

void StreamCloser::operator()(std::FILE* file) const {
  if (file != stdin) std::fclose(file);
}

GzipStream unpack_gzip(Stream packed) {
  auto problem = std::make_shared<std::string>();
  auto unpacker = std::make_unique<Unpacker>(std::move(packed), problem);
  const cookie_io_functions_t functions{
      .read = [](void* cookie, char* to, std::size_t bytes) { return static_cast<Unpacker*>(cookie)->read(to, bytes); },
      .write = nullptr,
      .seek = nullptr,
      .close =
          [](void* cookie) {
            delete static_cast<Unpacker*>(cookie);
            return 0;
          }};
  Stream stream(fopencookie(unpacker.get(), "r", functions));
  if (stream != nullptr) (void)unpacker.release();  // the stream closes it
  return {std::move(stream), std::move(problem)};
}

}  // namespace anypop::replay
