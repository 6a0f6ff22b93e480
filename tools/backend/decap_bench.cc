// SPDX-License-Identifier: Apache-2.0
// What a packet costs in the decapsulation program: at tc, as backends run it, and at XDP. The time is the kernel's
// own, of BPF_PROG_TEST_RUN. A packet that is taken off is a run by itself, because the program has changed the packet;
// the kernel's look at the clock is then part of the time, which passed_on_alone against passed_on shows. Needs root.
//
//   sudo build/release/bench-bin/decap_bench
#include <array>

#include <benchmark/benchmark.h>
#include <bpf/bpf.h>
#include <fmt/format.h>

#include "decap_program.h"
#include "decap_reference.h"

namespace anypop {
std::string_view bpf_object_decap();
std::string_view bpf_object_decap_xdp();
}  // namespace anypop

namespace anypop::backend {
namespace {

constexpr int kTogether = 100'000;  // runs of a packet that stays as it is

Wish everything() {
  Wish wish;
  wish.vips = {*IpPrefix::parse("198.51.100.1/32"), *IpPrefix::parse("2001:db8:53::1/128")};
  wish.addresses = {*IpAddress::parse("10.9.0.11"), *IpAddress::parse("2001:db8:9::11")};
  wish.sources = {*IpPrefix::parse("172.16.0.0/16"), *IpPrefix::parse("2001:db8:f::/64")};
  wish.gue_ports = {6080};
  wish.ipip = wish.gre = wish.gue = true;
  return wish;
}

void run(benchmark::State& state, std::string_view object_bytes, const FrameSpec& spec, int repeat) {
  const auto object = load_decap(everything(), -1, object_bytes);
  if (!object.ok()) {
    state.SkipWithError("the kernel does not take the program; run as root");
    return;
  }
  const Frame frame = to_frame(spec);
  Frame out(frame.size() + 64);
  for (auto _ : state) {
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = static_cast<std::uint32_t>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<std::uint32_t>(out.size());
    options.repeat = repeat;
    if (bpf_prog_test_run_opts(program_fd(*object), &options) != 0) {
      state.SkipWithError("the program did not run");
      return;
    }
    state.SetIterationTime(options.duration * 1e-9);
  }
}

FrameSpec spec_of(Kind kind, bool outer_v6, bool inner_v6) {
  FrameSpec spec{.kind = kind};
  if (outer_v6) {
    spec.outer_source = "2001:db8:f::7";
    spec.outer_destination = "2001:db8:9::11";
  }
  if (inner_v6) {
    spec.inner_source = "2001:db8:c::5";
    spec.inner_destination = "2001:db8:53::1";
  }
  return spec;
}

void add(const std::string& name, std::string_view object, const FrameSpec& spec, int repeat) {
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run(state, object, spec, repeat); })
      ->UseManualTime()
      ->Unit(benchmark::kNanosecond)
      ->Iterations(repeat > 1 ? 20 : 50'000);
}

void add_all(const std::string& hook, std::string_view object) {
  const std::array<std::string, 3> kinds = {"ipip", "gre", "gue"};
  add(hook + "/passed_on", object, {.kind = Kind::kPlain}, kTogether);
  add(hook + "/passed_on_alone", object, {.kind = Kind::kPlain}, 1);
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    for (const bool outer_v6 : {false, true}) {
      for (const bool inner_v6 : {false, true}) {
        add(fmt::format("{}/{}_{}in{}", hook, kinds[kind], inner_v6 ? 6 : 4, outer_v6 ? 6 : 4), object,
            spec_of(static_cast<Kind>(kind), outer_v6, inner_v6), 1);
      }
    }
  }
}

}  // namespace
}  // namespace anypop::backend

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  anypop::backend::add_all("tc", anypop::bpf_object_decap());
  anypop::backend::add_all("xdp", anypop::bpf_object_decap_xdp());
  benchmark::RunSpecifiedBenchmarks();
}
