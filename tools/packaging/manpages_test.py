# SPDX-License-Identifier: Apache-2.0
"""The man pages as a reader gets them: ANYPOP_BIN has the programs."""
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(os.environ["ANYPOP_BIN"])
PAGES = ("anypop.1", "bgpctl.1", "anypop-dataplane.8", "anypop-healthmon.8", "anypop-backend.8")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    out = tmp_path_factory.mktemp("man")
    subprocess.run([HERE / "manpages", BIN, out, "1700000000"], check=True)
    return out


def rendered(path):
    groff = subprocess.run(["groff", "-man", "-Tutf8", "-P-cbou", "-ww", path], capture_output=True, text=True, check=True)
    assert groff.stderr == ""
    return groff.stdout


def sections(text):
    parts = re.split(r"^(\S.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.mark.parametrize("page", PAGES)
def test_it_fits_a_terminal_and_has_its_sections(pages, page):
    text = rendered(pages / page)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "FILES", "SEE ALSO"} <= sections(text).keys()
    assert "November 2023" in text, "the date that was given, so that a package is the same whenever it is built"


@pytest.mark.parametrize("page, program", [("bgpctl.1", "bgpctl"), ("anypop.1", "anypop")])
def test_each_command_has_an_example(pages, page, program):
    said = subprocess.run([BIN / program, "--help"], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^  ([a-z][a-z-]+)  ", said.split("Subcommands:")[1].split("\n\n")[0], re.MULTILINE)
    assert len(names) > 5
    commands = re.split(rf"^   {program} (\S+) .*$", sections(rendered(pages / page))["COMMANDS"], flags=re.MULTILINE)
    found = dict(zip(commands[1::2], commands[2::2]))
    for name in names:
        assert re.search(rf"Examples:\n+ {{11}}.*{program} {name}", found[name]), name


def test_an_example_can_be_typed(pages):
    """What is too long for the page goes on behind a backslash, as in a shell."""
    text = rendered(pages / "anypop.1")
    assert re.search(r"anypop explain --from '\[2001:db8:c::7\]:4242' --to \\\n +'\[2001:db8:53::1\]:443'", text)
    assert "\n           anypop status --json | jq .monitor.announcements\n" in text
