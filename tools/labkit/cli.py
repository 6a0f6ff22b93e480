# SPDX-License-Identifier: Apache-2.0
"""tools/lab's commands."""
from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from . import daemons, facts, status
from . import state as lab_state
from .errors import LabError
from .lab import Lab, clean_up, is_up
from .topology import VARIANTS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = """
examples:
  sudo tools/lab up                              bring the lab up
  sudo tools/lab up --variant ecmp               two balancers behind one router
  sudo tools/lab status                          who runs, which sessions are up, who answers
  sudo tools/lab exec client -- curl -s http://198.51.100.1/
  sudo tools/lab exec ams-lb1 -- bgpctl status
  sudo tools/lab shell t2                        then: vtysh -c 'show bgp ipv4'
  sudo tools/lab logs ams-lb1 healthmon -f
  sudo tools/lab kill ams-lb1 dataplane          a fault by hand; nobody starts it again but you
  sudo tools/lab start ams-lb1 dataplane
  sudo tools/lab stop ams-lb1 bird               it hangs; `cont` lets it go on
  sudo tools/lab list                            the scenarios
  sudo tools/lab run dataplane-kill --out /tmp/o one fault, measured, with table, JSON and plot
  sudo tools/lab run all --runs 10 --out /tmp/o  every fault ten times
  sudo tools/lab screenshots                     the pictures in tools/examples/screenshots, anew
  sudo tools/lab down                            nothing is left

`run` brings a lab up and takes it down by itself, unless one is up already."""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="tools/lab", description="Two PoPs, two routers and a client in network namespaces of this machine.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, function, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        return command

    up = add("up", _up, "bring the lab up and wait until it serves")
    _add_build(up)
    up.add_argument("--variant", choices=VARIANTS, default="standard", help="; ".join(
        f"{name}: {text}" for name, (_, text) in VARIANTS.items()))
    add("down", _down, "take the lab down; also heals what a killed one left")
    _add_json(add("status", _status, "who runs, which sessions are up, who answers"))
    shell = add("shell", _shell, "a shell in a host")
    shell.add_argument("host", metavar="HOST")
    execute = add("exec", _exec, "a command in a host; its exit code is ours")
    execute.add_argument("host", metavar="HOST")
    execute.add_argument("words", metavar="CMD", nargs=argparse.REMAINDER, help="after --")
    logs = add("logs", _logs, "the log of a daemon")
    logs.add_argument("host", metavar="HOST")
    logs.add_argument("daemon", metavar="DAEMON")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as it grows")
    for name, function, text in (
        ("kill", _kill, "kill a daemon (SIGKILL); nobody starts it again but you"),
        ("stop", _stop, "make a daemon hang (SIGSTOP)"),
        ("cont", _cont, "let a daemon that hangs go on (SIGCONT)"),
        ("start", _start, "start a daemon that is dead, and wait until it answers"),
    ):
        fault = add(name, function, text)
        fault.add_argument("host", metavar="HOST", help="for example ams-lb1")
        fault.add_argument("daemon", metavar="DAEMON", help="bird, dataplane, healthmon; nginx; bgpd, zebra, bfdd")
    _add_json(add("list", _list, "the scenarios"))
    pictures = add("screenshots", _screenshots, "takes the README's pictures: status page, top, failover report")
    pictures.add_argument("--out", type=Path, default=ROOT / "tools/examples/screenshots", metavar="DIR",
                          help="default: tools/examples/screenshots")
    _add_build(pictures)
    run = add("run", _run, "run a scenario, or all of them")
    run.add_argument("scenario", metavar="SCENARIO", help="a name from 'tools/lab list', or 'all'")
    run.add_argument("--runs", type=_count, default=1, metavar="N", help="of each scenario (default: 1)")
    run.add_argument("--out", type=Path, default=ROOT / "build/lab", metavar="DIR", help="default: build/lab")
    run.add_argument("--keep", action="store_true", help="leave the lab up that this command brought up")
    _add_build(run)
    _add_json(run)
    return top


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 10000:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a number from 1 to 10000")
    return int(text)


def _add_build(command: argparse.ArgumentParser) -> None:
    command.add_argument("--build", type=Path, default=ROOT / "build/release", metavar="DIR",
                         help="build folder, programs in DIR/bin (default: build/release)")


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="for programs")


def progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _up(arguments) -> int:
    with lab_state.machine_lock():
        Lab.up(arguments.build, progress, arguments.variant)
    progress("lab: up; try 'tools/lab exec client -- curl -s http://198.51.100.1/'")
    return 0


def _down(_arguments) -> int:
    lab_state.require_root()
    with lab_state.machine_lock():
        was_up = is_up()
        clean_up()
    progress("lab: down" if was_up else "lab: was not up; nothing is left")
    return 0


def _status(arguments) -> int:
    report = status.report(Lab.running(progress))
    print(json.dumps(report, indent=2) if arguments.json else status.text(report))
    return 0 if report["good"] else 1


def _enter(host: str, command: list[str]) -> int:
    lab = Lab.running(progress)
    environment = {**os.environ, "PATH": f"{daemons.BIN}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/lib/frr"}
    words = lab.enter(host, *command)
    sys.stdout.flush()
    os.execvpe(words[0], words, environment)


def _shell(arguments) -> int:
    prompt = f"PS1='{arguments.host}# '"
    return _enter(arguments.host, ["bash", "--rcfile", "/dev/null", "-c", f"export {prompt}; exec bash --norc -i"])


def _exec(arguments) -> int:
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not words:
        raise LabError("exec: found no command, expected: tools/lab exec HOST -- CMD…")
    return _enter(arguments.host, words)


def _logs(arguments) -> int:
    lab = Lab.running(progress)
    lab.init(arguments.host)
    lab.daemon(arguments.host, arguments.daemon)
    path = daemons.log_path(lab.init(arguments.host), arguments.daemon)
    if arguments.follow:
        os.execvp("tail", ["tail", "-n", "50", "-f", str(path)])
    with open(path, errors="replace") as log:
        shutil.copyfileobj(log, sys.stdout)
    return 0


def _hand_to(arguments) -> Lab:
    """The lab, once it is sure that it has such a daemon."""
    lab = Lab.running(progress)
    lab.init(arguments.host)
    lab.daemon(arguments.host, arguments.daemon)
    return lab


def _kill(arguments) -> int:
    lab = _hand_to(arguments)
    lab.kill(arguments.host, arguments.daemon)
    daemons.wait_gone(lab.init(arguments.host), arguments.daemon)
    progress(f"lab: {arguments.host}: {arguments.daemon} is dead; 'tools/lab start {arguments.host} {arguments.daemon}' "
             "brings it back")
    return 0


def _stop(arguments) -> int:
    _hand_to(arguments).kill(arguments.host, arguments.daemon, signal.SIGSTOP)
    progress(f"lab: {arguments.host}: {arguments.daemon} hangs; 'tools/lab cont {arguments.host} {arguments.daemon}' "
             "lets it go on")
    return 0


def _cont(arguments) -> int:
    _hand_to(arguments).kill(arguments.host, arguments.daemon, signal.SIGCONT)
    progress(f"lab: {arguments.host}: {arguments.daemon} goes on")
    return 0


def _start(arguments) -> int:
    lab = _hand_to(arguments)
    if daemons.pid_of(lab.init(arguments.host), arguments.daemon) is not None:
        raise LabError(f"{arguments.host}: {arguments.daemon} runs already; expected a dead one")
    lab.start(arguments.host, arguments.daemon)
    lab.wait_daemon(arguments.host, arguments.daemon)
    progress(f"lab: {arguments.host}: {arguments.daemon} answers")
    return 0


def _list(arguments) -> int:
    from . import scenarios

    if arguments.json:
        print(json.dumps({s.name: s.sentence for s in scenarios.ALL.values()}, indent=2))
    else:
        for scenario in scenarios.ALL.values():
            print(f"{scenario.name:18} {scenario.sentence}")
    return 0


def _screenshots(arguments) -> int:
    from . import screenshots

    lab_state.require_root()
    with lab_state.machine_lock():
        was_up = is_up()
        lab = Lab.running(progress) if was_up else Lab.up(arguments.build, progress)
        try:
            screenshots.take(lab, arguments.out.resolve(), progress)
        finally:
            if not was_up:
                clean_up()
    return 0


def _run(arguments) -> int:
    from . import campaign  # matplotlib is slow to load

    return campaign.run(arguments)


def main() -> int:
    arguments = parser().parse_args()

    def interrupt(_number, _frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        return arguments.function(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
