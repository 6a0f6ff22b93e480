// SPDX-License-Identifier: Apache-2.0
#include "kernel.h"

#include <cerrno>
#include <cstring>
#include <memory>

#include <absl/cleanup/cleanup.h>
#include <absl/strings/ascii.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/owned_fd.h"
#include "base/text.h"
#include "decap_program.h"
#include "local_addresses.h"

namespace anypop::backend {
namespace {

std::string sysctl_path(const std::string& name) { return "/proc/sys/" + name; }

absl::StatusOr<std::vector<InterfaceAddress>> all_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return errno_error(errno, "cannot list this server's addresses");
  absl::Cleanup free_list = [&] { ::freeifaddrs(list); };
  std::vector<InterfaceAddress> found;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr) continue;
    if (at->ifa_addr->sa_family == AF_INET) {
      sockaddr_in socket_address;
      std::memcpy(&socket_address, at->ifa_addr, sizeof socket_address);
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(&socket_address.sin_addr);
      found.push_back({at->ifa_name, IpAddress::from_bytes({bytes, 4})});
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 socket_address;
      std::memcpy(&socket_address, at->ifa_addr, sizeof socket_address);
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(&socket_address.sin6_addr);
      found.push_back({at->ifa_name, IpAddress::from_bytes({bytes, 16})});
    }
  }
  return found;
}

class Kernel : public System {
 public:
  absl::StatusOr<std::vector<InterfaceAddress>> addresses() override { return all_addresses(); }
  absl::StatusOr<bool> has_vip(const Vip& vip) override { return has_local(vip); }
  absl::Status add_vip(const Vip& vip) override { return add_local(vip); }
  absl::Status remove_vip(const Vip& vip) override { return remove_local(vip); }

  absl::StatusOr<std::string> sysctl(const std::string& name) override {
    const auto text = read_file(sysctl_path(name));
    if (!text.ok()) return text.status();
    return std::string(absl::StripAsciiWhitespace(*text));
  }

  absl::Status set_sysctl(const std::string& name, const std::string& value) override {
    const OwnedFd file(::open(sysctl_path(name).c_str(), O_WRONLY | O_CLOEXEC));
    if (file.get() < 0 || ::write(file.get(), value.data(), value.size()) < 0) {
      return errno_error(errno, "cannot set {} to {}", name, value);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Hook> hook(const std::string& interface) override { return look_at_ingress(interface); }
  absl::Status attach(const std::string& interface, const Wish& wish) override { return attach_decap(interface, wish); }
  absl::Status detach(const std::string& interface, bool qdisc_too) override {
    return detach_decap(interface, qdisc_too);
  }
  absl::StatusOr<Counters> counters(const std::string& interface) override { return decap_counters(interface); }
};

}  // namespace

std::unique_ptr<System> make_kernel() { return std::make_unique<Kernel>(); }

}  // namespace anypop::backend
