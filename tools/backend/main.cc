// SPDX-License-Identifier: Apache-2.0
// anypop-backend: makes a server a backend. Parses the command line and hands over.
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent.h"
#include "base/config.h"
#include "base/owned_fd.h"
#include "base/text.h"
#include "kernel.h"
#include "report.h"
#include "wish.h"

namespace anypop::backend {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct CommandLine {
  std::string config;
  std::string backend;
  std::vector<std::string> vips;
  std::vector<std::string> addresses;
  std::vector<std::string> sources;
  std::vector<std::string> interfaces;
  std::vector<std::uint16_t> gue_ports;
  std::string encapsulation;
  std::string device = "lo";
  std::string state_file = "/run/anypop-backend/state.json";
  bool any_source = false;
  bool json = false;
};

int fail(int code, std::string_view text) {
  fmt::print(stderr, "anypop-backend: {}\n", text);
  return code;
}

// "198.51.100.1" is "198.51.100.1/32".
absl::StatusOr<IpPrefix> parse_prefix(const std::string& text) {
  if (text.find('/') != std::string::npos) return IpPrefix::parse(text);
  const auto address = IpAddress::parse(text);
  if (!address.ok()) return address.status();
  return IpPrefix::of(*address);
}

template <typename T, typename Parse>
absl::Status parse_all(std::string_view option, const std::vector<std::string>& texts, Parse parse,
                       std::vector<T>& out) {
  for (const std::string& text : texts) {
    const auto value = parse(text);
    if (!value.ok()) return invalid_argument("{}: {}", option, message(value.status()));
    out.push_back(*value);
  }
  return absl::OkStatus();
}

absl::StatusOr<Wish> read_wish(const CommandLine& line) {
  Wish wish;
  if (!line.config.empty() || !line.backend.empty()) {
    if (!line.vips.empty() || !line.addresses.empty() || !line.encapsulation.empty() || !line.gue_ports.empty()) {
      return invalid_argument(
          "found --vip, --address, --encapsulation or --gue-port with --config or --backend, expected one way or the "
          "other");
    }
    if (line.backend.empty()) return invalid_argument("found --config without --backend, expected both");
    const auto config = load_config(line.config.empty() ? std::string(kDefaultConfigPath) : line.config);
    if (!config.ok()) return config.status();
    auto found = wish_from_config(*config, line.backend);
    if (!found.ok()) return found.status();
    wish = *std::move(found);
  }
  wish.device = line.device;
  wish.interfaces = line.interfaces;
  wish.gue_ports.insert(wish.gue_ports.end(), line.gue_ports.begin(), line.gue_ports.end());
  if (line.any_source) wish.sources.clear();
  if (line.any_source && !line.sources.empty()) {
    return invalid_argument("found --source and --any-source, expected one of them");
  }
  if (!line.encapsulation.empty()) {
    if (absl::Status status = add_encapsulations(line.encapsulation, wish); !status.ok()) return status;
  }
  absl::Status status = parse_all("--vip", line.vips, parse_prefix, wish.vips);
  if (status.ok()) status = parse_all("--source", line.sources, parse_prefix, wish.sources);
  if (status.ok()) status = parse_all("--address", line.addresses, &IpAddress::parse, wish.addresses);
  if (status.ok()) status = finish(wish);
  if (status.ok() && wish.tunnels() && wish.sources.empty() && !line.any_source) {
    status = invalid_argument("found no --source, expected the balancers' tunnel_source, or --any-source to trust all");
  }
  if (!status.ok()) return status;
  return wish;
}

// Two agents at once would undo each other's work.
absl::StatusOr<OwnedFd> only_one(const std::filesystem::path& state_file) {
  std::error_code error;
  std::filesystem::create_directories(state_file.parent_path(), error);
  if (error) return internal_error("cannot make {}: {}", state_file.parent_path().string(), error.message());
  OwnedFd folder(::open(state_file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::flock(folder.get(), LOCK_EX) != 0) {
    return errno_error(errno, "cannot lock {}", state_file.parent_path().string());
  }
  return folder;
}

int run_install(const CommandLine& line) {
  const auto wish = read_wish(line);
  if (!wish.ok()) return fail(absl::IsInvalidArgument(wish.status()) ? kUsage : kFailed, message(wish.status()));
  if (::geteuid() != 0) return fail(kFailed, "found an ordinary user, expected root: it changes the network");
  const auto lock = only_one(line.state_file);
  if (!lock.ok()) return fail(kFailed, message(lock.status()));
  const auto kernel = make_kernel();
  const absl::Status status = install(*kernel, line.state_file, *wish);
  if (!status.ok()) return fail(kFailed, message(status));
  fmt::print("installed: {} VIPs on {}, {}\n", wish->vips.size(), wish->device, encapsulation_names(*wish));
  return 0;
}

int run_remove(const CommandLine& line) {
  if (::geteuid() != 0) return fail(kFailed, "found an ordinary user, expected root: it changes the network");
  const auto lock = only_one(line.state_file);
  if (!lock.ok()) return fail(kFailed, message(lock.status()));
  const auto kernel = make_kernel();
  const absl::Status status = remove(*kernel, line.state_file);
  if (!status.ok()) return fail(kFailed, message(status));
  fmt::print("removed\n");
  return 0;
}

int run_status(const CommandLine& line) {
  const auto kernel = make_kernel();
  const auto condition = look(*kernel, line.state_file);
  if (!condition.ok()) return fail(kFailed, message(condition.status()));
  if (line.json) {
    fmt::print("{}\n", to_json(*condition));
  } else {
    fmt::print("{}", to_text(*condition));
  }
  return condition->good() ? 0 : kFailed;
}

void add_install_options(CLI::App& install, CommandLine& line) {
  install.add_option("--config", line.config, "the PoP's configuration; with --backend");
  install.add_option("--backend", line.backend, "this server's name in it: VIPs, addresses, tunnels and their sources");
  install.add_option("--vip", line.vips, "an address or prefix to answer for; may be given again");
  install.add_option("--address", line.addresses, "this server's own address, where tunnels end; may be given again");
  install.add_option("--encapsulation", line.encapsulation, "ipip, gre, gue, several with commas, or l2 (the default)");
  install.add_option("--gue-port", line.gue_ports, "UDP port of gue; default 6080");
  install.add_option("--source", line.sources,
                     "whose tunnels are trusted: the balancers' tunnel_source; again for more");
  install.add_flag("--any-source", line.any_source, "trust everybody's: only where no stranger's packet can arrive");
  install.add_option("--interface", line.interfaces,
                     "where packets arrive; default: where this server's addresses are");
  install.add_option("--device", line.device, "what bears the VIPs")->capture_default_str();
  install.footer(
      "Does, and records in the state file what it changed:\n"
      "  arp_ignore and arp_announce, so that nobody on the link takes this server for the VIP's owner;\n"
      "  rp_filter to loose on an interface where it is strict;\n"
      "  the VIPs on lo; a tc program at the interface's ingress that takes outer headers off.\n"
      "A second time it changes what is different. When something fails, everything is as before.\n"
      "Examples:\n"
      "  anypop-backend install --config pop.yaml --backend b1\n"
      "  anypop-backend install --vip 198.51.100.1 --address 10.1.0.11\n"
      "  anypop-backend install --vip 198.51.100.1 --vip 2001:db8:53::1 --address 10.9.0.11 --encapsulation gue \\\n"
      "    --source 172.16.0.0/16");
}

int run(int argc, char** argv) {
  CLI::App app{
      "anypop-backend: makes this server a backend of a PoP: VIPs that are silent in ARP and ND, tunnels' ends."};
  app.set_version_flag("--version", ANYPOP_VERSION);
  app.require_subcommand(1);
  app.footer("Exit code: 0 done (status: all in place), 1 failed (status: not all in place), 2 usage.");
  CommandLine line;
  int exit_code = 0;
  CLI::App* install = app.add_subcommand("install", "Make this server a backend, or change what it is a backend of");
  add_install_options(*install, line);
  install->callback([&] { exit_code = run_install(line); });
  CLI::App* remove = app.add_subcommand("remove", "Undo exactly what install did");
  remove->callback([&] { exit_code = run_remove(line); });
  CLI::App* status = app.add_subcommand("status", "Is all of it in place, and what became of the packets");
  status->add_flag("--json", line.json, "as one JSON object");
  status->callback([&] { exit_code = run_status(line); });
  for (CLI::App* command : {install, remove, status}) {
    command->add_option("--state", line.state_file, "where install records what it changed")->capture_default_str();
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  return exit_code;
}

}  // namespace
}  // namespace anypop::backend

int main(int argc, char** argv) { return anypop::backend::run(argc, argv); }
