// SPDX-License-Identifier: Apache-2.0
#include "config_check.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "base/probe_source.h"
#include "base/text.h"
#include "config_announcement.h"
#include "config_quic.h"
#include "probe_load.h"

namespace anypop {
namespace {

std::string indexed(std::string_view list, std::size_t index, std::string_view key) {
  return fmt::format("{}[{}].{}", list, index, key);
}

bool is_prime(unsigned number) {
  if (number < 2) return false;
  for (unsigned divisor = 2; divisor * divisor <= number; ++divisor) {
    if (number % divisor == 0) return false;
  }
  return true;
}

void check_ports(const PopConfig& config, const ConfigMarks& marks, ConfigErrors& errors) {
  std::map<std::string, std::size_t> names;
  std::map<std::string, std::size_t> devices;
  for (std::size_t i = 0; i < config.dataplane.ports.size(); ++i) {
    const PortConfig& port = config.dataplane.ports[i];
    if (!names.emplace(port.name, i).second) {
      errors.add(marks.ports[i], indexed("dataplane.ports", i, "name"),
                 fmt::format("found '{}' a second time, expected unique names", port.name));
    }
    if (!devices.emplace(port.device, i).second) {
      errors.add(marks.ports[i], indexed("dataplane.ports", i, port_kind_name(port.kind)),
                 fmt::format("found '{}' a second time, expected each device once", port.device));
    }
    constexpr std::size_t kPortsMax = 8;
    if (i == kPortsMax) {
      errors.add(marks.ports[i], "dataplane.ports",
                 fmt::format("found {}, expected at most {}", config.dataplane.ports.size(), kPortsMax));
    }
    // A worker that has a queue of one port must have one of every other, to send what goes there.
    if (port.queues != config.dataplane.ports.front().queues) {
      errors.add(marks.ports[i], indexed("dataplane.ports", i, "queues"),
                 fmt::format("found {}, expected {} as for port '{}': all ports have the same number", port.queues,
                             config.dataplane.ports.front().queues, config.dataplane.ports.front().name));
    }
    const std::string& probes = config.dataplane.probe_interface;
    if (!config.dataplane.engine.probe_sources.empty() && (port.device == probes || port.kernel == probes)) {
      errors.add(marks.ports[i], indexed("dataplane.ports", i, port_kind_name(port.kind)),
                 fmt::format("found '{}', which is dataplane.probe_interface, expected another interface", probes));
    }
  }
}

// They must be nobody else's.
void check_probe_sources(const PopConfig& config, const ConfigMarks& marks, ConfigErrors& errors) {
  const std::vector<IpPrefix>& sources = config.dataplane.engine.probe_sources;
  const auto add = [&](std::string_view problem) {
    errors.add(marks.probe_sources, "dataplane.probe_sources", problem);
  };
  for (const IpPrefix& prefix : sources) {
    if (find_probe_prefix(sources, prefix.family()) != &prefix) {
      add(fmt::format("found {} beside another {} prefix, expected one of each family at most", prefix.to_string(),
                      family_name(prefix.family())));
    }
    for (const ServiceConfig& service : config.services) {
      const IpPrefix vip = service.vip_prefix();
      if (prefix.contains(vip) || vip.contains(prefix)) {
        add(fmt::format("found {}, which overlaps the VIP of service '{}', expected addresses of nobody else",
                        prefix.to_string(), service.name));
      }
      if (vip.family() == prefix.family() && service.backends.size() > probe_source_count(prefix)) {
        add(fmt::format(
            "found {}, which has room for {} backends, expected a shorter prefix for the {} of service '{}'",
            prefix.to_string(), probe_source_count(prefix), service.backends.size(), service.name));
      }
      const auto at = std::ranges::find_if(
          service.backends, [&](const BackendConfig& backend) { return prefix.contains(backend.address); });
      if (at != service.backends.end()) {
        add(fmt::format("found {}, which has the address of backend '{}', expected addresses of nobody else",
                        prefix.to_string(), at->name));
      }
    }
  }
}

void check_backends(const ServiceConfig& service, std::size_t index, const ConfigMarks& marks, ConfigErrors& errors) {
  std::map<std::string, std::size_t> names;
  std::map<IpAddress, std::string> addresses;
  for (std::size_t i = 0; i < service.backends.size(); ++i) {
    const BackendConfig& backend = service.backends[i];
    const std::string place = indexed(fmt::format("services[{}].backends", index), i, "");
    const YAML::Mark& mark = marks.services[index].backends[i];
    if (!names.emplace(backend.name, i).second) {
      errors.add(mark, place + "name", fmt::format("found '{}' a second time, expected unique names", backend.name));
    }
    if (const auto [at, added] = addresses.emplace(backend.address, backend.name); !added) {
      errors.add(mark, place + "address",
                 fmt::format("found {}, which is backend '{}' already, expected unique addresses",
                             backend.address.to_string(), at->second));
    }
    if (service.forwarding == Forwarding::kL2 && backend.address.family() != service.vip.family()) {
      errors.add(mark, place + "address",
                 fmt::format("found {}, expected an {} address like the VIP {} (l2 forwarding keeps the family)",
                             backend.address.to_string(), family_name(service.vip.family()), service.vip.to_string()));
    }
  }
}

// No two services of one VIP and protocol may share a port, except that `any` means the rest.
class Endpoints {
 public:
  // Who has one of these ports already; nullptr: nobody. `service` must stay where it is.
  const ServiceConfig* add(const ServiceConfig& service) {
    Ports& ports = by_vip_[{service.vip_prefix(), service.protocol, service.any_port()}];
    const auto behind = ports.upper_bound(service.end_port());
    if (behind != ports.begin() && std::prev(behind)->second->end_port() >= service.port) {
      return std::prev(behind)->second;
    }
    ports.emplace(service.port, &service);
    return nullptr;
  }

 private:
  using Ports = std::map<std::uint16_t, const ServiceConfig*>;  // by the first one
  std::map<std::tuple<IpPrefix, Protocol, bool>, Ports> by_vip_;
};

// One prefix for each family that a backend has, and no more.
void check_tunnel(const ServiceConfig& service, std::size_t index, const ConfigMarks& marks, ConfigErrors& errors) {
  const YAML::Mark& mark = marks.services[index].mark;
  const std::string key = indexed("services", index, "tunnel_source");
  for (const Family family : {Family::kV4, Family::kV6}) {
    const auto of_family = [&](const auto& thing) { return thing.family() == family; };
    const auto sources = std::count_if(service.tunnel.sources.begin(), service.tunnel.sources.end(), of_family);
    const auto backend = std::find_if(service.backends.begin(), service.backends.end(),
                                      [&](const BackendConfig& b) { return of_family(b.address); });
    if (sources > 1) {
      errors.add(mark, key, fmt::format("found {} {} prefixes, expected at most one", sources, family_name(family)));
    } else if (sources == 0 && backend != service.backends.end()) {
      errors.add(mark, key,
                 fmt::format("found no {} prefix, expected one: the tunnel to backend '{}' at {} needs a source",
                             family_name(family), backend->name, backend->address.to_string()));
    }
  }
}

void check_services(PopConfig& config, const ConfigMarks& marks, ConfigErrors& errors) {
  std::map<std::string, std::size_t> names;
  Endpoints endpoints;
  for (std::size_t i = 0; i < config.services.size(); ++i) {
    ServiceConfig& service = config.services[i];
    const YAML::Mark& mark = marks.services[i].mark;
    if (!names.emplace(service.name, i).second) {
      errors.add(mark, indexed("services", i, "name"),
                 fmt::format("found '{}' a second time, expected unique names", service.name));
    }
    if (const ServiceConfig* other = endpoints.add(service)) {
      errors.add(mark, indexed("services", i, "vip"),
                 fmt::format("found {} {}/{}, which is service '{}' already, expected unique endpoints",
                             service.vip_prefix_bits ? service.vip_prefix().to_string() : service.vip.to_string(),
                             protocol_name(service.protocol), service.ports(), other->name));
    }
    if (!is_prime(service.table_size)) {
      errors.add(mark, indexed("services", i, "table_size"),
                 fmt::format("found {}, expected a prime such as 65537", service.table_size));
    }
    if (service.backends.size() > service.table_size) {
      errors.add(mark, indexed("services", i, "table_size"),
                 fmt::format("found {}, expected at least the number of backends, {}", service.table_size,
                             service.backends.size()));
    }
    check_probes(service, i, config.dataplane.engine.probe_sources, mark, errors);
    check_backends(service, i, marks, errors);
    check_quic(service, i, marks.services[i], errors);
    if (service.forwarding != Forwarding::kL2) check_tunnel(service, i, marks, errors);
  }
}

}  // namespace

void check_config(PopConfig& config, const ConfigMarks& marks, ConfigErrors& errors) {
  check_ports(config, marks, errors);
  check_probe_sources(config, marks, errors);
  check_services(config, marks, errors);
  check_announcements(config, marks, errors);
  check_birds(config, marks, errors);
}

}  // namespace anypop
