// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// Decides, in the NIC's receive path, what enters the dataplane: packets to a VIP go to the AF_XDP socket of the queue
// they arrived on, everything else (BGP, ARP, ND, SSH) goes on to the kernel. When no socket is there, because the
// dataplane is dead or not up yet, VIP packets go to the kernel too: bpf_redirect_map()'s fallback.
// The dataplane finds the maps by name, through the attached program's id.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VIPS_MAX 4096
#define QUEUES_MAX 64

struct vlan_header {
  __be16 tci;
  __be16 encapsulated_proto;
};

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, QUEUES_MAX);
  __type(key, __u32);
  __type(value, __u32);
} xsks_map SEC(".maps");

struct prefix4 {
  __u32 bits;
  __be32 address;
};

struct prefix6 {
  __u32 bits;
  struct in6_addr address;
};

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, VIPS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct prefix4);
  __type(value, __u8);
} vips4 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, VIPS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct prefix6);
  __type(value, __u8);
} vips6 SEC(".maps");

static __always_inline int is_vip(void *at, void *end, __be16 proto) {
  if (proto == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = at;
    if ((void *)(ip + 1) > end) return 0;
    struct prefix4 destination = {32, ip->daddr};
    return bpf_map_lookup_elem(&vips4, &destination) != 0;
  }
  if (proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = at;
    if ((void *)(ip + 1) > end) return 0;
    struct prefix6 destination = {128, ip->daddr};
    return bpf_map_lookup_elem(&vips6, &destination) != 0;
  }
  return 0;
}

SEC("xdp")
int anypop_steer(struct xdp_md *context) {
  void *end = (void *)(long)context->data_end;
  struct ethhdr *ethernet = (void *)(long)context->data;
  if ((void *)(ethernet + 1) > end) return XDP_PASS;
  void *at = ethernet + 1;
  __be16 proto = ethernet->h_proto;
  if (proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD)) {
    struct vlan_header *vlan = at;
    if ((void *)(vlan + 1) > end) return XDP_PASS;
    proto = vlan->encapsulated_proto;
    at = vlan + 1;
  }
  if (!is_vip(at, end, proto)) return XDP_PASS;
  return (int)bpf_redirect_map(&xsks_map, context->rx_queue_index, XDP_PASS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
