// SPDX-License-Identifier: Apache-2.0
// The capture that runs, if one does: started, fetched and ended by requests of the control socket. One at a time. A
// client that stops fetching has gone, and its capture ends by itself. Control thread only.
#pragma once

#include <chrono>
#include <memory>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "dataplane/capture.h"
#include "dataplane/forwarding.h"
#include "dataplane_api/messages.h"

namespace anypop::dataplane {

inline constexpr std::chrono::seconds kCapturePatience{3};

class CaptureControl {
 public:
  CaptureControl(boost::asio::io_context& io, Forwarding& forwarding, unsigned workers)
      : forwarding_(forwarding), workers_(workers), timer_(io) {}

  // AlreadyExists: another one runs. InvalidArgument: see Capture::make(). Others: see Published::publish().
  absl::Status start(const dataplane_api::CaptureRequest& request);
  // NotFound: none runs.
  absl::StatusOr<dataplane_api::CaptureAnswer> fetch();
  absl::Status stop();

 private:
  void wait();

  Forwarding& forwarding_;
  unsigned workers_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<Capture> capture_;
};

}  // namespace anypop::dataplane
