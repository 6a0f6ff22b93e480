/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Is this packet a tunnel's, for us, and where does the inner packet begin? Shared by the tc program, which backends
 * run, and the XDP program, which the benchmark sets against it. Reads only; every byte is checked against `end` before
 * it is read, and every length against the one around it. */
#pragma once

/* The kernel's types first, because libbpf's headers need them. */
/* clang-format off */
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
/* clang-format on */

#include "verdicts.h"

#define PREFIXES_MAX 4096
#define ADDRESSES_MAX 1024
#define PORTS_MAX 64

/* Ethernet, IPv6, UDP and GUE, IPv6. */
#define HEADERS_MAX_BYTES (14 + 40 + 12 + 40)

struct prefix4 {
  __u32 bits;
  __be32 address;
};

struct prefix6 {
  __u32 bits;
  struct in6_addr address;
};

#define PREFIX_MAP(name, prefix)          \
  struct {                                \
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);  \
    __uint(max_entries, PREFIXES_MAX);    \
    __uint(map_flags, BPF_F_NO_PREALLOC); \
    __type(key, prefix);                  \
    __type(value, __u8);                  \
  } name SEC(".maps")

PREFIX_MAP(vips4, struct prefix4); /* inner destinations */
PREFIX_MAP(vips6, struct prefix6);
PREFIX_MAP(sources4, struct prefix4); /* outer sources */
PREFIX_MAP(sources6, struct prefix6);

#define SET_MAP(name, entries, key_type) \
  struct {                               \
    __uint(type, BPF_MAP_TYPE_HASH);     \
    __uint(max_entries, entries);        \
    __type(key, key_type);               \
    __type(value, __u8);                 \
  } name SEC(".maps")

SET_MAP(addresses4, ADDRESSES_MAX, __be32); /* outer destinations: this server's addresses */
SET_MAP(addresses6, ADDRESSES_MAX, struct in6_addr);
SET_MAP(gue_ports, PORTS_MAX, __be16);

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32); /* DECAP_ALLOW_… */
} settings SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, DECAP_VERDICTS);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

struct gre_header {
  __be16 flags_and_version;
  __be16 protocol;
};

struct gue_header {
  __u8 version_control_length;
  __u8 protocol;
  __be16 flags;
};

/* Offsets count from the start of the frame, in bytes. */
struct tunnel {
  __u32 outer_offset;
  __u32 inner_offset;
  __u32 inner_limit; /* where the outer packet ends */
  __u8 outer_v6;
  __u8 inner_v6;
  __u8 ecn;
  __u8 source_allowed;
  __u8 decap; /* the verdict if it is taken off */
};

static __always_inline __u32 count(__u32 verdict) {
  __u64* counter = bpf_map_lookup_elem(&counters, &verdict);
  if (counter) ++*counter;
  return verdict;
}

/* Of a map that is a set: 1, or 0 for none. Read, because the compiler turns a mere test for null into arithmetic on
 * the pointer, which the verifier refuses. */
static __always_inline __u8 value_of(const __u8* found) { return found ? *found : 0; }

/* RFC 1071 over an IPv4 header without options: zero when it is whole. */
static __always_inline __u32 header_sum(const struct iphdr* ip) {
  const __u16* word = (const void*)ip;
  __u32 sum = 0;
#pragma unroll
  for (__u32 i = 0; i < sizeof(*ip) / sizeof(*word); ++i) sum += word[i];
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (__u16)~sum;
}

/* The inner packet: of the promised family, inside the outer one, and for a VIP. */
static __always_inline __u32 read_inner(void* at, void* end, struct tunnel* tunnel) {
  const __u32 room = tunnel->inner_limit - tunnel->inner_offset;
  if (tunnel->inner_limit < tunnel->inner_offset) return DECAP_DROP_MALFORMED;
  if (tunnel->inner_v6) {
    struct ipv6hdr* ip = at;
    if ((void*)(ip + 1) > end || ip->version != 6) return DECAP_DROP_MALFORMED;
    if (sizeof(*ip) + bpf_ntohs(ip->payload_len) > room) return DECAP_DROP_MALFORMED;
    struct prefix6 destination = {128, ip->daddr};
    if (!bpf_map_lookup_elem(&vips6, &destination)) return DECAP_PASS_NOT_VIP;
  } else {
    struct iphdr* ip = at;
    if ((void*)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return DECAP_DROP_MALFORMED;
    const __u32 total_bytes = bpf_ntohs(ip->tot_len);
    if (total_bytes < ip->ihl * 4 || total_bytes > room) return DECAP_DROP_MALFORMED;
    struct prefix4 destination = {32, ip->daddr};
    if (!bpf_map_lookup_elem(&vips4, &destination)) return DECAP_PASS_NOT_VIP;
  }
  return tunnel->source_allowed ? tunnel->decap : DECAP_DROP_SOURCE;
}

static __always_inline __u32 read_ipip(void* at, void* end, struct tunnel* tunnel, int inner_v6) {
  tunnel->inner_v6 = inner_v6;
  tunnel->decap = DECAP_IPIP;
  return read_inner(at, end, tunnel);
}

/* RFC 2784 without options, and version 0. */
static __always_inline __u32 read_gre(void* at, void* end, struct tunnel* tunnel) {
  struct gre_header* gre = at;
  if ((void*)(gre + 1) > end) return DECAP_DROP_MALFORMED;
  if (gre->flags_and_version) return DECAP_PASS_UNSUPPORTED;
  if (gre->protocol == bpf_htons(ETH_P_IPV6)) {
    tunnel->inner_v6 = 1;
  } else if (gre->protocol != bpf_htons(ETH_P_IP)) {
    return DECAP_PASS_UNSUPPORTED;
  }
  tunnel->inner_offset += sizeof(*gre);
  tunnel->decap = DECAP_GRE;
  return read_inner(gre + 1, end, tunnel);
}

/* GUE variant 0, a data packet without options (draft-ietf-intarea-gue section 3). The UDP checksum is not looked at:
 * the inner packet has its own, and the inner destination must be a VIP. */
static __always_inline __u32 read_gue(void* at, void* end, struct tunnel* tunnel) {
  struct udphdr* udp = at;
  if ((void*)(udp + 1) > end) return DECAP_DROP_MALFORMED;
  if (!bpf_map_lookup_elem(&gue_ports, &udp->dest)) return DECAP_PASS_OTHER;
  struct gue_header* gue = (void*)(udp + 1);
  if ((void*)(gue + 1) > end) return DECAP_DROP_MALFORMED;
  const __u32 limit = tunnel->inner_offset + bpf_ntohs(udp->len);
  if (limit > tunnel->inner_limit) return DECAP_DROP_MALFORMED;
  if (gue->version_control_length || gue->flags) return DECAP_PASS_UNSUPPORTED;
  if (gue->protocol == IPPROTO_IPV6) {
    tunnel->inner_v6 = 1;
  } else if (gue->protocol != IPPROTO_IPIP) {
    return DECAP_PASS_UNSUPPORTED;
  }
  tunnel->inner_limit = limit;
  tunnel->inner_offset += sizeof(*udp) + sizeof(*gue);
  tunnel->decap = DECAP_GUE;
  return read_inner(gue + 1, end, tunnel);
}

static __always_inline __u32 read_payload(void* at, void* end, __u8 protocol, struct tunnel* tunnel) {
  const __u32 zero = 0;
  const __u32* allowed = bpf_map_lookup_elem(&settings, &zero);
  if (!allowed) return DECAP_PASS_OTHER;
  if (*allowed & DECAP_ALLOW_ANY_SOURCE) tunnel->source_allowed = 1;
  if (protocol == IPPROTO_IPIP && (*allowed & DECAP_ALLOW_IPIP)) return read_ipip(at, end, tunnel, 0);
  if (protocol == IPPROTO_IPV6 && (*allowed & DECAP_ALLOW_IPIP)) return read_ipip(at, end, tunnel, 1);
  if (protocol == IPPROTO_GRE && (*allowed & DECAP_ALLOW_GRE)) return read_gre(at, end, tunnel);
  if (protocol == IPPROTO_UDP && (*allowed & DECAP_ALLOW_GUE)) return read_gue(at, end, tunnel);
  return DECAP_PASS_OTHER;
}

/* A header with options is none of ours, and neither is one with extension headers. */
static __always_inline __u32 read_outer4(void* at, void* end, __u32 frame_bytes, struct tunnel* tunnel) {
  struct iphdr* ip = at;
  if ((void*)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return DECAP_PASS_OTHER;
  if (!bpf_map_lookup_elem(&addresses4, &ip->daddr)) return DECAP_PASS_OTHER;
  if (ip->frag_off & bpf_htons(0x3fff)) return DECAP_PASS_FRAGMENT;
  if (ip->ihl != 5) return DECAP_PASS_UNSUPPORTED;
  const __u32 total_bytes = bpf_ntohs(ip->tot_len);
  if (total_bytes < sizeof(*ip) || total_bytes > frame_bytes - tunnel->outer_offset) return DECAP_DROP_MALFORMED;
  if (header_sum(ip) != 0) return DECAP_DROP_MALFORMED;
  tunnel->inner_offset = tunnel->outer_offset + sizeof(*ip);
  tunnel->inner_limit = tunnel->outer_offset + total_bytes;
  tunnel->ecn = ip->tos & 3;
  struct prefix4 source = {32, ip->saddr};
  tunnel->source_allowed = value_of(bpf_map_lookup_elem(&sources4, &source));
  return read_payload(ip + 1, end, ip->protocol, tunnel);
}

static __always_inline __u32 read_outer6(void* at, void* end, __u32 frame_bytes, struct tunnel* tunnel) {
  struct ipv6hdr* ip = at;
  if ((void*)(ip + 1) > end || ip->version != 6) return DECAP_PASS_OTHER;
  if (!bpf_map_lookup_elem(&addresses6, &ip->daddr)) return DECAP_PASS_OTHER;
  if (ip->nexthdr == IPPROTO_FRAGMENT) return DECAP_PASS_FRAGMENT;
  if (ip->nexthdr == IPPROTO_HOPOPTS || ip->nexthdr == IPPROTO_DSTOPTS || ip->nexthdr == IPPROTO_ROUTING) {
    return DECAP_PASS_UNSUPPORTED;
  }
  const __u32 total_bytes = sizeof(*ip) + bpf_ntohs(ip->payload_len);
  if (total_bytes > frame_bytes - tunnel->outer_offset) return DECAP_DROP_MALFORMED;
  tunnel->outer_v6 = 1;
  tunnel->inner_offset = tunnel->outer_offset + sizeof(*ip);
  tunnel->inner_limit = tunnel->outer_offset + total_bytes;
  tunnel->ecn = (ip->flow_lbl[0] >> 4) & 3;
  struct prefix6 source = {128, ip->saddr};
  tunnel->source_allowed = value_of(bpf_map_lookup_elem(&sources6, &source));
  return read_payload(ip + 1, end, ip->nexthdr, tunnel);
}

/* RFC 6040 section 4.2: the mark that the inner packet gets, from its own and the outer one; 4 for "drop it". */
static __always_inline __u8 inner_ecn(__u8 inner, __u8 outer) {
  if (outer == 3) return inner == 0 ? 4 : 3;
  if (outer == 1 && inner == 2) return 1;
  return inner;
}
