"""CPU time counts with children, those that have ended too."""

import os
import subprocess
import sys
import time

from bench.meter import Meter, between, cpu_seconds, resident_mb

BURN = "import time; end = time.process_time() + {}\nwhile time.process_time() < end: pass"


def test_an_ended_child_counts() -> None:
    before = cpu_seconds(os.getpid())

    subprocess.run([sys.executable, "-S", "-c", BURN.format(0.3)], check=True)

    assert cpu_seconds(os.getpid()) - before >= 0.25


def test_a_living_grandchild_counts() -> None:
    inner = f"{BURN.format(0.3)}\nprint(flush=True)\ninput()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {inner!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()

        assert cpu_seconds(process.pid) >= 0.25
        process.communicate(b"\n")


def test_a_process_that_is_gone_has_used_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()

    assert (cpu_seconds(process.pid), resident_mb(process.pid)) == (0.0, 0.0)


def test_what_others_take_is_told_apart() -> None:
    meter = Meter({"worker": [os.getpid()]}, own="starter")
    first = meter.read()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass

    spent = between(first, meter.read())

    assert spent.cpu["worker"] >= 0.25
    assert spent.others >= 0


def test_memory_is_that_of_each_process() -> None:
    meter = Meter({"worker": [os.getpid(), os.getppid()]}, own="starter")

    assert all(size > 1 for size in meter.memory("worker"))
