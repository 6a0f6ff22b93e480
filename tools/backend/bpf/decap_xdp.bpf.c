// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// The decapsulation at XDP, for the benchmark that the choice of tc rests on (ARCHITECTURE.md). No backend runs it: it
// leaves out congestion marks and VLAN tags.
#include "decap.h"

static __always_inline __u32 decide(struct xdp_md *context) {
  void *end = (void *)(long)context->data_end;
  struct ethhdr *ethernet = (void *)(long)context->data;
  if ((void *)(ethernet + 1) > end) return DECAP_PASS_OTHER;
  const __u32 frame_bytes = context->data_end - context->data;
  struct tunnel tunnel = {.outer_offset = ETH_HLEN};
  __u32 verdict = DECAP_PASS_OTHER;
  if (ethernet->h_proto == bpf_htons(ETH_P_IP)) verdict = read_outer4(ethernet + 1, end, frame_bytes, &tunnel);
  if (ethernet->h_proto == bpf_htons(ETH_P_IPV6)) verdict = read_outer6(ethernet + 1, end, frame_bytes, &tunnel);
  if (verdict < DECAP_IPIP || verdict > DECAP_GUE) return verdict;
  struct ethhdr moved = *ethernet;
  moved.h_proto = bpf_htons(tunnel.inner_v6 ? ETH_P_IPV6 : ETH_P_IP);
  if (bpf_xdp_adjust_head(context, (int)(tunnel.inner_offset - ETH_HLEN))) return DECAP_DROP_FAILED;
  ethernet = (void *)(long)context->data;
  if ((void *)(ethernet + 1) > (void *)(long)context->data_end) return DECAP_DROP_FAILED;
  *ethernet = moved;
  return verdict;
}

SEC("xdp")
int anypop_decap(struct xdp_md *context) {
  return count(decide(context)) < DECAP_DROP_MALFORMED ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
