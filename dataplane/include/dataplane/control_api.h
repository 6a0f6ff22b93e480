// SPDX-License-Identifier: Apache-2.0
// The control socket's requests (dataplane_api/messages.h) and their answers. Control thread only.
#pragma once

#include <functional>

#include <absl/status/status.h>

#include "dataplane_api/http.h"
#include "dataplane_api/messages.h"

namespace anypop::dataplane {

// What the requests are answered from.
struct ControlApi {
  std::function<dataplane_api::Heartbeat()> heartbeat;
  std::function<dataplane_api::State()> state;
  std::function<dataplane_api::Stats()> stats;
  std::function<absl::Status(const dataplane_api::HealthUpdate&)> set_health;  // Forwarding::set_health
};

// 404: no such path; 405: not this method; 400: a body that says what is wrong with the request; 503: the workers did
// not follow in time.
HttpResponse answer(const ControlApi& api, const HttpRequest& request);

}  // namespace anypop::dataplane
