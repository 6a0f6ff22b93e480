// SPDX-License-Identifier: Apache-2.0
// For builds with the leak sanitizer: what DPDK's drivers keep until the end of the process is not ours to free.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:librte_\nleak:libbpf\nleak:libxdp\n"; }
extern "C" const char* __lsan_default_options();
extern "C" const char* __lsan_default_options() { return "print_suppressions=0"; }
