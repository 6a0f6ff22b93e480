// SPDX-License-Identifier: Apache-2.0
// How one backend is asked whether it works: one probe of pop.yaml, checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace anypop {

enum class ProbeType : std::uint8_t { kTcp, kHttp, kHttps, kDns, kUdp, kExec, kGrpc };
std::string_view probe_type_name(ProbeType type);  // "tcp", "http", …

// HTTP status codes from `first` to `last`, both included.
struct StatusRange {
  unsigned first = 200;
  unsigned last = 200;
  friend bool operator==(const StatusRange&, const StatusRange&) = default;
};

struct HttpProbeConfig {  // also of https
  std::string method = "GET";
  std::string path = "/";
  std::string host;                  // Host header; empty: the VIP
  std::vector<std::string> headers;  // "Name: value"
  std::vector<StatusRange> expected_status = {StatusRange{}};
  std::string expected_body;  // RE2 expression that the body must contain a match of; empty: any body
  friend bool operator==(const HttpProbeConfig&, const HttpProbeConfig&) = default;
};

struct TlsProbeConfig {  // of https, and of grpc with tls: true
  bool enabled = false;
  bool verify = true;
  std::string ca_file;      // PEM; empty: the system's
  std::string server_name;  // SNI, and the name in the certificate; empty: the host
  friend bool operator==(const TlsProbeConfig&, const TlsProbeConfig&) = default;
};

struct DnsProbeConfig {
  std::string name = ".";
  std::uint16_t type = 6;       // IANA number: SOA
  std::uint16_t rcode = 0;      // NOERROR
  std::string expected_answer;  // one record of that type must read so; empty: none is wanted
  friend bool operator==(const DnsProbeConfig&, const DnsProbeConfig&) = default;
};
std::string dns_type_name(std::uint16_t type);    // "AAAA", "TYPE65"
std::string dns_rcode_name(std::uint16_t rcode);  // "NXDOMAIN", "RCODE11"

struct UdpProbeConfig {
  std::string payload;          // bytes
  std::string expected_prefix;  // bytes; empty: any answer
  friend bool operator==(const UdpProbeConfig&, const UdpProbeConfig&) = default;
};

struct ExecProbeConfig {
  std::vector<std::string> command;  // an absolute path and its arguments; no shell
  friend bool operator==(const ExecProbeConfig&, const ExecProbeConfig&) = default;
};

struct GrpcProbeConfig {
  std::string service;  // of grpc.health.v1.HealthCheckRequest; empty: the server as a whole
  friend bool operator==(const GrpcProbeConfig&, const GrpcProbeConfig&) = default;
};

// direct: from the monitor to the backend's own address. dataplane: to the VIP, through the dataplane, which sends it
// to the backend as it sends clients' packets; the source address names the backend (probe_source.h).
enum class ProbeVia : std::uint8_t { kDirect, kDataplane };
std::string_view probe_via_name(ProbeVia via);  // "direct", "dataplane"

struct ProbeConfig {
  std::string name;  // unique in its service; the type's, unless the file says otherwise
  ProbeType type = ProbeType::kTcp;
  ProbeVia via = ProbeVia::kDirect;
  std::uint16_t port = 0;         // 0 until load_config() fills in the service's port
  unsigned interval_ms = 1000;    // between the starts of two probes of one backend
  unsigned fast_interval_ms = 0;  // the same while a change of health is under way; 0: half of interval_ms
  unsigned down_interval_ms = 0;  // the same while it is unhealthy; 0: interval_ms
  unsigned jitter_percent = 10;   // an interval is shortened by up to this much at random
  unsigned timeout_ms = 500;      // connect and answer together
  unsigned rise = 2;              // successes in a row that make a backend healthy
  unsigned fall = 3;              // failures in a row that make it unhealthy
  HttpProbeConfig http;
  TlsProbeConfig tls;
  DnsProbeConfig dns;
  UdpProbeConfig udp;
  ExecProbeConfig exec;
  GrpcProbeConfig grpc;

  unsigned fast_ms() const { return fast_interval_ms == 0 ? (interval_ms + 1) / 2 : fast_interval_ms; }
  unsigned down_ms() const { return down_interval_ms == 0 ? interval_ms : down_interval_ms; }
  friend bool operator==(const ProbeConfig&, const ProbeConfig&) = default;
};

}  // namespace anypop
