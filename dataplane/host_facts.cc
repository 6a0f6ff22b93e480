// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <optional>
#include <system_error>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/owned_fd.h"
#include "base/text.h"
#include "dataplane/host_check.h"

namespace anypop::dataplane {
namespace {

std::optional<std::uint64_t> read_number(const std::filesystem::path& path) {
  const auto text = read_file(path);
  if (!text.ok()) return std::nullopt;
  const std::string_view line = *text;
  return parse_number<std::uint64_t>(line.substr(0, line.find_first_of(" \n")), 0, UINT64_MAX);
}

// As DPDK's AF_XDP driver counts them; a device without combined channels, such as a veth, has one for it.
unsigned queue_pairs(const std::string& interface) {
  const OwnedFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&channels);
  if (fd.get() < 0 || ::ioctl(fd.get(), SIOCETHTOOL, &request) != 0) return 1;
  return std::max(1U, channels.combined_count);
}

// net.ipv4.conf.*.rp_filter: the higher one of "all" and the interface's is in effect.
unsigned rp_filter(const std::string& name) {
  std::uint64_t highest = 0;
  for (const std::string& place : {std::string("all"), name}) {
    highest = std::max(highest, read_number("/proc/sys/net/ipv4/conf/" + place + "/rp_filter").value_or(0));
  }
  return static_cast<unsigned>(highest);
}

std::vector<HostInterface> interfaces() {
  std::vector<HostInterface> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net", error)) {
    const auto mtu = read_number(entry.path() / "mtu");
    const std::string name = entry.path().filename();
    if (mtu) found.push_back({name, static_cast<unsigned>(*mtu), queue_pairs(name), rp_filter(name)});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return found;
}

std::string name_of_link(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::read_symlink(path, error);
  return error ? std::string() : target.filename().string();
}

std::vector<PciDevice> pci_devices() {
  constexpr std::string_view kNetworkClass = "0x02";
  std::vector<PciDevice> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/bus/pci/devices", error)) {
    const auto type = read_file(entry.path() / "class");
    const std::string group = name_of_link(entry.path() / "iommu_group");
    found.push_back({.address = entry.path().filename(),
                     .network = type.ok() && std::string_view(*type).starts_with(kNetworkClass),
                     .driver = name_of_link(entry.path() / "driver"),
                     .iommu_group = !group.empty(),
                     .accessible = !group.empty() && ::access(("/dev/vfio/" + group).c_str(), R_OK | W_OK) == 0});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
  return found;
}

std::vector<unsigned> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<unsigned> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
  }
  return cpus;
}

std::uint64_t effective_capabilities() {
  const auto status = read_file("/proc/self/status");
  if (!status.ok()) return 0;
  for (const std::string_view line : split(*status, '\n')) {
    constexpr std::string_view kKey = "CapEff:\t";
    if (!line.starts_with(kKey)) continue;
    std::uint64_t bits = 0;
    std::from_chars(line.data() + kKey.size(), line.data() + line.size(), bits, 16);
    return bits;
  }
  return 0;
}

void look_at_hugepages(HostFacts& facts) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", error)) {
    constexpr std::string_view kPrefix = "hugepages-";
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix) || !name.ends_with("kB")) continue;
    const std::string_view digits = std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - 2);
    const auto size_kb = parse_number<std::uint64_t>(digits, 1, UINT32_MAX);
    if (!size_kb) continue;
    const std::uint64_t free = read_number(entry.path() / "free_hugepages").value_or(0);
    const std::uint64_t reserved = read_number(entry.path() / "resv_hugepages").value_or(0);
    facts.hugepages_free_bytes += (free - std::min(free, reserved)) * *size_kb * 1024;
    // The smallest size is what vm.nr_hugepages counts on every architecture we know.
    if (facts.hugepage_bytes == 0 || *size_kb * 1024 < facts.hugepage_bytes) {
      facts.hugepage_bytes = *size_kb * 1024;
      facts.hugepages_total = read_number(entry.path() / "nr_hugepages").value_or(0);
    }
  }
}

}  // namespace

HostFacts look_at_host() {
  HostFacts facts;
  facts.interfaces = interfaces();
  facts.rp_filter = rp_filter("default");
  facts.pci = pci_devices();
  facts.cpus = allowed_cpus();
  facts.capabilities = effective_capabilities();
  look_at_hugepages(facts);
  return facts;
}

}  // namespace anypop::dataplane
