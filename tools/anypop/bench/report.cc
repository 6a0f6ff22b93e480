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
#include "l4lb/flow_table.h"
#include "l4lb/snapshot.h"

namespace anypop::bench {
namespace {

namespace json_ = boost::json;

constexpr std::uint32_t kRecords = 1U << 20U;
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
  json_::object out{{"group", what.group},
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
                    {"change", change_name(what.change)},
                    {"situation", situation_name(what.situation)},
                    {"ns_per_packet", result.ns},
                    {"ns_p10", result.p10},
                    {"ns_p90", result.p90},
                    {"mpps", 1e3 / result.ns},
                    {"receive_ns", result.receive_ns},
                    {"cpu_share", result.cpu_share},
                    {"calm", result.calm()},
                    {"tracked", result.tracked},
                    {"packets", result.packets}};
  if (result.stage_ns) {
    json_::object stages;
    for (std::size_t i = 0; i < kStages.size(); ++i) stages[kStages[i]] = (*result.stage_ns)[i];
    out["stage_ns"] = std::move(stages);
  }
  return out;
}

std::string stages_line(const Result& result) {
  std::string line;
  for (std::size_t i = 0; i < kStages.size(); ++i)
    fmt::format_to(std::back_inserter(line), "{}{} {:.1f}", i == 0 ? "" : ", ", kStages[i], (*result.stage_ns)[i]);
  return line;
}

}  // namespace

std::string table(const References& references, const std::vector<Measured>& all) {
  std::string out;
  const auto page = std::back_inserter(out);
  fmt::format_to(page,
                 "{}; hash by {}\n64 bytes: copied in cache {:.1f} ns, copied from memory {:.1f} ns; a load from "
                 "memory, prefetched {:.1f} ns\n",
                 processor(), l4lb::hash_engine(), references.copy_hot, references.copy_cold, references.random_read);
  std::string group;
  bool disturbed = false;
  for (const Measured& one : all) {
    if (one.what.group != group) {
      group = one.what.group;
      fmt::format_to(page, "\n{:<46} {:>9} {:>8} {:>13} {:>8} {:>6}\n", group, "ns/packet", "Mpps", "p10 to p90",
                     "tracked", "CPU");
    }
    const Result& r = one.result;
    const bool marked = r.cpu_share < kShareMin || !r.calm();
    disturbed = disturbed || marked;
    fmt::format_to(page, "  {:<44} {:>9.1f} {:>8.1f} {:>6.1f} {:>6.1f} {:>7.0f}% {:>5.0f}%{}\n", one.what.name, r.ns,
                   1e3 / r.ns, r.p10, r.p90, 100 * r.tracked, 100 * r.cpu_share, marked ? " !" : "");
    if (r.stage_ns) fmt::format_to(page, "    {}\n", stages_line(r));
  }
  fmt::format_to(
      page, "\nns/packet is the engine alone, on one core. tracked: packets that a record was found or made for.\n");
  if (disturbed)
    fmt::format_to(page, "! something else ran on this machine: the figures of these lines are too high\n");
  return out;
}

std::string json(const References& references, const std::vector<Measured>& all) {
  json_::array results;
  for (const Measured& one : all) results.push_back(to_object(one));
  const json_::object out{{"version", ANYPOP_VERSION},
                          {"processor", processor()},
                          {"processors", ::sysconf(_SC_NPROCESSORS_ONLN)},
                          {"burst", l4lb_bench::kBurst},
                          {"hash_engine", l4lb::hash_engine()},
                          {"record_bytes", static_cast<double>(l4lb::FlowTable::bytes_for(kRecords)) / kRecords},
                          {"references_ns",
                           {{"copy_hot", references.copy_hot},
                            {"copy_cold", references.copy_cold},
                            {"random_read", references.random_read}}},
                          {"results", std::move(results)}};
  return json_::serialize(out) + "\n";
}

}  // namespace anypop::bench
