#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the usual health checkers of anycast servers do, for comparison: a command each interval, rise and fall, a prefix
list rewritten, `birdc configure`. Their layout too: the route is always there, and an export filter asks the list.

    exec_checker.py COMMAND PREFIX LIST_FILE INTERVAL_S TIMEOUT_S RISE FALL
"""
import os
import subprocess
import sys
import time


def write_list(path, prefixes):
    with open(path + ".new", "w") as file:
        file.write(f"define ACAST_PS = [ {', '.join(prefixes)} ];\n")
    os.rename(path + ".new", path)


def works(command, timeout_s):
    try:
        return subprocess.run(command, shell=True, timeout=timeout_s, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def main():
    command, prefix, path = sys.argv[1:4]
    interval_s, timeout_s = float(sys.argv[4]), float(sys.argv[5])
    needed = {True: int(sys.argv[6]), False: int(sys.argv[7])}
    up, in_a_row, last = False, 0, None
    due = time.monotonic()
    while True:
        good = works(command, timeout_s)
        in_a_row = in_a_row + 1 if good == last else 1
        last = good
        if good != up and in_a_row >= needed[good]:
            up = good
            write_list(path, [prefix] if up else [])
            subprocess.run(["birdc", "configure"], stdout=subprocess.DEVNULL, timeout=10)
        due += interval_s
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
