// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// Takes the outer header off the packets that Anypop's balancers send to this server, at the ingress of an interface
// (tc, clsact). What is left goes up the stack as if it had come without a tunnel. Anything else is passed on as it
// is; other filters of the interface get their turn.
#include "decap.h"

#include <linux/pkt_cls.h>

#define TOS_AT 1
#define CHECKSUM4_AT 10

static __always_inline __u32 take_off(struct __sk_buff *skb, struct tunnel *tunnel) {
  // GUE is UDP, and what the kernel put together of several datagrams holds several GUE headers.
  if (tunnel->decap == DECAP_GUE && skb->gso_size != 0) return DECAP_DROP_FAILED;
  __s32 strip = (__s32)(tunnel->inner_offset - tunnel->outer_offset);
  __be16 type = bpf_htons(tunnel->inner_v6 ? ETH_P_IPV6 : ETH_P_IP);
  if (tunnel->inner_v6 != tunnel->outer_v6) {
    // The only way to change a packet's family that kernels before 6.3 have; it also resizes the header.
    if (bpf_skb_change_proto(skb, type, 0)) return DECAP_DROP_FAILED;
    strip += tunnel->inner_v6 ? 20 : -20;
  }
  // The segments that the kernel put together keep the size they came with.
  if (bpf_skb_adjust_room(skb, -strip, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO)) return DECAP_DROP_FAILED;
  if (bpf_skb_store_bytes(skb, tunnel->outer_offset - sizeof(type), &type, sizeof(type), 0)) return DECAP_DROP_FAILED;
  return tunnel->decap;
}

// False: drop it.
static __always_inline __u32 mark(struct __sk_buff *skb, struct tunnel *tunnel) {
  __u8 head[2];
  if (bpf_skb_load_bytes(skb, tunnel->inner_offset, head, sizeof(head))) return DECAP_DROP_FAILED;
  const __u8 old = tunnel->inner_v6 ? (head[1] >> 4) & 3 : head[1] & 3;
  const __u8 new = inner_ecn(old, tunnel->ecn);
  if (new == old) return tunnel->decap;
  if (new > 3) return DECAP_DROP_CONGESTED;
  if (tunnel->inner_v6) {
    head[1] = (head[1] & ~0x30) | (new << 4);
    if (bpf_skb_store_bytes(skb, tunnel->inner_offset, head, sizeof(head), BPF_F_RECOMPUTE_CSUM))
      return DECAP_DROP_FAILED;
    return tunnel->decap;
  }
  const __be16 from = bpf_htons(head[1]);
  head[1] = (head[1] & ~3) | new;
  const __be16 to = bpf_htons(head[1]);
  // The two changes cancel out in the sum of the whole packet.
  if (bpf_l3_csum_replace(skb, tunnel->inner_offset + CHECKSUM4_AT, from, to, sizeof(from)) ||
      bpf_skb_store_bytes(skb, tunnel->inner_offset + TOS_AT, &head[1], 1, 0)) {
    return DECAP_DROP_FAILED;
  }
  return tunnel->decap;
}

static __always_inline __u32 decide(struct __sk_buff *skb) {
  struct tunnel tunnel = {.outer_offset = ETH_HLEN};
  // Behind the tag that a NIC or the kernel has taken off; a second tag is still in the frame and is left alone.
  const int v4 = skb->protocol == bpf_htons(ETH_P_IP);
  if ((!v4 && skb->protocol != bpf_htons(ETH_P_IPV6)) || skb->pkt_type != 0 /* PACKET_HOST */) return DECAP_PASS_OTHER;
  const __u32 wanted = skb->len < HEADERS_MAX_BYTES ? skb->len : HEADERS_MAX_BYTES;
  if ((void *)(long)skb->data + wanted > (void *)(long)skb->data_end && bpf_skb_pull_data(skb, wanted)) {
    return DECAP_PASS_OTHER;
  }
  void *at = (void *)(long)skb->data + ETH_HLEN;
  void *end = (void *)(long)skb->data_end;
  const __u32 verdict =
      v4 ? read_outer4(at, end, skb->len, &tunnel) : read_outer6(at, end, skb->len, &tunnel);
  if (verdict < DECAP_IPIP || verdict > DECAP_GUE) return verdict;
  const __u32 marked = tunnel.ecn ? mark(skb, &tunnel) : verdict;
  return marked == verdict ? take_off(skb, &tunnel) : marked;
}

SEC("tc")
int anypop_decap(struct __sk_buff *skb) {
  return count(decide(skb)) < DECAP_DROP_MALFORMED ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
