"""Measure the kit: 200 saga tests, alone or in parallel; give pytest's options as arguments.

Prints when the first test was over, the median of the others, the whole, and the engines' memory.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET  # our own file
from pathlib import Path

ROOT = Path(__file__).parents[3]


def main(options: list[str]) -> int:
    """Run the two hundred and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        suite = "tests/kit/bench/two_hundred.py"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite]
        began, cpu = time.monotonic(), os.times()
        done = subprocess.run(
            [*command, f"--junit-xml={report}", "-o", "junit_duration_report=total", *options],
            cwd=ROOT,
            env={**os.environ, "SAGA_BENCH": folder, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        seconds, after = time.monotonic() - began, os.times()
        if done.returncode == 0:
            times = [float(case.get("time", 0)) for case in ET.parse(report).iter("testcase")]  # noqa: S314
            used = after.children_user + after.children_system
            used -= cpu.children_user + cpu.children_system
            memory = [
                int(p.read_text()) // 1024 for p in Path(folder).iterdir() if p.name.isdigit()
            ]
            first, *others = times
            middle = statistics.median(others) * 1000
            say(f"first test {first:.2f} s, median of the others {middle:.0f} ms")
            say(f"{len(times)} tests in {seconds:.1f} s, {used:.1f} s of CPU, engines {memory} MB")
        return done.returncode


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
