// SPDX-License-Identifier: Apache-2.0
// A gzip file (RFC 1952) as a stream of what was packed into it, in memory that does not grow.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

namespace anypop::replay {

// Closes what it was made of, but not standard input.
struct StreamCloser {
  void operator()(std::FILE* file) const;
};
using Stream = std::unique_ptr<std::FILE, StreamCloser>;

struct GzipStream {
  Stream stream;
  // What is wrong with the file, once the stream has ended because of it; empty: nothing, or not yet. A stream alone
  // could only say that it ends, or an errno.
  std::shared_ptr<const std::string> problem;
};

// Precondition: `packed` stands where a gzip file begins. Several of them, one behind the other, are one stream.
GzipStream unpack_gzip(Stream packed);

}  // namespace anypop::replay
