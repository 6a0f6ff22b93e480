# SPDX-License-Identifier: Apache-2.0
"""What cannot work is refused before anything is changed, with the host, the variable and the remedy."""
import pytest

import inventory

PORT = {"name": "uplink", "af_xdp": "eth0"}
ONE_OTHER = "{{ '%s' if inventory_hostname == 'fra-lb1' else '%s' }}"

REFUSED = [
    # what is set, where it is said, what is said, the remedy
    ({"anypop_bird_as": "{{ nobody_set_this }}"}, "anypop_bird_as is not set", "set it in group_vars"),
    ({"anypop_bird_hold_time_s": "long"}, "anypop_bird_hold_time_s", "unable to convert to int"),
    ({"anypop_hash_key": "short"}, "anypop_hash_key is not 32 hexadecimal digits", "openssl rand -hex 16"),
    ({"anypop_hash_key": ONE_OTHER % ("a" * 32, "b" * 32)}, "ams-lb1 and fra-lb1 differ in anypop_hash_key", "group_vars/all"),
    ({"anypop_services": "{{ anypop_bed_services[:1] if inventory_hostname == 'fra-lb1' else anypop_bed_services }}",
      "anypop_bed_services": inventory.services()}, "fra-lb1 serves web4 tcp 198.51.100.1 port 80: users", "make them alike"),
    ({"anypop_services": "{{ anypop_bed_services if inventory_hostname == 'ams-lb2' else anypop_bed_services | reverse }}",
      "anypop_bed_services": inventory.services()}, "both of PoP ams, but differ in anypop_services", "group_vars"),
    ({"anypop_announcements": [{"name": ONE_OTHER % ("a", "b"), "prefixes": ["198.51.100.0/24"]}]},
     "differ in anypop_announcements", "group_vars/all"),
    ({"anypop_bird_router_id": "10.1.0.2"}, "have the same anypop_bird_router_id 10.1.0.2", "host_vars"),
    ({"anypop_dataplane": {"ports": [PORT], "probe_sources": ["172.20.0.0/24"]}}, "have the same anypop_dataplane.probe_sources 172.20",
     "host_vars"),
    ({"anypop_bird_neighbors": [{"name": "anypop_x", "address": "10.1.0.1", "as": 65001}]}, "found names anypop_x", "not anypop_"),
    ({"anypop_dataplane": {"ports": [PORT | {"pci": "0000:3b:00.0"}]}}, "port uplink has af_xdp and pci", "expected one of"),
    ({"anypop_dataplane": {"ports": [PORT | {"af_xdp": "eth9"}]}}, "found no interface eth9", "expected one of"),
    ({"anypop_dataplane": {"ports": [PORT | {"queues": 64}]}}, "queues: 64", "anypop_host_ethtool"),
    ({"anypop_dataplane": {"ports": [{"name": "u", "pci": "0000:3b:00.0"}]}}, "no network card behind an IOMMU", "lspci -D"),
    ({"anypop_dataplane": {"ports": [PORT], "cores": [1, 999]}}, "found 1, 999", "numbers below"),
    ({"anypop_dataplane": {"ports": [PORT], "memory_mb": 65536}}, "needs 32768 hugepages", "raise the latter"),
    ({"anypop_host_hugepages": 1000000}, "anypop_host_hugepages 1000000 are 2000000 MB", "lower it, or add memory"),
    ({"anypop_kernel_minimum": "99"}, "expected 99 or newer", "boot Debian 12's"),
    ({"anypop_package_file": "/nowhere/anypop_1_amd64.deb"}, "anypop_package_file: found no file /nowhere", "build-deb"),
]


@pytest.mark.parametrize("variables, said, remedy", REFUSED, ids=[said for _, said, _ in REFUSED])
def test_refused(operator, variables, said, remedy):
    _refused(operator, "ams-lb1", said, remedy, **variables)


def test_a_variable_that_is_missing(operator):
    """Not only empty: not there at all."""
    path = operator.inventory / "group_vars/all/main.yml"
    whole = path.read_text()
    path.write_text(whole.replace("anypop_hash_key:", "anypop_other_key:"))
    try:
        _refused(operator, "ams-lb1", "anypop_hash_key is not set", "set it in group_vars")
    finally:
        path.write_text(whole)


@pytest.mark.parametrize("break_it, mend_it, said, remedy", [
    ("ip link add br0 type bridge", "ip link del br0", "br0 is a bridge", "name the NIC"),
    ("ip link add br0 mtu 9000 type veth peer name br1", "ip link del br0", "br0 has MTU 9000", "3498"),
])
def test_an_interface_that_will_not_do(operator, break_it, mend_it, said, remedy):
    operator.must("ams-lb1", break_it)
    try:
        _refused(operator, "ams-lb1", said, remedy, anypop_dataplane={"ports": [PORT | {"af_xdp": "br0"}]})
    finally:
        operator.must("ams-lb1", mend_it)


@pytest.mark.parametrize("host, file, remedy", [
    ("lon-lb1", "/etc/bird/bird.conf", "anypop_bird_take_over"),
    ("lon-b1", "/etc/prometheus/prometheus.yml", "anypop_monitoring_take_over"),
])
def test_what_somebody_configured_by_hand(operator, host, file, remedy):
    operator.must(host, f"cp -p {file} /root/ours; sed -i '1s/.*/# mine/' {file}")
    try:
        _refused(operator, host, f"{file} was written by hand", remedy)
    finally:
        operator.must(host, f"cp -p /root/ours {file}")


def test_a_balancer_that_nobody_can_ask(operator):
    _refused(operator, "lon-b1", "anypop_monitor.http_listen: found 127.0.0.1:9473", "expected an address",
             anypop_monitor={"http_listen": "127.0.0.1:9473"})


def test_a_backend_without_an_address(operator):
    _refused(operator, "lon-b1", "found neither anypop_backend_address4 nor anypop_backend_address6", "set one",
             anypop_backend_address4="", anypop_backend_address6="")


def _refused(operator, host, said, remedy, **variables):
    played = operator.play("preflight.yml", "--limit", host, **variables)
    words = " ".join(played.output.replace("\\n", " ").split())
    assert played.code != 0 and said in words and remedy in words and host in words, played.output[-3000:]
    assert set(played.changed.values()) == {0}
