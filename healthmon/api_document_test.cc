// SPDX-License-Identifier: Apache-2.0
// API.md against the program: its paths, its roles, its fields and its examples.
#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "bgpctl/holds.h"
#include "daemon_fixture.h"
#include "dataplane_api/http_client.h"
#include "event_sentence.h"
#include "healthmon/api.h"

namespace anypop::healthmon {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using Names = std::set<std::string>;

struct Route {
  std::string method;
  std::string path;
  std::string role;
};

std::string page() { return read_file(ANYPOP_API_PAGE).value_or(""); }

std::vector<Route> documented_routes() {
  std::vector<Route> routes;
  std::istringstream lines(page());
  const std::regex row(R"(\| ([A-Z]+) \| `([^`]+)` \| (reader|operator) \|.*)");
  std::smatch match;
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_match(line, match, row)) routes.push_back({match[1], match[2], match[3]});
  }
  return routes;
}

// The first words of the lines of the block "```fields WHAT".
Names documented_fields(const std::string& what) {
  Names fields;
  std::istringstream lines(page());
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "```fields " + what) {
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      fields.insert(line.substr(0, line.find(' ')));
    }
  }
  return fields;
}

std::vector<std::string> documented_commands() {
  std::vector<std::string> commands;
  std::istringstream lines(page());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("$ curl ")) commands.push_back(line.substr(2));
  }
  return commands;
}

// "announcements[].hold.kind": the paths of everything that is no object, and no list of objects.
void collect(const json::value& value, const std::string& path, Names& names) {
  if (const json::object* object = value.if_object()) {
    for (const auto& [key, entry] : *object) {
      collect(entry, path.empty() ? std::string(key) : path + "." + std::string(key), names);
    }
    return;
  }
  const json::array* list = value.if_array();
  const bool of_objects = list != nullptr && !list->empty() && list->front().is_object();
  if (!of_objects) {
    names.insert(path);
    return;
  }
  for (const json::value& entry : *list) collect(entry, path + "[]", names);
}

Names fields_of(const json::value& value) {
  Names names;
  collect(value, "", names);
  return names;
}

// What is null or empty in this state stands for what is below it.
Names without_prefixes(const Names& wanted, const Names& found) {
  Names missing;
  for (const std::string& name : wanted) {
    bool is_there = found.contains(name);
    for (std::size_t at = 0; !is_there && (at = name.find_first_of(".[", at + 1)) != std::string::npos;) {
      is_there = found.contains(name.substr(0, at));
    }
    if (!is_there) missing.insert(name);
  }
  return missing;
}

class ApiDocument : public Daemon {
 protected:
  HttpResponse ask_at(const std::filesystem::path& socket, const std::string& method, const std::string& path,
                      const std::string& body = "") const {
    const auto answer = http_call(socket, {method, path, body}, 5s);
    return answer.ok() ? *answer : HttpResponse{599, std::string(message(answer.status()))};
  }
  HttpResponse ask(const std::string& method, const std::string& path, const std::string& body = "") const {
    return ask_at(config_.monitor_socket(), method, path, body);
  }
  void expect_fields(const std::string& what, const json::value& found) const {
    const Names documented = documented_fields(what);
    EXPECT_FALSE(documented.empty()) << what;
    EXPECT_THAT(without_prefixes(documented, fields_of(found)), testing::IsEmpty()) << what << ": not served";
    for (const std::string& name : without_prefixes(fields_of(found), documented)) {
      const bool below = std::any_of(documented.begin(), documented.end(), [&](const std::string& field) {
        return field.starts_with(name + ".") || field.starts_with(name + "[");
      });
      EXPECT_TRUE(below) << what << ": " << name << " is not in API.md";
    }
  }
};

TEST_F(ApiDocument, EveryPathIsThereForThoseWhoMayUseIt) {
  start_everything();
  const std::string served = ask("GET", "/nothing").body;
  const auto routes = documented_routes();
  ASSERT_EQ(routes.size(), 9U);
  for (const Route& route : routes) {
    EXPECT_THAT(served, testing::HasSubstr(route.path)) << "in API.md, and the server does not name it";
    if (route.path.ends_with("stream") || route.path == "/v1/events") continue;  // they do not end
    const std::string path = std::regex_replace(route.path, std::regex("NAME"), "web");
    // An empty order is a bad one; a reload needs none.
    const unsigned expected = route.method == "POST" && path != "/v1/reload" ? 400 : 200;
    EXPECT_EQ(ask(route.method, path).status, expected) << route.method << " " << path;
    const unsigned reader = route.role == "operator" ? 403 : 200;
    EXPECT_EQ(ask_at(read_only_socket(config_), route.method, path).status, reader) << route.method << " " << path;
  }
  // And whatever the server says that it serves is in the page.
  std::string list = std::string(json::parse(served).at("error").as_string());
  list = list.substr(list.find("one of ") + 7);
  for (std::string_view word : split(list, ' ')) {
    if (word.ends_with(',')) word.remove_suffix(1);
    if (!word.starts_with('/')) continue;
    EXPECT_TRUE(std::any_of(routes.begin(), routes.end(), [&](const Route& route) { return route.path == word; }))
        << word << " is served, and not in API.md";
  }
}

TEST_F(ApiDocument, EveryFieldIsDocumentedAndServed) {
  start_everything();
  const auto placed = ask("POST", "/v1/holds", R"({"announcements":["web"],"kind":"drain","reason":"x","for":"1h"})");
  ASSERT_EQ(placed.status, 200U) << placed.body;
  expect_fields("POST /v1/holds", json::parse(placed.body));
  expect_fields("GET /v1/holds", json::parse(ask("GET", "/v1/holds").body));
  ASSERT_TRUE(wait_for_level(bgpctl::Level::kDrained)) << "the monitor acts on it";
  EXPECT_EQ(cause(), "held drained by root: x; every condition is good");
  expect_fields("GET /v1/state", state());
  expect_fields("DELETE /v1/holds/web", json::parse(ask("DELETE", "/v1/holds/web").body));
  ASSERT_TRUE(wait_for_level(true));
  EXPECT_EQ(events("hold").size(), 1U);
  EXPECT_EQ(events("release").size(), 1U);
  EXPECT_EQ(events("release")[0].at("by").as_string(), "healthmon");
}

TEST_F(ApiDocument, EveryExampleWorksAsItStands) {
  start_everything();
  const auto commands = documented_commands();
  ASSERT_GE(commands.size(), 7U);
  for (std::string command : commands) {
    for (std::size_t at = 0; (at = command.find("/run/anypop", at)) != std::string::npos;) {
      command.replace(at, std::string_view("/run/anypop").size(), config_.run_dir.string());
    }
    const bool stream = command.find("/v1/events") != std::string::npos;
    FILE* pipe = ::popen((command + (stream ? " --max-time 1" : " --max-time 5 --fail")).c_str(), "r");
    std::string output;
    std::array<char, 4096> chunk;
    for (std::size_t size = 0; (size = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) {
      output.append(chunk.data(), size);
    }
    const int code = WEXITSTATUS(::pclose(pipe));
    constexpr int kTimeIsOver = 28;
    EXPECT_EQ(code, stream ? kTimeIsOver : 0) << command << "\n" << output;
    if (stream) {
      EXPECT_THAT(output, testing::StartsWith(": the event log")) << command;
    } else {
      json::error_code error;
      json::parse(output, error);
      EXPECT_FALSE(error) << command << "\n" << output;
    }
    if (command.find("after=0") != std::string::npos) {
      EXPECT_THAT(output, testing::HasSubstr("event: release\ndata: {")) << "what was before is told";
    }
  }
}

TEST_F(ApiDocument, EveryEventThatIsWrittenIsDocumented) {
  start_everything();
  ask("POST", "/v1/holds", R"({"announcements":["web"],"kind":"withdraw","reason":"x"})");
  ASSERT_TRUE(wait_for_level(false));
  ask("DELETE", "/v1/holds/web");
  ASSERT_TRUE(wait_for_level(true));
  bird("disable \"anypop_web_v4\"");
  ASSERT_TRUE(wait_for("drift", [this] { return !events("drift").empty(); }));
  stop_dataplane();
  ASSERT_TRUE(wait_for_level(false));
  stop_backends();
  ASSERT_TRUE(wait_for("the backends", [this] { return events("backend").size() >= 4; }));
  std::ifstream log(config_.event_log());
  const std::string text = page();
  for (std::string line; std::getline(log, line);) {
    const json::object event = json::parse(line).as_object();
    const std::string name(event.at("event").as_string());
    const std::regex row(fmt::format(R"(\| [^|]*`{}`[^|]*\|[^\n]*)", name));
    std::smatch match;
    ASSERT_TRUE(std::regex_search(text, match, row)) << name;
    for (const auto& [key, value] : event) {
      const std::string word(key);
      if (word == "time" || word == "unix_ns" || word == "by" || word == "event") continue;
      if (word == "over") {
        EXPECT_THAT(text, testing::HasSubstr("`over: api`"));
        continue;
      }
      EXPECT_THAT(match.str(), testing::HasSubstr("`" + word + "`")) << name << ": " << line;
    }
  }
}

TEST(ApiDocumentEvents, EachHasASentenceForPeople) {
  std::istringstream lines(page());
  const std::regex row(R"(\| (`[a-z-]+`(, `[a-z-]+`)*) \| [^|]* \| [^|]*\|)");
  const std::regex word(R"(`([a-z-]+)`)");
  std::smatch match;
  std::size_t count = 0;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) inside = line == "## Events";
    if (!inside || !std::regex_match(line, match, row)) continue;
    const std::string names = match[1];
    for (std::sregex_iterator name(names.begin(), names.end(), word), end; name != end; ++name, ++count) {
      const std::string event = (*name)[1];
      EXPECT_THAT(event_sentence({{"event", event}, {"kept", true}}), testing::Not(testing::StartsWith("event=")))
          << event;
    }
  }
  EXPECT_GT(count, 25U);
}

TEST_F(ApiDocument, TheSocketsAreTheirGroups) {
  start_everything();
  using std::filesystem::perms;
  for (const auto& socket : {config_.monitor_socket(), read_only_socket(config_)}) {
    const perms mode = std::filesystem::status(socket).permissions();
    EXPECT_EQ(mode & perms::others_all, perms::none) << socket;
    EXPECT_EQ(mode & perms::group_write, perms::group_write) << socket;
  }
  monitor_->signal(SIGTERM);
  ASSERT_TRUE(wait_for("it ended", [this] { return monitor_->poll().has_value(); }));
  EXPECT_FALSE(std::filesystem::exists(read_only_socket(config_)));
}

}  // namespace
}  // namespace anypop::healthmon
