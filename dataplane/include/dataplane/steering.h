// SPDX-License-Identifier: Apache-2.0
// The XDP program that steers VIP packets from a kernel interface into the dataplane (bpf/steer.bpf.c). DPDK's AF_XDP
// driver loads and attaches it; this side hands it the object, clears away what a killed process left, and fills the
// VIP maps, which it finds through the attached program. Control thread only.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/address.h"
#include "base/owned_fd.h"

namespace anypop::dataplane {

// Only one dataplane may steer an interface. The claim is an abstract Unix socket: it belongs to the network namespace,
// as the interface does, and it goes when the process goes. AlreadyExists: a living dataplane holds it.
absl::StatusOr<OwnedFd> claim_interface(const std::string& interface);

// Makes room for our program. A steering program of ours on a claimed interface is left over and is removed;
// AlreadyExists for somebody else's, which is never touched.
absl::Status clear_stale_steering(const std::string& interface);

// The compiled program in memory; its path is /proc/self/fd/N as long as the descriptor lives.
absl::StatusOr<OwnedFd> steering_object();
std::string fd_path(const OwnedFd& fd);

// Makes these the VIPs of the program that is attached to `interface`, once the driver has attached it: adds what is
// missing, removes what is not among them, and leaves alone what stays.
absl::Status steer_vips(const std::string& interface, const std::vector<IpPrefix>& vips);

}  // namespace anypop::dataplane
