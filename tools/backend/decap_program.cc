// SPDX-License-Identifier: Apache-2.0
#include "decap_program.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <absl/cleanup/cleanup.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>

#include "base/owned_fd.h"
#include "base/text.h"
#include "tc_filters.h"

namespace anypop {
std::string_view bpf_object_decap();
}

namespace anypop::backend {
namespace {

constexpr const char* kProgram = "anypop_decap";  // the function's name in decap.bpf.c
constexpr const char* kCounters = "counters";

absl::StatusOr<int> interface_index(const std::string& interface) {
  const unsigned index = ::if_nametoindex(interface.c_str());
  if (index == 0) return not_found("found no interface '{}', expected one of this server", escaped(interface));
  return static_cast<int>(index);
}

// Both directions: libbpf takes clsact itself off only then.
bpf_tc_hook hook_at(int index, int attach_point = BPF_TC_INGRESS) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = index;
  hook.attach_point = static_cast<bpf_tc_attach_point>(attach_point);
  return hook;
}

bpf_tc_opts our_place() {
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.handle = kFilterHandle;
  options.priority = kFilterPriority;
  return options;
}

// libbpf returns errors, and tells more about them only on standard error: nobody wants to read that.
int no_words(libbpf_print_level /*level*/, const char* /*format*/, va_list /*arguments*/) { return 0; }

// struct prefix4 or prefix6 of decap.h, or an address alone.
std::vector<std::uint8_t> key_of(const IpPrefix& prefix) {
  const std::uint32_t bits = prefix.length_bits();
  std::vector<std::uint8_t> key(sizeof bits);
  std::memcpy(key.data(), &bits, sizeof bits);
  key.insert(key.end(), prefix.address().bytes().begin(), prefix.address().bytes().end());
  return key;
}
std::vector<std::uint8_t> key_of(const IpAddress& address) { return {address.bytes().begin(), address.bytes().end()}; }
std::string map_name(std::string_view name, Family family) {
  return fmt::format("{}{}", name, family == Family::kV4 ? 4 : 6);
}

absl::Status put(const BpfObject& object, const std::string& map_name, const void* key, const void* value) {
  const int map = bpf_object__find_map_fd_by_name(object.get(), map_name.c_str());
  if (map < 0 || bpf_map_update_elem(map, key, value, BPF_ANY) != 0) {
    return errno_error(errno, "cannot fill the map '{}' of the decapsulation program", map_name);
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status put_all(const BpfObject& object, std::string_view name, const std::vector<T>& values) {
  const std::uint8_t present = 1;
  for (const T& value : values) {
    absl::Status status = put(object, map_name(name, value.family()), key_of(value).data(), &present);
    if (!status.ok()) return make_error(status.code(), "{}: {}", value.to_string(), message(status));
  }
  return absl::OkStatus();
}

absl::Status fill(const BpfObject& object, const Wish& wish) {
  if (absl::Status status = put_all(object, "vips", wish.vips); !status.ok()) return status;
  if (absl::Status status = put_all(object, "sources", wish.sources); !status.ok()) return status;
  if (absl::Status status = put_all(object, "addresses", wish.addresses); !status.ok()) return status;
  for (const std::uint16_t port : wish.gue_ports) {
    const std::uint16_t key = htons(port);
    const std::uint8_t present = 1;
    if (absl::Status status = put(object, "gue_ports", &key, &present); !status.ok()) return status;
  }
  const std::uint32_t zero = 0;
  const std::uint32_t allowed =
      (wish.ipip ? unsigned{DECAP_ALLOW_IPIP} : 0) | (wish.gre ? unsigned{DECAP_ALLOW_GRE} : 0) |
      (wish.gue ? unsigned{DECAP_ALLOW_GUE} : 0) | (wish.sources.empty() ? unsigned{DECAP_ALLOW_ANY_SOURCE} : 0);
  return put(object, "settings", &zero, &allowed);
}

struct Program {
  std::string name;
  std::vector<std::uint32_t> map_ids;
};

absl::StatusOr<Program> describe(std::uint32_t id) {
  const OwnedFd fd(bpf_prog_get_fd_by_id(id));
  if (fd.get() < 0) return errno_error(errno, "cannot look at BPF program {}", id);
  std::array<std::uint32_t, 32> map_ids{};
  bpf_prog_info info{};
  info.nr_map_ids = map_ids.size();
  info.map_ids = reinterpret_cast<std::uintptr_t>(map_ids.data());
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) {
    return errno_error(errno, "cannot look at BPF program {}", id);
  }
  const std::size_t maps = std::min<std::size_t>(info.nr_map_ids, map_ids.size());
  return Program{info.name, {map_ids.begin(), map_ids.begin() + static_cast<std::ptrdiff_t>(maps)}};
}

// The program at our place; id 0: none.
absl::StatusOr<std::uint32_t> program_at(const std::string& interface, int index) {
  const bpf_tc_hook hook = hook_at(index);
  bpf_tc_opts options = our_place();
  const int error = bpf_tc_query(&hook, &options);
  if (error == -ENOENT || error == -EINVAL) return 0U;  // EINVAL: no clsact
  if (error != 0) return errno_error(-error, "cannot ask which tc program '{}' has", interface);
  return options.prog_id;
}

// Of our program there; a negative descriptor: none.
OwnedFd counters_at(const std::string& interface, int index) {
  const auto id = program_at(interface, index);
  if (!id.ok() || *id == 0) return {};
  const auto program = describe(*id);
  if (!program.ok() || program->name != kProgram) return {};
  for (const std::uint32_t map_id : program->map_ids) {
    OwnedFd fd(bpf_map_get_fd_by_id(map_id));
    bpf_map_info info{};
    std::uint32_t size = sizeof info;
    const bool fits = fd.get() >= 0 && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 &&
                      std::string_view(info.name) == kCounters && info.max_entries == DECAP_VERDICTS;
    if (fits) return fd;
  }
  return {};
}

absl::StatusOr<Counters> sum_counters(int map) {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 1) return errno_error(-cpus, "cannot count the processors");
  std::vector<std::uint64_t> values(static_cast<std::size_t>(cpus));
  Counters sums{};
  for (std::uint32_t verdict = 0; verdict < sums.size(); ++verdict) {
    if (bpf_map_lookup_elem(map, &verdict, values.data()) != 0) return errno_error(errno, "cannot read the counters");
    for (const std::uint64_t value : values) sums[verdict] += value;
  }
  return sums;
}

}  // namespace

void CloseBpfObject::operator()(bpf_object* object) const { bpf_object__close(object); }

int program_fd(const BpfObject& object) {
  return bpf_program__fd(bpf_object__find_program_by_name(object.get(), kProgram));
}

absl::StatusOr<BpfObject> load_decap(const Wish& wish, int counters_fd, std::string_view object_bytes) {
  libbpf_set_print(no_words);
  const std::string_view bytes = object_bytes.empty() ? bpf_object_decap() : object_bytes;
  BpfObject object(bpf_object__open_mem(bytes.data(), bytes.size(), nullptr));
  if (!object) return errno_error(errno, "cannot read the decapsulation program");
  if (counters_fd >= 0) {
    bpf_map* counters = bpf_object__find_map_by_name(object.get(), kCounters);
    if (bpf_map__reuse_fd(counters, counters_fd) != 0) return errno_error(errno, "cannot go on with the old counters");
  }
  if (const int error = bpf_object__load(object.get()); error != 0) {
    return errno_error(-error, "the kernel does not take the decapsulation program");
  }
  if (absl::Status status = fill(object, wish); !status.ok()) return status;
  return object;
}

absl::StatusOr<Counters> read_counters(const BpfObject& object) {
  return sum_counters(bpf_object__find_map_fd_by_name(object.get(), kCounters));
}

absl::StatusOr<Hook> look_at_ingress(const std::string& interface) {
  const auto index = interface_index(interface);
  if (!index.ok()) return index.status();
  libbpf_set_print(no_words);
  Hook hook;
  const auto qdisc = has_clsact(*index);
  if (!qdisc.ok()) return qdisc.status();
  hook.has_qdisc = *qdisc;
  if (!hook.has_qdisc) return hook;
  const auto id = program_at(interface, *index);
  if (!id.ok()) return id.status();
  if (*id == 0) return hook;
  const auto program = describe(*id);
  if (!program.ok()) return program.status();
  hook.ours = program->name == kProgram;
  if (!hook.ours) hook.other = program->name;
  return hook;
}

absl::Status attach_decap(const std::string& interface, const Wish& wish) {
  const auto index = interface_index(interface);
  if (!index.ok()) return index.status();
  const OwnedFd counters = counters_at(interface, *index);
  const auto object = load_decap(wish, counters.get());
  if (!object.ok()) return object.status();
  bpf_tc_hook hook = hook_at(*index);
  if (const int error = bpf_tc_hook_create(&hook); error != 0 && error != -EEXIST) {
    return errno_error(-error, "cannot put clsact on '{}'", interface);
  }
  bpf_tc_opts options = our_place();
  options.prog_fd = program_fd(*object);
  options.flags = BPF_TC_F_REPLACE;
  if (const int error = bpf_tc_attach(&hook, &options); error != 0) {
    return errno_error(-error, "cannot attach the decapsulation program to '{}'", interface);
  }
  return absl::OkStatus();
}

absl::Status detach_decap(const std::string& interface, bool qdisc_too) {
  const auto index = interface_index(interface);
  if (!index.ok()) return index.status();
  const auto hook_state = look_at_ingress(interface);
  if (!hook_state.ok()) return hook_state.status();
  bpf_tc_hook hook = hook_at(*index);
  const bpf_tc_opts options = our_place();
  if (hook_state->ours) {
    if (const int error = bpf_tc_detach(&hook, &options); error != 0) {
      return errno_error(-error, "cannot take the decapsulation program from '{}'", interface);
    }
  }
  if (qdisc_too && hook_state->has_qdisc) {
    const auto used = has_filters(*index);
    if (!used.ok()) return used.status();
    bpf_tc_hook whole = hook_at(*index, BPF_TC_INGRESS | BPF_TC_EGRESS);
    if (const int error = *used ? 0 : bpf_tc_hook_destroy(&whole); error != 0) {
      return errno_error(-error, "cannot take clsact from '{}'", interface);
    }
  }
  return hook_state->ours ? absl::OkStatus() : not_found("'{}' has no decapsulation program", interface);
}

absl::StatusOr<Counters> decap_counters(const std::string& interface) {
  const auto index = interface_index(interface);
  if (!index.ok()) return index.status();
  const OwnedFd counters = counters_at(interface, *index);
  if (counters.get() < 0) return not_found("'{}' has no decapsulation program", interface);
  return sum_counters(counters.get());
}

}  // namespace anypop::backend
