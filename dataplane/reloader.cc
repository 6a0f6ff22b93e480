// SPDX-License-Identifier: Apache-2.0
#include "dataplane/reloader.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include "base/text.h"
#include "dataplane/host_check.h"
#include "dataplane_api/reload_report.h"

namespace anypop::dataplane {
namespace {

absl::Status check(const PopConfig& config, const std::vector<std::unique_ptr<Port>>& ports) {
  for (std::size_t i = 0; i < std::min(ports.size(), config.dataplane.ports.size()); ++i) {
    if (absl::Status status = check_tunnel_mtu(config, i, ports[i]->mtu_bytes()); !status.ok()) return status;
  }
  return check_next_hops(config);
}

absl::StatusOr<PopConfig> read(const ControlApi::ReloadRequest& request, const std::filesystem::path& file,
                               const std::vector<std::unique_ptr<Port>>& ports) {
  auto config = request.text.empty() ? load_config(file) : parse_config(request.text, "(request)");
  if (config.ok()) {
    if (absl::Status status = check(*config, ports); !status.ok()) return invalid_argument("{}", message(status));
    return config;
  }
  // Whatever is wrong with it, it is the configuration that is wrong.
  return invalid_argument("{}", message(config.status()));
}

std::vector<IpPrefix> in_both(const std::vector<IpPrefix>& some, const std::vector<IpPrefix>& others) {
  std::vector<IpPrefix> out;
  std::copy_if(some.begin(), some.end(), std::back_inserter(out),
               [&](const IpPrefix& prefix) { return std::find(others.begin(), others.end(), prefix) != others.end(); });
  return out;
}

}  // namespace

std::vector<IpPrefix> all_vips(const PopConfig& config) {
  std::vector<IpPrefix> vips;
  for (const ServiceConfig& service : config.services) vips.push_back(service.vip_prefix());
  return vips;
}

std::optional<Forwarding::NextHop> find_next_hop(const std::vector<std::unique_ptr<Port>>& ports,
                                                 const NeighbourTable& table, const IpAddress& backend) {
  const auto found = table.next_hop(backend);
  if (!found) return std::nullopt;
  Forwarding::NextHop next_hop{found->mac, 0};
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const bool leads_there =
        std::ranges::find(found->interfaces, ports[i]->interface_index()) != found->interfaces.end();
    if (leads_there) next_hop.ports = static_cast<std::uint8_t>(next_hop.ports | 1U << i);
  }
  return next_hop;
}

struct Reloader::Job {
  ControlApi::ReloadRequest request;
  ControlApi::ReloadDone done;
  Reload reload;
  absl::Status status;
  std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
};

void Reloader::reload(ControlApi::ReloadRequest request, ControlApi::ReloadDone done) {
  if (busy_) return done(unavailable("another reload is under way"));
  busy_ = true;
  auto job = std::make_shared<Job>();
  *job = {std::move(request), std::move(done), parts_.forwarding.begin_reload(), absl::OkStatus()};
  boost::asio::post(builder_, [this, job] {
    if (auto config = read(job->request, job->reload.before->file, parts_.ports); config.ok()) {
      prepare(job->reload, *std::move(config));
    } else {
      job->status = config.status();
    }
    boost::asio::post(parts_.io, [this, job] {
      busy_ = false;
      finish(*job);
      if (std::exchange(again_, false)) reload_soon();
    });
  });
}

void Reloader::reload_soon() {
  if (busy_) {
    again_ = true;
  } else {
    reload({}, [](const auto&) {});
  }
}

void Reloader::finish(Job& job) {
  if (!job.status.ok()) {
    if (!job.request.dry_run) spdlog::error("event=reload applied=false error=\"{}\"", message(job.status));
    return job.done(job.status);
  }
  dataplane_api::ReloadReport report = dataplane_api::make_reload_report(job.reload.diff);
  if (!job.request.dry_run && report.refused.empty()) {
    const absl::Status status = put_in_force(std::move(job.reload));
    if (!status.ok()) {
      spdlog::error("event=reload applied={} error=\"{}\"", absl::IsDeadlineExceeded(status), message(status));
      return job.done(status);
    }
    report.applied = true;
  }
  report.generation = l4lb::generation(parts_.forwarding.snapshot());
  if (!job.request.dry_run) {
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - job.began;
    spdlog::log(report.applied ? spdlog::level::info : spdlog::level::err,
                "event=reload applied={} generation={} took_ms={:.1f}", report.applied, report.generation,
                took.count());
    for (const std::string& line : reload_lines(report)) spdlog::info("event=reload change=\"{}\"", line);
  }
  job.done(report);
}

absl::Status Reloader::put_in_force(Reload reload) {
  const std::shared_ptr<const PopConfig> after = reload.after;
  auto neighbours = parts_.follow_neighbours(*after);
  if (!neighbours.ok()) return neighbours.status();
  // A VIP that goes is the kernel's before the workers forget it, one that comes is steered when they know it.
  const std::vector<IpPrefix> staying = in_both(all_vips(parts_.forwarding.config()), all_vips(*after));
  for (const auto& port : parts_.ports) {
    if (absl::Status status = port->steer(staying); !status.ok()) return status;
  }
  const absl::Status published = parts_.forwarding.finish_reload(std::move(reload), [&](const IpAddress& address) {
    return *neighbours ? find_next_hop(parts_.ports, (*neighbours)->table(), address) : std::nullopt;
  });
  if (!published.ok() && !absl::IsDeadlineExceeded(published)) {
    for (const auto& port : parts_.ports) {
      if (absl::Status status = port->steer(all_vips(parts_.forwarding.config())); !status.ok()) return status;
    }
    return published;
  }
  parts_.neighbours = *std::move(neighbours);
  for (const auto& port : parts_.ports) {
    if (absl::Status status = port->steer(all_vips(*after)); !status.ok()) return status;
  }
  return published;
}

}  // namespace anypop::dataplane
