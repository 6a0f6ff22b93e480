// SPDX-License-Identifier: Apache-2.0
// The monitor's pages seen by those they are made for: a real Prometheus, and a real browser that watches a backend
// die, the withdrawal and the return.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <regex>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <boost/json/parse.hpp>
#include <gmock/gmock.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "bgpctl/event_log.h"
#include "daemon_fixture.h"
#include "dataplane_api/http_client.h"

namespace anypop::healthmon {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::uint16_t free_port() {
  boost::asio::io_context io;
  const boost::asio::ip::tcp::acceptor acceptor(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
  return acceptor.local_endpoint().port();
}

std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string output;
  std::array<char, 4096> chunk;
  for (std::size_t size = 0; (size = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) {
    output.append(chunk.data(), size);
  }
  ::pclose(pipe);
  return output;
}

// Every query of a Grafana dashboard, with its variables filled in.
void add_queries(const std::filesystem::path& file, std::vector<std::string>& queries) {
  const auto text = read_file(file);
  ASSERT_TRUE(text.ok()) << text.status();
  const boost::json::value dashboard = boost::json::parse(*text);
  for (const boost::json::value& panel : dashboard.at("panels").as_array()) {
    const boost::json::value* targets = panel.as_object().if_contains("targets");
    if (targets == nullptr) continue;
    for (const boost::json::value& target : targets->as_array()) {
      std::string query(target.at("expr").as_string());
      for (const auto& [variable, value] : {std::pair{"$pop", ".*"}, std::pair{"$service", ".*"},
                                            std::pair{"$announcement", ".*"}, std::pair{"$__rate_interval", "10s"}}) {
        for (std::size_t at = 0; (at = query.find(variable, at)) != std::string::npos;) {
          query.replace(at, std::string_view(variable).size(), value);
        }
      }
      queries.push_back(std::move(query));
    }
  }
}

std::vector<std::string> dashboard_queries() {
  std::vector<std::string> queries;
  for (const char* name : {"fleet.json", "pop.json", "service.json", "failover.json"}) {
    add_queries(std::filesystem::path(ANYPOP_DASHBOARDS) / name, queries);
  }
  EXPECT_GT(queries.size(), 40U);
  return queries;
}

class WebDaemon : public Daemon {
 protected:
  void SetUp() override {
    Daemon::SetUp();
    port_ = free_port();
    const auto text = read_file(config_.file);
    ASSERT_TRUE(text.ok());
    std::string with_secret = *text;
    const std::string path = "path: /,";
    with_secret.replace(with_secret.find(path), path.size(),
                        fmt::format("{} headers: [\"X-Token: {}\"],", path, kToken));
    ASSERT_TRUE(write_file_atomically(config_.file,
                                      with_secret + fmt::format("monitor: {{http_listen: \"127.0.0.1:{}\"}}\n", port_))
                    .ok());
    start_everything();
  }
  std::string get(const std::string& path) const {
    return output_of(fmt::format("curl -s --max-time 10 http://127.0.0.1:{}{}", port_, path));
  }
  static constexpr const char* kToken = "s3cr3t-of-the-backends";
  std::uint16_t port_ = 0;
};

TEST_F(WebDaemon, TheMetricsAreAsPrometheusWantsThem) {
  ASSERT_TRUE(wait_for("stats of the dataplane",
                       [&] { return get("/metrics").find("anypop_packets_total") != std::string::npos; }));
  const std::string check =
      output_of(fmt::format("curl -s http://127.0.0.1:{}/metrics | promtool check metrics 2>&1; echo $?", port_));
  EXPECT_EQ(check, "0\n");
  const std::string metrics = get("/metrics");
  for (const char* line :
       {"anypop_announcement_intended{announcement=\"web\"} 1", "anypop_announcement_in_table{announcement=\"web\"} 1",
        "anypop_backend_healthy{service=\"web4\",backend=\"b1\"} 1", "anypop_bird_up 1", "anypop_dataplane_up 1",
        "anypop_build_info{program=\"anypop-healthmon\",version=", "anypop_announcement_level{announcement=\"web\"} 2",
        "anypop_announcement_drift_total{announcement=\"web\"} 0",
        "anypop_service_withdraw_below_ratio{announcement=\"web\",service=\"web4\"} 0.5",
        "anypop_probe_duration_seconds_bucket{service=\"web4\"", "anypop_probe_start_delay_seconds_count",
        "anypop_events_total{event=\"verdict\"} 1", "anypop_service_healthy_ratio{service=\"web4\"} 1"}) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
  const auto over_unix = http_call(config_.monitor_socket(), {"GET", "/metrics", ""}, 5s);
  ASSERT_TRUE(over_unix.ok());
  EXPECT_THAT(over_unix->body, HasSubstr("anypop_bird_up 1"));
}

TEST_F(WebDaemon, ARealPrometheusScrapesWhatHappened) {
  const std::uint16_t port = free_port();
  ASSERT_TRUE(
      write_file_atomically(folder_ / "prometheus.yml",
                            fmt::format("global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n"
                                        "scrape_configs:\n  - job_name: anypop\n    static_configs: [{{targets: "
                                        "[\"127.0.0.1:{}\"]}}]\n",
                                        port_))
          .ok());
  const Child prometheus(
      {"/usr/bin/prometheus", "--config.file=" + (folder_ / "prometheus.yml").string(),
       "--storage.tsdb.path=" + (folder_ / "tsdb").string(), fmt::format("--web.listen-address=127.0.0.1:{}", port)},
      folder_ / "prometheus.log");
  const auto value = [&](const std::string& query) {
    const std::string answer = output_of(
        fmt::format("curl -s --max-time 5 --data-urlencode 'query={}' http://127.0.0.1:{}/api/v1/query", query, port));
    const auto at = answer.rfind(",\"");
    return at == std::string::npos ? "" : answer.substr(at + 2, answer.find('"', at + 2) - at - 2);
  };
  ASSERT_TRUE(wait_for("a scrape", [&] { return value("anypop_announcement_intended") == "1"; }));
  EXPECT_EQ(value("sum(anypop_backend_healthy)"), "2");
  stop_backends();
  ASSERT_TRUE(wait_for("the withdrawal", [&] { return value("anypop_announcement_intended") == "0"; }));
  EXPECT_EQ(value("sum(anypop_backend_healthy)"), "0");
  EXPECT_TRUE(wait_for("BIRD's table", [&] { return value("anypop_announcement_in_table") == "0"; }));
  for (const std::string& query : dashboard_queries()) {
    const std::string answer = output_of(
        fmt::format("curl -s --max-time 5 --data-urlencode query@- http://127.0.0.1:{}/api/v1/query <<'END'\n{}\nEND",
                    port, query));
    EXPECT_THAT(answer, testing::StartsWith("{\"status\":\"success\"")) << query;
  }
  EXPECT_TRUE(wait_for("the events", [&] { return value("anypop_events_total{event=\"verdict\"}") == "2"; }));
}

TEST_F(WebDaemon, ThePageIsWholeWithoutScriptAndSmall) {
  const std::string page = get("/");
  EXPECT_LT(page.size(), 150'000U);
  for (const char* text : {"<h1>PoP ams</h1>", "Every announcement is announced.", "every condition is good",
                           "2 of 2 healthy", "127.0.0.1", "198.51.100.0/24", "HTTP 200"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
  for (const char* text : {"http://", "https://", "src=", "@import"})
    EXPECT_EQ(page.find(text), std::string::npos) << text;
  EXPECT_THAT(output_of(fmt::format("curl -s -X POST http://127.0.0.1:{}/", port_)), HasSubstr("expected GET"));
  EXPECT_THAT(get("/v1/holds"), HasSubstr("error"));
  EXPECT_THAT(get("/v1/state"), HasSubstr("\"pop\":\"ams\""));
}

TEST_F(WebDaemon, OneServiceAloneAndTheStreamOfIt) {
  const std::string page = get("/?service=web4");
  EXPECT_THAT(page, HasSubstr("2 of 2 healthy"));
  EXPECT_THAT(page, HasSubstr("All services"));
  EXPECT_EQ(page.find("id=\"events\""), std::string::npos);
  EXPECT_THAT(get("/?service=nobody"), HasSubstr("There is no service of that name."));
  const std::string event = get("/status/stream?service=web4");
  EXPECT_THAT(event, testing::StartsWith("retry: "));
  EXPECT_THAT(event, HasSubstr("data: <section id=\"services\""));
  EXPECT_EQ(event.find("id=\"events\""), std::string::npos);
  EXPECT_THAT(get("/status/stream"), HasSubstr("id=\"events\""));
}

// What operators write into the log stands on the page too, and what was there before the monitor's start.
TEST_F(WebDaemon, ThePageShowsWhatOthersWroteIntoTheEventLog) {
  const bgpctl::EventLog log(config_.event_log(), "bgpctl");
  ASSERT_TRUE(log.append({{"event", "hold"},
                          {"announcement", "web"},
                          {"kind", "drain"},
                          {"who", "alice"},
                          {"reason", "disk <swap>"}})
                  .ok());
  EXPECT_TRUE(wait_for("the hold", [&] {
    return get("/").find("alice placed a drain hold on web: disk &lt;swap&gt;") != std::string::npos;
  }));
  EXPECT_THAT(get("/"), HasSubstr("web is announced in BIRD, which took "));
}

TEST_F(WebDaemon, NoSecretIsToldAndEveryLineOfTheLogHasLevelAndEvent) {
  stop_backends();
  ASSERT_TRUE(wait_for_level(false));
  start_backends();
  ASSERT_TRUE(wait_for_level(true));
  std::string told;
  for (const char* path : {"/", "/v1/state", "/metrics", "/status/stream"}) told += get(path);
  const std::string log = read_file(folder_ / "monitor.log").value_or("");
  told += log + read_file(config_.event_log()).value_or("");
  EXPECT_GT(told.size(), 10'000U);
  EXPECT_EQ(told.find(kToken), std::string::npos);
  EXPECT_EQ(told.find("8f0c1d2e3b4a59687786a5b4c3d2e1f0"), std::string::npos) << "the hash_key";
  const std::regex line(
      R"re(time=\S+Z level=(info|warning|error) event=[a-z-]+( [a-z0-9_]+=("([^"\\]|\\.)*"|[^\s"=]+))*)re");
  ASSERT_FALSE(log.empty());
  for (const std::string_view one : split(std::string_view(log).substr(0, log.size() - 1), '\n')) {
    EXPECT_TRUE(std::regex_match(std::string(one), line)) << one;
  }
  EXPECT_TRUE(std::regex_search(log, std::regex("level=warning event=verdict announcement=web announce=false")));
  EXPECT_TRUE(std::regex_search(log, std::regex("level=warning event=backend service=web4 backend=b1 healthy=false")));
}

TEST_F(WebDaemon, ABrowserSeesABackendDieTheWithdrawalAndTheReturn) {
  const std::filesystem::path log = folder_ / "browser.log";
  Child browser({"/usr/bin/python3", ANYPOP_BROWSER, fmt::format("http://127.0.0.1:{}/", port_), folder_.string(),
                 "Every announcement is announced.*2 of 2 healthy", "1 of 2 healthy.*connection refused",
                 "withdrawn.*0 of 2 healthy", "Every announcement is announced.*2 of 2 healthy"},
                log);
  const auto seen = [&](int number) {
    // Chromium takes its time to start on a busy machine.
    for (const auto deadline = std::chrono::steady_clock::now() + 70s; std::chrono::steady_clock::now() < deadline;) {
      const auto text = read_file(log);
      if (text.ok() && text->find(fmt::format("seen {}\n", number)) != std::string::npos) return true;
      if (browser.poll()) return false;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  };
  ASSERT_TRUE(seen(1)) << read_file(log).value_or("");
  backend_thread_->run([this] {
    backends_[0]->close();
    backends_.erase(backends_.begin());
  });
  ASSERT_TRUE(seen(2)) << read_file(log).value_or("");
  stop_backends();
  ASSERT_TRUE(seen(3)) << read_file(log).value_or("");
  start_backends();
  ASSERT_TRUE(seen(4)) << read_file(log).value_or("");
  ASSERT_TRUE(wait_for("the browser's end", [&] { return browser.poll().has_value(); }));
  EXPECT_EQ(browser.poll(), 0) << read_file(log).value_or("");
  if (const char* keep = std::getenv("ANYPOP_SCREENSHOTS"); keep != nullptr) {
    for (const auto& file : std::filesystem::directory_iterator(folder_)) {
      if (file.path().extension() == ".png") {
        std::filesystem::copy_file(file, std::filesystem::path(keep) / file.path().filename(),
                                   std::filesystem::copy_options::overwrite_existing);
      }
    }
  }
}

}  // namespace
}  // namespace anypop::healthmon
