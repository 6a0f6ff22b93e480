// SPDX-License-Identifier: Apache-2.0
#include "healthmon/api.h"

#include <chrono>
#include <fstream>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "bgpctl/event_log.h"
#include "bgpctl/holds.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What a stream was sent, and whether its reader is still there.
struct FakeStream : HttpStream {
  bool send(std::string_view text) override {
    if (here) got += text;
    return here;
  }
  bool is_open() const override { return here; }
  std::string got;
  bool here = true;
};

class ApiTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "api_XXXXXX";
    folder_ = ::mkdtemp(name.data());
    config_.file = "/etc/anypop/pop.yaml";
    config_.run_dir = folder_ / "run";
    config_.state_dir = folder_ / "state";
    for (const char* announcement : {"web", "dns"}) {
      AnnouncementConfig added;
      added.name = announcement;
      added.prefixes = {*IpPrefix::parse("198.51.100.0/24")};
      config_.announcements.push_back(added);
    }
    api_.emplace(io_, Api::Sources{.config = [this]() -> const PopConfig& { return config_; },
                                   .unix_ms = [this] { return now_; },
                                   .record = [this](const json::object& event) { recorded_.push_back(event); },
                                   .holds_changed = [this] { ++changes_; },
                                   .reload = [this] { return reload_; }});
  }
  void TearDown() override {
    api_.reset();
    std::filesystem::remove_all(folder_);
  }

  HttpResponse ask(const std::string& method, const std::string& target, const std::string& body = "",
                   Role role = Role::kOperator) {
    HttpResponse got{599, "not answered"};
    const HttpRequest request{method, target, body, HttpPeer{1, ::getuid(), ::getgid()}};
    api_->answer(request, role, [&](HttpResponse response) { got = std::move(response); });
    return got;
  }
  static json::object parsed(const HttpResponse& response) { return json::parse(response.body).as_object(); }
  static std::string error(const HttpResponse& response) {
    return std::string(parsed(response).at("error").as_string());
  }
  std::optional<bgpctl::Hold> hold(std::string_view name) { return *bgpctl::load_hold(config_, name, now_); }

  std::shared_ptr<FakeStream> stream(const std::string& target, const std::string& last_event_id = "") {
    std::shared_ptr<FakeStream> made = std::make_shared<FakeStream>();
    HttpRequest request{"GET", target, ""};
    request.last_event_id = last_event_id;
    api_->answer(request, Role::kReader, [&](HttpResponse response) {
      EXPECT_EQ(response.status, 200U) << response.body;
      EXPECT_EQ(response.content_type, "text/event-stream");
      if (response.stream) response.stream(made);
    });
    return made;
  }
  bool wait_for(const std::function<bool()>& fact) {
    for (const auto end = std::chrono::steady_clock::now() + 10s; !fact();) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.restart();
      io_.run_one_for(10ms);
    }
    return true;
  }
  void log(const std::string& event, const std::string& announcement, std::int64_t unix_ns) {
    const bgpctl::EventLog log(config_.event_log(), "bgpctl", [=] { return unix_ns; });
    ASSERT_TRUE(log.append({{"event", event}, {"announcement", announcement}}).ok());
  }

  boost::asio::io_context io_;
  std::filesystem::path folder_;
  PopConfig config_;
  std::int64_t now_ = 1'795'184'777'000;
  std::vector<json::object> recorded_;
  int changes_ = 0;
  absl::Status reload_;
  std::optional<Api> api_;
};

TEST_F(ApiTest, PlacesListsAndReleasesHolds) {
  EXPECT_THAT(parsed(ask("GET", "/v1/holds")).at("holds").as_array(), IsEmpty());
  const auto placed =
      ask("POST", "/v1/holds", R"({"announcements":["web"],"kind":"withdraw","reason":"ticket 42","for":"30m"})");
  ASSERT_EQ(placed.status, 200U) << placed.body;
  ASSERT_TRUE(hold("web").has_value());
  EXPECT_EQ(hold("web")->reason, "ticket 42");
  EXPECT_EQ(hold("web")->expires_unix_ms, now_ + 30 * 60'000);
  EXPECT_EQ(hold("web")->who, ::getuid() == 0 ? "root" : hold("web")->who) << "by the kernel's word";
  EXPECT_FALSE(hold("dns").has_value());
  EXPECT_EQ(changes_, 1);
  ASSERT_EQ(recorded_.size(), 1U);
  EXPECT_EQ(recorded_[0].at("event").as_string(), "hold");
  EXPECT_EQ(recorded_[0].at("announcement").as_string(), "web");
  EXPECT_EQ(recorded_[0].at("reason").as_string(), "ticket 42");

  const json::object listed = parsed(ask("GET", "/v1/holds", "", Role::kReader));
  ASSERT_EQ(listed.at("holds").as_array().size(), 1U);
  EXPECT_EQ(listed.at("holds").at(0).at("announcement").as_string(), "web");

  EXPECT_TRUE(parsed(ask("DELETE", "/v1/holds/web")).at("released").as_bool());
  EXPECT_FALSE(hold("web").has_value());
  EXPECT_FALSE(parsed(ask("DELETE", "/v1/holds/web")).at("released").as_bool());
  ASSERT_EQ(recorded_.size(), 2U) << "nothing was released the second time";
  EXPECT_EQ(recorded_[1].at("event").as_string(), "release");
}

TEST_F(ApiTest, ADryRunSaysWhatWouldBeSentAndDoesNothing) {
  const auto answer =
      ask("POST", "/v1/holds", R"({"announcements":["web","dns"],"kind":"drain","reason":"x","dry_run":true})");
  const json::object body = parsed(answer);
  EXPECT_TRUE(body.at("dry_run").as_bool());
  ASSERT_EQ(body.at("holds").as_array().size(), 2U);
  EXPECT_THAT(json::serialize(body.at("holds").at(0).at("commands")), HasSubstr("enable \\\"anypop_web_v4_drain\\\""));
  EXPECT_FALSE(hold("web").has_value());
  EXPECT_FALSE(std::filesystem::exists(config_.holds_dir()));
  EXPECT_THAT(recorded_, IsEmpty());
  EXPECT_EQ(changes_, 0);
}

TEST_F(ApiTest, AReaderGivesNoOrders) {
  const std::string order = R"({"announcements":["web"],"kind":"withdraw","reason":"x"})";
  const auto refused = ask("POST", "/v1/holds", order, Role::kReader);
  EXPECT_EQ(refused.status, 403U);
  EXPECT_THAT(error(refused), HasSubstr("healthmon.sock"));
  EXPECT_FALSE(hold("web").has_value());
  ask("POST", "/v1/holds", order);
  EXPECT_EQ(ask("DELETE", "/v1/holds/web", "", Role::kReader).status, 403U);
  EXPECT_TRUE(hold("web").has_value());
}

TEST_F(ApiTest, ABadOrderIsOneLineAndNothingIsDone) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "found no JSON object"},
      {"[]", "found no JSON object"},
      {R"({"kind":"withdraw","reason":"x"})", "announcements: expected"},
      {R"({"announcements":[],"kind":"withdraw","reason":"x"})", "announcements: expected"},
      {R"({"announcements":"web","kind":"withdraw","reason":"x"})", "announcements: expected"},
      {R"({"announcements":["web"],"reason":"x"})", "kind: expected"},
      {R"({"announcements":["web"],"kind":"sideways","reason":"x"})", "kind: found 'sideways'"},
      {R"({"announcements":["web"],"kind":"withdraw"})", "reason: expected"},
      {R"({"announcements":["web"],"kind":"withdraw","reason":""})", "reason: found no reason"},
      {R"({"announcements":["web"],"kind":"withdraw","reason":"a\nb"})", "control characters"},
      {R"({"announcements":["web"],"kind":"withdraw","reason":"x","for":"soon"})", "for: found 'soon'"},
      {R"({"announcements":["web"],"kind":"withdraw","reason":"x","fro":"2h"})", "found key 'fro'"},
      {R"({"announcements":["web"],"kind":"withdraw","reason":"x","dry_run":1})", "dry_run: expected"},
  };
  for (const auto& [body, says] : cases) {
    const auto answer = ask("POST", "/v1/holds", body);
    EXPECT_EQ(answer.status, 400U) << body;
    EXPECT_THAT(error(answer), HasSubstr(says)) << body;
  }
  const auto unknown = ask("POST", "/v1/holds", R"({"announcements":["web","nope"],"kind":"withdraw","reason":"x"})");
  EXPECT_EQ(unknown.status, 404U);
  EXPECT_THAT(error(unknown), HasSubstr("'nope'"));
  EXPECT_FALSE(hold("web").has_value()) << "all or nothing";
  EXPECT_EQ(ask("DELETE", "/v1/holds/../../etc/passwd").status, 404U);
  EXPECT_EQ(ask("DELETE", "/v1/holds/").status, 404U);
  EXPECT_EQ(ask("PUT", "/v1/holds").status, 405U);
  EXPECT_EQ(ask("POST", "/v1/holds/web").status, 405U);
  EXPECT_EQ(ask("POST", "/v1/events").status, 405U);
  EXPECT_EQ(ask("GET", "/v1/holdsx").status, 599U) << "somebody else's";
}

TEST_F(ApiTest, AnUnreadableHoldIsListedAndCanBeReleased) {
  ask("POST", "/v1/holds", R"({"announcements":["web"],"kind":"withdraw","reason":"x"})");
  ASSERT_TRUE(write_file_atomically(config_.holds_dir() / "web.json", "{").ok());
  const json::object listed = parsed(ask("GET", "/v1/holds"));
  ASSERT_EQ(listed.at("errors").as_array().size(), 1U);
  EXPECT_THAT(std::string(listed.at("errors").at(0).as_string()), HasSubstr("web.json"));
  EXPECT_TRUE(parsed(ask("DELETE", "/v1/holds/web")).at("released").as_bool());
}

TEST_F(ApiTest, EventsAreToldAsTheyAreWritten) {
  log("before", "web", 1000);
  const auto all = stream("/v1/events");
  const auto web = stream("/v1/events?announcement=web");
  log("hold", "web", 2000);
  log("hold", "dns", 3000);
  log("dataplane", "", 4000);
  ASSERT_TRUE(wait_for([&] { return all->got.find("dataplane") != std::string::npos; }));
  EXPECT_EQ(all->got.find("before"), std::string::npos) << "what was before is only told when asked for";
  EXPECT_THAT(all->got, HasSubstr("id: 2000\nevent: hold\ndata: {\"time\":"));
  EXPECT_THAT(all->got, HasSubstr("id: 3000\n"));
  ASSERT_TRUE(wait_for([&] { return web->got.find("dataplane") != std::string::npos; }));
  EXPECT_EQ(web->got.find("id: 3000"), std::string::npos);
}

TEST_F(ApiTest, WhoComesBackHearsWhatItMissed) {
  for (int i = 1; i <= 5; ++i) log("hold", "web", i * 1000);
  EXPECT_THAT(stream("/v1/events?after=3000")->got, testing::AllOf(HasSubstr("id: 4000\n"), HasSubstr("id: 5000\n")));
  EXPECT_EQ(stream("/v1/events?after=3000")->got.find("id: 3000"), std::string::npos);
  const auto again = stream("/v1/events", "4000");
  EXPECT_EQ(again->got.find("id: 4000"), std::string::npos);
  EXPECT_THAT(again->got, HasSubstr("id: 5000\n"));
  log("hold", "web", 6000);
  ASSERT_TRUE(wait_for([&] { return again->got.find("id: 6000") != std::string::npos; }));
  EXPECT_EQ(again->got.find("id: 5000"), again->got.rfind("id: 5000")) << "each event once";
  EXPECT_EQ(ask("GET", "/v1/events?after=yesterday").status, 400U);
  EXPECT_EQ(ask("GET", "/v1/events?announcement=nope").status, 404U);
}

TEST_F(ApiTest, AStreamGoesOnThroughARotationAndAReaderThatLeftIsForgotten) {
  log("hold", "web", 1000);
  const auto here = stream("/v1/events");
  const auto gone = stream("/v1/events");
  gone->here = false;
  const std::string path = config_.event_log().string();
  std::filesystem::rename(path, path + ".1");
  log("hold", "web", 2000);
  ASSERT_TRUE(wait_for([&] { return here->got.find("id: 2000") != std::string::npos; }));
  EXPECT_EQ(gone.use_count(), 1) << "nobody else keeps it";
  here->here = false;
  log("hold", "web", 3000);
  ASSERT_TRUE(wait_for([&] { return here.use_count() == 1; }));
}

TEST_F(ApiTest, LinesThatAreNoEventsAreNotTold) {
  log("hold", "web", 1000);
  const auto reader = stream("/v1/events");
  std::ofstream(config_.event_log(), std::ios::app) << "garbage\n{}\n"
                                                    << R"({"event":"a\nb","unix_ns":5})"
                                                    << "\n"
                                                    << R"({"event":"x","unix_ns":"1"})"
                                                    << "\n";
  log("hold", "web", 2000);
  ASSERT_TRUE(wait_for([&] { return reader->got.find("id: 2000") != std::string::npos; }));
  EXPECT_EQ(reader->got.find("garbage"), std::string::npos);
  EXPECT_EQ(reader->got.find("id: 5\n"), std::string::npos);
}

TEST_F(ApiTest, AReloadSaysWhatCameOfIt) {
  EXPECT_EQ(parsed(ask("POST", "/v1/reload")).at("reloaded").as_string(), "/etc/anypop/pop.yaml");
  reload_ = absl::InvalidArgumentError("pop.yaml:3: found x, expected y");
  EXPECT_EQ(ask("POST", "/v1/reload").status, 400U);
  EXPECT_EQ(error(ask("POST", "/v1/reload")), "pop.yaml:3: found x, expected y");
  reload_ = absl::FailedPreconditionError("pop: found another value");
  EXPECT_EQ(ask("POST", "/v1/reload").status, 409U);
  EXPECT_EQ(ask("GET", "/v1/reload").status, 405U);
  EXPECT_EQ(ask("POST", "/v1/reload", "", Role::kReader).status, 403U);
}

}  // namespace
}  // namespace anypop::healthmon
