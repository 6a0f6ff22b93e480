// SPDX-License-Identifier: Apache-2.0
#include "healthmon/probe.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include "base/probe_source.h"
#include "base/text.h"
#include "probe_attempt.h"

namespace anypop::healthmon {
namespace {

namespace asio = boost::asio;

// "Connection refused" → "connection refused", but "HTTP …" stays.
std::string error_text(const boost::system::error_code& error) {
  std::string text = error.message();
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

// What this host could not do, and what nobody answered. Everything else came from the other side.
Evidence evidence_of(const boost::system::error_code& error) {
  const auto is = [&](std::initializer_list<int> numbers) {
    return error.category() == boost::system::system_category() &&
           std::find(numbers.begin(), numbers.end(), error.value()) != numbers.end();
  };
  if (is({EMFILE, ENFILE, ENOMEM, ENOBUFS, EACCES, EPERM, EADDRNOTAVAIL, ENETUNREACH, ENETDOWN, EAFNOSUPPORT, EAGAIN,
          ENOENT})) {
    return Evidence::kLocal;
  }
  return is({ETIMEDOUT, EHOSTUNREACH, EHOSTDOWN}) ? Evidence::kSilence : Evidence::kAnswered;
}

std::shared_ptr<ProbeAttempt> make_attempt(asio::io_context& io, const ProbeTarget& target, Probe::Handler handler) {
  switch (target.probe.type) {
    case ProbeType::kDns: return dns_attempt(io, target, std::move(handler));
    case ProbeType::kUdp: return udp_attempt(io, target, std::move(handler));
    case ProbeType::kExec: return exec_attempt(io, target, std::move(handler));
    case ProbeType::kTcp:
    case ProbeType::kHttp:
    case ProbeType::kHttps:
    case ProbeType::kGrpc: break;
  }
  return stream_attempt(io, target, std::move(handler));
}

std::vector<std::string> environment(const ServiceConfig& service, const BackendConfig& backend,
                                     const ProbeTarget& target) {
  std::vector<std::string> variables = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                        "ANYPOP_SERVICE=" + service.name,
                                        "ANYPOP_VIP=" + service.vip.to_string(),
                                        "ANYPOP_BACKEND=" + backend.name,
                                        "ANYPOP_ADDRESS=" + target.address.to_string(),
                                        fmt::format("ANYPOP_PORT={}", target.probe.port)};
  if (target.source) variables.push_back("ANYPOP_SOURCE=" + target.source->to_string());
  return variables;
}

}  // namespace

absl::StatusOr<std::shared_ptr<asio::ssl::context>> probe_tls(const TlsProbeConfig& tls) {
  if (!tls.enabled) return nullptr;
  boost::system::error_code error;
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  context->set_verify_mode(tls.verify ? asio::ssl::verify_peer : asio::ssl::verify_none, error);
  if (!error && !tls.ca_file.empty()) {
    context->load_verify_file(tls.ca_file, error);
    if (error) {
      return failed_precondition("tls_ca_file: found {} ({}), expected certificates in PEM", tls.ca_file,
                                 error.message());
    }
  } else if (!error) {
    context->set_default_verify_paths(error);
  }
  if (error) return internal_error("TLS: {}", error.message());
  // The whole answer counts, and a resumed session would not show the certificate.
  ::SSL_CTX_set_session_cache_mode(context->native_handle(), SSL_SESS_CACHE_OFF);
  return context;
}

std::vector<ProbeTarget> probe_targets(const ServiceConfig& service, const ProbeConfig& probe,
                                       const std::vector<IpPrefix>& probe_sources,
                                       const std::shared_ptr<asio::ssl::context>& tls) {
  ProbeTarget shared{.probe = probe,
                     .address = service.vip,
                     .source = std::nullopt,
                     .host = probe.http.host,
                     .tls = tls,
                     .http = nullptr,
                     .environment = {}};
  if (shared.probe.port == 0) shared.probe.port = service.port;
  if (shared.host.empty()) {
    shared.host =
        service.vip.family() == Family::kV6 ? fmt::format("[{}]", service.vip.to_string()) : service.vip.to_string();
  }
  if (probe.type == ProbeType::kHttp || probe.type == ProbeType::kHttps) {
    shared.http = http_question(probe, shared.host);
  }
  std::vector<IpAddress> sources;
  if (probe.via == ProbeVia::kDataplane) {
    sources = anypop::probe_sources(*find_probe_prefix(probe_sources, service.vip.family()), service.backends);
  }
  std::vector<ProbeTarget> targets(service.backends.size(), shared);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (sources.empty()) {
      targets[i].address = service.backends[i].address;
    } else {
      targets[i].source = sources[i];
    }
    if (probe.type == ProbeType::kExec) targets[i].environment = environment(service, service.backends[i], targets[i]);
  }
  return targets;
}

ProbeAttempt::ProbeAttempt(asio::io_context& io, const ProbeTarget& target, Probe::Handler handler)
    : io_(io), target_(target), handler_(std::move(handler)), deadline_(io) {}

void ProbeAttempt::start() {
  started_ = std::chrono::steady_clock::now();
  deadline_.expires_at(started_ + std::chrono::milliseconds(target_.probe.timeout_ms));
  deadline_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error) self->on_deadline();
  });
  begin();
}

void ProbeAttempt::cancel() {
  handler_ = nullptr;
  deadline_.cancel();
  close();
}

void ProbeAttempt::finish(ProbeResult result) {
  if (over()) return;
  deadline_.cancel();
  close();
  result.latency = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - started_);
  std::exchange(handler_, nullptr)(result);
}

void ProbeAttempt::finish_soon(ProbeResult result) {
  asio::post(io_, [self = shared_from_this(), result = std::move(result)] { self->finish(result); });
}

ProbeResult ProbeAttempt::failure(const boost::system::error_code& error) {
  return {false, error_text(error), evidence_of(error)};
}

ProbeResult ProbeAttempt::failure_to_open(const boost::system::error_code& error) const {
  if (!target_.source || error != boost::system::errc::address_not_available) return failure(error);
  return {false,
          fmt::format("{} is no address of this server: the dataplane's probe interface is not there",
                      target_.source->to_string()),
          Evidence::kLocal};
}

void ProbeAttempt::on_deadline() {
  if (over()) return;
  const auto late_by = std::chrono::steady_clock::now() - deadline_.expiry();
  const std::chrono::milliseconds timeout{target_.probe.timeout_ms};
  if (late_by > std::max(timeout, std::chrono::milliseconds(100))) return finish({false, "", Evidence::kLocal});
  finish({false, fmt::format("timeout after {} ms {}", timeout.count(), stage_), Evidence::kSilence});
}

Probe::Probe(asio::io_context& io, const ProbeTarget& target, Handler handler)
    : attempt_(make_attempt(io, target, std::move(handler))) {
  attempt_->start();
}

Probe::~Probe() { attempt_->cancel(); }

}  // namespace anypop::healthmon
