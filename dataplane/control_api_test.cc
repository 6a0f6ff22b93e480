// SPDX-License-Identifier: Apache-2.0
#include "dataplane/control_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace anypop::dataplane {
namespace {

using testing::HasSubstr;

class ControlApiTest : public testing::Test {
 protected:
  HttpResponse ask(const std::string& method, const std::string& target, const std::string& body = {}) {
    std::optional<HttpResponse> response;
    answer(api, {method, target, body}, [&](HttpResponse r) { response = std::move(r); });
    EXPECT_TRUE(response.has_value());
    return response.value_or(HttpResponse{});
  }

  absl::Status health_status;
  absl::StatusOr<dataplane_api::ReloadReport> report = dataplane_api::ReloadReport{};
  ControlApi::ReloadRequest reload_request;
  absl::Status capture_status;
  dataplane_api::CaptureRequest capture_request;
  ControlApi api{[] {
                   return dataplane_api::Heartbeat{"i", 7, {}};
                 },
                 [] { return dataplane_api::State{}; },
                 [] { return dataplane_api::Stats{}; },
                 [this](const dataplane_api::HealthUpdate&, std::vector<std::string>& unknown) {
                   unknown.emplace_back("web/b9");
                   return health_status;
                 },
                 [this](ControlApi::ReloadRequest request, const ControlApi::ReloadDone& done) {
                   reload_request = std::move(request);
                   done(report);
                 },
                 [this](const dataplane_api::CaptureRequest& request) {
                   capture_request = request;
                   return capture_status;
                 },
                 [this]() -> absl::StatusOr<dataplane_api::CaptureAnswer> {
                   if (!capture_status.ok()) return capture_status;
                   return dataplane_api::CaptureAnswer{true, 3, {}};
                 },
                 [this] { return capture_status; },
                 {}};
};

TEST_F(ControlApiTest, NamesWhatItDoesNotKnow) {
  EXPECT_EQ(ask("GET", "/v1/heartbeat").status, 200U);
  EXPECT_EQ(ask("GET", "/v1/state?x=1").status, 200U);
  EXPECT_EQ(ask("GET", "/v1/stats").status, 200U);
  EXPECT_EQ(ask("GET", "/v2/stats").status, 404U);
  EXPECT_EQ(ask("DELETE", "/v1/state").status, 405U);
  EXPECT_THAT(ask("GET", "/v1/health").body, HasSubstr("expected PUT"));
}

TEST_F(ControlApiTest, HealthIsAnsweredWithTheGenerationAndWhatIsUnknown) {
  const HttpResponse good = ask("PUT", "/v1/health", R"({"backends":[]})");
  EXPECT_EQ(good.status, 200U);
  EXPECT_EQ(good.body, R"({"generation":7,"unknown":["web/b9"]})");
  EXPECT_EQ(ask("PUT", "/v1/health", "{").status, 400U);
  health_status = absl::DeadlineExceededError("late");
  EXPECT_EQ(ask("PUT", "/v1/health", R"({"backends":[]})").status, 503U);
}

TEST_F(ControlApiTest, AReloadIsAppliedRefusedOrWrong) {
  EXPECT_EQ(ask("POST", "/v1/reload").status, 200U);
  EXPECT_FALSE(reload_request.dry_run);
  report->refused = {"dataplane.cores: found 1, expected none as before"};
  EXPECT_EQ(ask("POST", "/v1/reload").status, 409U);
  report = invalid_argument("pop.yaml:3: pop: found nothing");
  EXPECT_EQ(ask("POST", "/v1/reload").status, 400U);
  report = unavailable("another reload is under way");
  EXPECT_EQ(ask("POST", "/v1/reload").status, 503U);
}

TEST_F(ControlApiTest, OnlyADryRunTakesText) {
  EXPECT_EQ(ask("POST", "/v1/reload?dry_run=1", "pop: x").status, 200U);
  EXPECT_TRUE(reload_request.dry_run);
  EXPECT_EQ(reload_request.text, "pop: x");
  EXPECT_EQ(ask("POST", "/v1/reload", "pop: x").status, 400U);
  EXPECT_EQ(ask("POST", "/v1/reload?dry_run=yes").status, 400U);
}

TEST_F(ControlApiTest, ACaptureIsStartedFetchedAndEnded) {
  EXPECT_EQ(ask("POST", "/v1/capture", R"({"verdicts":["forward"],"packets":5})").status, 200U);
  EXPECT_EQ(capture_request.packets, 5U);
  EXPECT_EQ(capture_request.snap_bytes, 256U) << "what is not said keeps its default";
  EXPECT_THAT(ask("GET", "/v1/capture").body, HasSubstr(R"("done":true,"missed":3)"));
  EXPECT_EQ(ask("DELETE", "/v1/capture").status, 200U);
  EXPECT_THAT(ask("PUT", "/v1/capture").body, HasSubstr("expected POST or GET or DELETE"));
  capture_status = already_exists("another one runs");
  EXPECT_EQ(ask("POST", "/v1/capture", "{}").status, 409U);
  capture_status = not_found("none runs");
  EXPECT_EQ(ask("GET", "/v1/capture").status, 404U);
}

}  // namespace
}  // namespace anypop::dataplane
