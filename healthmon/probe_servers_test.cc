// SPDX-License-Identifier: Apache-2.0
// Probes against the real thing: nginx with and without TLS, NSD, and Debian's gRPC.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <gmock/gmock.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/text.h"
#include "daemon_fixture.h"
#include "probe_fixture.h"

namespace anypop::healthmon {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

class RealServers : public ProbeRunner {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "probe_servers_XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  void TearDown() override {
    server_.reset();
    if (HasFailure()) std::puts(text_of("log").c_str());
    std::filesystem::remove_all(folder_);
  }

  static std::uint16_t free_port() {
    boost::asio::io_context io;
    const boost::asio::ip::tcp::acceptor acceptor(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
    return acceptor.local_endpoint().port();
  }
  void write(const std::string& file, const std::string& text) {
    ASSERT_TRUE(write_file_atomically(folder_ / file, text).ok());
  }
  std::string text_of(const std::string& file) const {
    std::ifstream in(folder_ / file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void start(const std::vector<std::string>& command, const std::function<bool()>& ready) {
    server_.emplace(command, folder_ / "log");
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!ready()) {
      ASSERT_FALSE(server_->poll()) << "the server has ended";
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the server does not answer";
      std::this_thread::sleep_for(10ms);
    }
  }
  std::string path(const std::string& file) const { return (folder_ / file).string(); }

  void make_certificate(const std::string& name, const std::string& names) {
    const std::string command = fmt::format(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {0}.key -out {0}.pem "
        "-days 2 -subj /CN=test -addext subjectAltName={1} 2>/dev/null",
        path(name), names);
    ASSERT_EQ(std::system(command.c_str()), 0);
  }

  std::filesystem::path folder_;
  std::optional<Child> server_;
};

class Nginx : public RealServers {
 protected:
  void SetUp() override {
    RealServers::SetUp();
    make_certificate("good", "DNS:www.example.com,IP:198.51.100.1");
    make_certificate("other", "DNS:other.example.com");
    port_ = free_port();
    tls_port_ = free_port();
    write("nginx.conf", fmt::format(R"(daemon off; master_process off; pid {0}/pid; error_log stderr; events {{}}
http {{
  access_log {0}/access.log; client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c;
  uwsgi_temp_path {0}/d; scgi_temp_path {0}/e;
  server {{
    listen 127.0.0.1:{1};
    location /ok {{ return 200 "all is well\n"; }}
    location /busy {{ return 503; }}
    location /host {{ return 200 "$host $http_x_probe"; }}
  }}
  server {{
    listen 127.0.0.1:{2} ssl default_server; server_name www.example.com;
    ssl_certificate {0}/good.pem; ssl_certificate_key {0}/good.key;
    location / {{ return 200 "$ssl_server_name"; }}
  }}
  server {{
    listen 127.0.0.1:{2} ssl; server_name other.example.com;
    ssl_certificate {0}/other.pem; ssl_certificate_key {0}/other.key;
    location / {{ return 200 "$ssl_server_name"; }}
  }}
}}
)",
                                    folder_.string(), port_, tls_port_));
    start({"/usr/sbin/nginx", "-c", path("nginx.conf"), "-e", "stderr"}, [this] { return http("/ok").ok; });
  }
  ProbeResult http(const std::string& http_path, HttpProbeConfig config = {}) {
    config.path = http_path;
    return run({.type = ProbeType::kHttp, .port = port_, .timeout_ms = 5000, .http = config}, "127.0.0.1", "web.test");
  }
  ProbeResult https(TlsProbeConfig tls, const std::string& host, const std::string& expected_body = "") {
    tls.enabled = true;
    return run({.type = ProbeType::kHttps,
                .port = tls_port_,
                .timeout_ms = 5000,
                .http = {.expected_body = expected_body},
                .tls = std::move(tls)},
               "127.0.0.1", host);
  }
  std::uint16_t port_ = 0;
  std::uint16_t tls_port_ = 0;
};

TEST_F(Nginx, Http) {
  EXPECT_TRUE(http("/ok", {.expected_body = "^all is"}).ok);
  EXPECT_EQ(http("/busy").cause, "HTTP 503, expected 200");
  EXPECT_TRUE(http("/busy", {.expected_status = {{200, 299}, {503, 503}}}).ok);
  EXPECT_EQ(http("/missing", {.expected_status = {{200, 299}, {304, 304}}}).cause, "HTTP 404, expected 200-299 or 304");
  EXPECT_TRUE(http("/host", {.headers = {"X-Probe: seven"}, .expected_body = "^web.test seven$"}).ok);
  EXPECT_TRUE(http("/ok", {.method = "HEAD"}).ok);
  EXPECT_THAT(text_of("access.log"), HasSubstr("anypop-healthmon/"));
}

TEST_F(Nginx, TlsIsVerifiedUnlessToldNotTo) {
  EXPECT_TRUE(https({.verify = false}, "www.example.com").ok);
  EXPECT_THAT(https({}, "www.example.com").cause, StartsWith("TLS certificate: self")) << "not in the system's store";
  EXPECT_TRUE(https({.ca_file = path("good.pem")}, "www.example.com", "^www.example.com$").ok) << "SNI is the host";
  EXPECT_TRUE(https({.ca_file = path("good.pem")}, "198.51.100.1", "^$").ok) << "an address is no server name";
  EXPECT_EQ(https({.ca_file = path("good.pem")}, "wrong.example.com").cause,
            "TLS certificate: not for wrong.example.com");
  EXPECT_TRUE(
      https({.ca_file = path("other.pem"), .server_name = "other.example.com"}, "www.example.com", "^other").ok);
  const auto unreadable = probe_tls({.enabled = true, .ca_file = path("none.pem")});
  EXPECT_THAT(std::string(message(unreadable.status())), HasSubstr("none.pem"));
}

class Nsd : public RealServers {
 protected:
  void SetUp() override {
    RealServers::SetUp();
    port_ = free_port();
    std::string zone =
        "$ORIGIN example.com.\n$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n@ MX 10 mail\n"
        "www A 192.0.2.1\nwww A 192.0.2.2\nwww AAAA 2001:db8::1\nalias CNAME www\ntext TXT \"Hello\" \"World\"\n";
    for (int i = 0; i < 200; ++i) zone += fmt::format("many A 10.0.0.{}\n", i);
    write("zone", zone);
    write("nsd.conf",
          fmt::format(
              "server:\n  ip-address: 127.0.0.1@{1}\n  username: \"\"\n  database: \"\"\n  zonesdir: {0}\n"
              "  pidfile: \"\"\n  xfrdfile: {0}/xfrd\n  xfrdir: {0}\n  zonelistfile: {0}/list\n  rrl-ratelimit: 0\n"
              "  server-count: 1\nremote-control:\n  control-enable: no\nzone:\n  name: example.com\n"
              "  zonefile: zone\n",
              folder_.string(), port_));
    start({"/usr/sbin/nsd", "-d", "-c", path("nsd.conf")},
          [this] { return ask({.name = "example.com"}).cause == "NOERROR"; });
  }
  void TearDown() override {
    // NSD's children outlive a SIGKILL of their parent.
    if (server_) server_->signal(SIGTERM);
    for (int i = 0; server_ && !server_->poll() && i < 500; ++i) std::this_thread::sleep_for(10ms);
    RealServers::TearDown();
  }
  ProbeResult ask(DnsProbeConfig dns) {
    return run({.type = ProbeType::kDns, .port = port_, .timeout_ms = 1000, .dns = std::move(dns)});
  }
  std::uint16_t port_ = 0;
};

TEST_F(Nsd, AnswersByNameTypeAndCode) {
  EXPECT_EQ(ask({.name = "www.example.com", .type = 1, .expected_answer = "192.0.2.2"}).cause, "NOERROR, 192.0.2.2");
  EXPECT_EQ(ask({.name = "WWW.example.com", .type = 28, .expected_answer = "2001:DB8::1"}).cause,
            "NOERROR, 2001:db8::1");
  EXPECT_FALSE(ask({.name = "www.example.com", .type = 1, .expected_answer = "192.0.2.3"}).ok);
  EXPECT_TRUE(ask({.name = "alias.example.com", .type = 5, .expected_answer = "www.example.com."}).ok);
  EXPECT_TRUE(ask({.name = "text.example.com", .type = 16, .expected_answer = "HelloWorld"}).ok);
  EXPECT_TRUE(ask({.name = "example.com", .type = 15, .expected_answer = "10 mail.example.com"}).ok);
  EXPECT_TRUE(ask({.name = "example.com", .type = 6, .expected_answer = "ns.example.com"}).ok);
  EXPECT_TRUE(ask({.name = "none.example.com", .type = 1, .rcode = 3}).ok);
  EXPECT_EQ(ask({.name = "none.example.com", .type = 1}).cause, "NXDOMAIN, expected NOERROR");
  EXPECT_TRUE(ask({.name = "example.org", .type = 1, .rcode = 5}).ok) << "REFUSED";
}

TEST_F(Nsd, ATruncatedAnswerIsAskedForOverTcp) {
  EXPECT_EQ(ask({.name = "many.example.com", .type = 1, .expected_answer = "10.0.0.199"}).cause, "NOERROR, 10.0.0.199");
  EXPECT_FALSE(ask({.name = "many.example.com", .type = 1, .expected_answer = "10.0.0.200"}).ok);
}

class Grpc : public RealServers {
 protected:
  void SetUp() override {
    RealServers::SetUp();
    start({"/usr/bin/python3", ANYPOP_GRPC_HEALTH}, [this] {
      port_ = parse_number<std::uint16_t>(text_of("log").substr(0, text_of("log").find('\n')), 1, 65535).value_or(0);
      return port_ != 0 && ask("").ok;
    });
  }
  ProbeResult ask(const std::string& service) {
    return run({.type = ProbeType::kGrpc, .port = port_, .timeout_ms = 5000, .grpc = {.service = service}});
  }
  std::uint16_t port_ = 0;
};

TEST_F(Grpc, SaysWhetherItServes) {
  EXPECT_EQ(ask("").cause, "SERVING");
  EXPECT_EQ(ask("good").cause, "SERVING");
  EXPECT_EQ(ask("bad").cause, "NOT_SERVING, expected SERVING");
  EXPECT_EQ(ask("none").cause, "gRPC status 5: no such service");
}

}  // namespace
}  // namespace anypop::healthmon
