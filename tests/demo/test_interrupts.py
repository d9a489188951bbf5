"""A Ctrl-C while an event loop runs: the work is cancelled, the loop is closed in order."""

import signal
import subprocess
import sys
import textwrap

import pytest

# What is told when: while the work waits, and before it has begun.
WAITING = """
async def work():
    try:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)
    finally:
        print("cleaned up")
"""
NOT_BEGUN = """
class Late(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        signal.raise_signal(signal.SIGINT)
        return super().new_event_loop()

asyncio.set_event_loop_policy(Late())

async def work():
    await asyncio.sleep(60)
"""
FRAME = """
import asyncio, signal
from demo.interrupts import Interrupts

interrupts = Interrupts(kill=print)
{work}
try:
    interrupts.run(work())
except KeyboardInterrupt:
    print("told to stop")
"""


@pytest.mark.parametrize(
    "work, said", [(WAITING, "cleaned up\ntold to stop\n"), (NOT_BEGUN, "told to stop\n")]
)
def test_an_event_loop_is_left_in_order(work: str, said: str) -> None:
    script = FRAME.format(work=textwrap.dedent(work))

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout, done.stderr) == (said, "")
    assert done.returncode != -signal.SIGABRT
