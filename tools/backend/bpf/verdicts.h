/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Every way out of the decapsulation program, for the program, the agent and the tests: identifier, name, meaning. */
#pragma once

#define ANYPOP_DECAP_VERDICTS(X)                                                                        \
  X(DECAP_PASS_OTHER, "pass_other", "not IP, for another address, or no tunnel: the kernel's own")      \
  X(DECAP_PASS_FRAGMENT, "pass_fragment", "a fragment to this server; Anypop's tunnels never make one") \
  X(DECAP_PASS_UNSUPPORTED, "pass_unsupported", "options that Anypop's tunnels never have")             \
  X(DECAP_PASS_NOT_VIP, "pass_not_vip", "a tunnel to this server whose inner packet is for no VIP")     \
  X(DECAP_IPIP, "decap_ipip", "IP in IP, taken off")                                                    \
  X(DECAP_GRE, "decap_gre", "GRE, taken off")                                                           \
  X(DECAP_GUE, "decap_gue", "GUE, taken off")                                                           \
  X(DECAP_DROP_MALFORMED, "drop_malformed", "lengths or a checksum contradict each other")              \
  X(DECAP_DROP_SOURCE, "drop_source", "for a VIP, but from a source that is not allowed")               \
  X(DECAP_DROP_CONGESTED, "drop_congested", "marked congested outside, but not ECN-capable inside")     \
  X(DECAP_DROP_FAILED, "drop_failed", "the kernel could not take the outer header off")

enum decap_verdict {
#define ANYPOP_DECAP_ENUM(identifier, name, meaning) identifier,
  ANYPOP_DECAP_VERDICTS(ANYPOP_DECAP_ENUM)
#undef ANYPOP_DECAP_ENUM
      DECAP_VERDICTS
};

/* Bits of decap_settings.encapsulations. */
#define DECAP_ALLOW_IPIP 1
#define DECAP_ALLOW_GRE 2
#define DECAP_ALLOW_GUE 4
#define DECAP_ALLOW_ANY_SOURCE 8
