// SPDX-License-Identifier: Apache-2.0
#include "dataplane/steering.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <iterator>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "steering_object.h"

namespace anypop::dataplane {
namespace {

constexpr std::string_view kProgramName = "anypop_steer";  // the function's name in steer.bpf.c
constexpr std::string_view kMapV4 = "vips4";
constexpr std::string_view kMapV6 = "vips6";
constexpr std::size_t kVipsMax = 4096;  // VIPS_MAX in steer.bpf.c

struct Program {
  std::string name;
  std::vector<std::uint32_t> map_ids;
};

// The program attached to the interface; id 0: none.
absl::StatusOr<std::uint32_t> attached_program(const std::string& interface, unsigned index) {
  std::uint32_t id = 0;
  if (const int error = bpf_xdp_query_id(static_cast<int>(index), 0, &id); error != 0) {
    return errno_error(-error, "cannot ask which XDP program '{}' has", interface);
  }
  return id;
}

absl::StatusOr<Program> describe_program(std::uint32_t id) {
  const OwnedFd fd(bpf_prog_get_fd_by_id(id));
  if (fd.get() < 0) return errno_error(errno, "cannot look at XDP program {}", id);
  std::array<std::uint32_t, 16> map_ids{};
  bpf_prog_info info{};
  info.nr_map_ids = map_ids.size();
  info.map_ids = reinterpret_cast<std::uintptr_t>(map_ids.data());
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0)
    return errno_error(errno, "cannot look at XDP program {}", id);
  const std::size_t maps = std::min<std::size_t>(info.nr_map_ids, map_ids.size());
  return Program{info.name, {map_ids.begin(), map_ids.begin() + static_cast<std::ptrdiff_t>(maps)}};
}

absl::StatusOr<OwnedFd> find_map(const Program& program, std::string_view name) {
  for (const std::uint32_t id : program.map_ids) {
    OwnedFd fd(bpf_map_get_fd_by_id(id));
    bpf_map_info info{};
    std::uint32_t size = sizeof info;
    if (fd.get() >= 0 && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 && info.name == name) return fd;
  }
  return not_found("XDP program '{}' has no map '{}'", program.name, name);
}

// struct prefix4 or prefix6 of steer.bpf.c.
std::vector<std::uint8_t> map_key(const IpPrefix& prefix) {
  const std::uint32_t bits = prefix.length_bits();
  std::vector<std::uint8_t> key(sizeof bits);
  std::memcpy(key.data(), &bits, sizeof bits);
  key.insert(key.end(), prefix.address().bytes().begin(), prefix.address().bytes().end());
  return key;
}

using Key = std::vector<std::uint8_t>;

std::vector<Key> keys_in(int map, std::size_t key_bytes) {
  std::vector<Key> keys;
  Key next(key_bytes);
  while (keys.size() < kVipsMax &&
         bpf_map_get_next_key(map, keys.empty() ? nullptr : keys.back().data(), next.data()) == 0) {
    keys.push_back(next);
  }
  return keys;
}

absl::Status set_keys(int map, const std::vector<IpPrefix>& vips, std::size_t key_bytes) {
  std::vector<Key> wanted;
  for (const IpPrefix& vip : vips) {
    const std::uint8_t present = 1;
    wanted.push_back(map_key(vip));
    if (bpf_map_update_elem(map, wanted.back().data(), &present, BPF_ANY) != 0) {
      return errno_error(errno, "cannot steer {}", vip.to_string());
    }
  }
  for (const Key& key : keys_in(map, key_bytes)) {
    if (std::find(wanted.begin(), wanted.end(), key) != wanted.end()) continue;
    if (bpf_map_delete_elem(map, key.data()) != 0) return errno_error(errno, "cannot stop steering a former VIP");
  }
  return absl::OkStatus();
}

absl::StatusOr<unsigned> interface_index(const std::string& interface) {
  const unsigned index = ::if_nametoindex(interface.c_str());
  if (index == 0) return errno_error(errno, "no interface '{}'", interface);
  return index;
}

}  // namespace

absl::StatusOr<OwnedFd> claim_interface(const std::string& interface) {
  OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return errno_error(errno, "cannot make a socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A leading zero byte: a name in the network namespace, not in the file system (unix(7)).
  const std::string name = fmt::format("anypop-dataplane/{}", interface);
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    if (errno == EADDRINUSE) {
      return already_exists("another anypop-dataplane steers '{}'; expected one per interface; remedy: stop it",
                            interface);
    }
    return errno_error(errno, "cannot claim '{}'", interface);
  }
  return fd;
}

absl::Status clear_stale_steering(const std::string& interface) {
  const auto index = interface_index(interface);
  if (!index.ok()) return index.status();
  const auto id = attached_program(interface, *index);
  if (!id.ok() || *id == 0) return id.status();
  const auto program = describe_program(*id);
  if (!program.ok()) return program.status();
  if (program->name != kProgramName) {
    return already_exists(
        "'{}' has an XDP program of somebody else, '{}' (id {}); expected none; remedy: remove it with 'ip link set {} "
        "xdp off' if nobody needs it",
        interface, escaped(program->name), *id, interface);
  }
  if (const int error = bpf_xdp_detach(static_cast<int>(*index), 0, nullptr); error != 0) {
    return errno_error(-error, "cannot remove our stale XDP program from '{}'", interface);
  }
  return absl::OkStatus();
}

absl::StatusOr<OwnedFd> steering_object() {
  OwnedFd fd(::memfd_create("anypop-steer.o", MFD_CLOEXEC));
  if (fd.get() < 0) return errno_error(errno, "cannot make a file in memory for the XDP program");
  std::string_view rest = steering_object_bytes();
  while (!rest.empty()) {
    const ssize_t written = ::write(fd.get(), rest.data(), rest.size());
    if (written <= 0) return errno_error(errno, "cannot write the XDP program");
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return fd;
}

std::string fd_path(const OwnedFd& fd) { return fmt::format("/proc/self/fd/{}", fd.get()); }

absl::Status steer_vips(const std::string& interface, const std::vector<IpPrefix>& vips) {
  const auto index = interface_index(interface);
  if (!index.ok()) return index.status();
  const auto id = attached_program(interface, *index);
  if (!id.ok()) return id.status();
  if (*id == 0) return not_found("'{}' has no XDP program after the port's start", interface);
  const auto program = describe_program(*id);
  if (!program.ok()) return program.status();
  for (const Family family : {Family::kV4, Family::kV6}) {
    std::vector<IpPrefix> wanted;
    std::copy_if(vips.begin(), vips.end(), std::back_inserter(wanted),
                 [&](const IpPrefix& vip) { return vip.family() == family; });
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    if (wanted.size() > kVipsMax) {
      return resource_exhausted("found {} {} VIPs, expected at most {}", wanted.size(), family_name(family), kVipsMax);
    }
    const auto map = find_map(*program, family == Family::kV4 ? kMapV4 : kMapV6);
    if (!map.ok()) return map.status();
    const std::size_t key_bytes = sizeof(std::uint32_t) + (family == Family::kV4 ? 4 : 16);
    if (absl::Status status = set_keys(map->get(), wanted, key_bytes); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace anypop::dataplane
