// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <iterator>
#include <string>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "anypop_bench/command.h"

namespace anypop::bench {
namespace {

namespace json_ = boost::json;

constexpr double kShareMin = 0.98;  // of the processor; below it something else ran

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string_view track_name(Track track) {
  switch (track) {
    case Track::kChanges: return "changes";
    case Track::kAlways: return "always";
    case Track::kNever: return "never";
  }
  return "";
}

json_::object to_object(const Measured& measured) {
  const Case& what = measured.what;
  const Result& result = measured.result;
  return {{"group", what.group},
          {"name", what.name},
          {"family", what.traffic.family == Family::kV4 ? 4 : 6},
          {"flows", what.traffic.flows},
          {"popularity", what.traffic.zipf ? "zipf" : "uniform"},
          {"services", what.services.services},
          {"own_pools", what.services.own_pools},
          {"backends", what.services.backends},
          {"forwarding", forwarding_name(what.services.forwarding)},
          {"outer_family", what.services.outer == Family::kV4 ? 4 : 6},
          {"track", track_name(what.services.track)},
          {"change", what.change},
          {"situation", situation_name(what.situation)},
          {"ns_per_packet", result.ns},
          {"ns_p10", result.p10},
          {"ns_p90", result.p90},
          {"mpps", 1e3 / result.ns},
          {"receive_ns", result.receive_ns},
          {"cpu_share", result.cpu_share},
          {"packets", result.packets}};
}

}  // namespace

std::string table(const References& references, const std::vector<Measured>& all) {
  std::string out;
  const auto page = std::back_inserter(out);
  fmt::format_to(page,
                 "{}\n64 bytes: copied in cache {:.1f} ns, copied from memory {:.1f} ns; a load from memory, "
                 "prefetched {:.1f} ns\n",
                 processor(), references.copy_hot, references.copy_cold, references.random_read);
  std::string group;
  bool disturbed = false;
  for (const Measured& one : all) {
    if (one.what.group != group) {
      group = one.what.group;
      fmt::format_to(page, "\n{:<46} {:>9} {:>8} {:>13} {:>8} {:>6}\n", group, "ns/packet", "Mpps", "p10 to p90",
                     "copying", "CPU");
    }
    const Result& r = one.result;
    disturbed = disturbed || r.cpu_share < kShareMin;
    fmt::format_to(page, "  {:<44} {:>9.1f} {:>8.1f} {:>6.1f} {:>6.1f} {:>8.1f} {:>5.0f}%{}\n", one.what.name, r.ns,
                   1e3 / r.ns, r.p10, r.p90, r.receive_ns, 100 * r.cpu_share, r.cpu_share < kShareMin ? " !" : "");
  }
  fmt::format_to(
      page,
      "\nns/packet is the engine alone, on one core: copying a packet in has been measured in turn and subtracted.\n");
  if (disturbed)
    fmt::format_to(page, "! something else ran on this processor: the figures of these lines are too high\n");
  return out;
}

std::string json(const References& references, const std::vector<Measured>& all) {
  json_::array results;
  for (const Measured& one : all) results.push_back(to_object(one));
  const json_::object out{{"version", ANYPOP_VERSION},
                          {"processor", processor()},
                          {"processors", ::sysconf(_SC_NPROCESSORS_ONLN)},
                          {"burst", l4lb_bench::kBurst},
                          {"references_ns",
                           {{"copy_hot", references.copy_hot},
                            {"copy_cold", references.copy_cold},
                            {"random_read", references.random_read}}},
                          {"results", std::move(results)}};
  return json_::serialize(out) + "\n";
}

}  // namespace anypop::bench
