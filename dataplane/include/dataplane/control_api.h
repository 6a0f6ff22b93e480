// SPDX-License-Identifier: Apache-2.0
// The control socket's requests (dataplane_api/messages.h) and their answers. Control thread only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "dataplane_api/http_server.h"
#include "dataplane_api/messages.h"

namespace anypop::dataplane {

// What the requests are answered from.
struct ControlApi {
  std::function<dataplane_api::Heartbeat()> heartbeat;
  std::function<dataplane_api::State()> state;
  std::function<dataplane_api::Stats()> stats;
  // Forwarding::set_health
  std::function<absl::Status(const dataplane_api::HealthUpdate&, std::vector<std::string>& unknown)> set_health;

  struct ReloadRequest {
    bool dry_run = false;
    std::string text;  // with dry_run: to be judged instead of the file
  };
  using ReloadDone = std::function<void(const absl::StatusOr<dataplane_api::ReloadReport>&)>;
  std::function<void(ReloadRequest, ReloadDone)> reload;

  std::function<absl::Status(const dataplane_api::CaptureRequest&)> start_capture;  // CaptureControl
  std::function<absl::StatusOr<dataplane_api::CaptureAnswer>()> fetch_capture;
  std::function<absl::Status()> stop_capture;
  // InvalidArgument: what is wrong with the question.
  std::function<absl::StatusOr<dataplane_api::ExplainAnswer>(const dataplane_api::ExplainRequest&)> explain;
  std::function<void()> restart;  // PlannedRestart::begin()
};

// 404: no such path; 405: not this method; 400: the body says what is wrong with the request or the configuration; 409:
// the configuration is good, but not for a running dataplane; 503: the workers did not follow in time.
void answer(const ControlApi& api, const HttpRequest& request, const HttpServer::Reply& reply);

}  // namespace anypop::dataplane
