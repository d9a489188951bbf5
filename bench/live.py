"""What is shown while it runs: a bar on a terminal, a line for each measurement everywhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from bench.rows import Row


class Live:
    """Shows how far a run is.

    Args:
        seconds: that all of it takes, about.
    """

    def __init__(self, console: Console, seconds: float) -> None:
        """Show nothing yet."""
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
        self.console = console
        self.seconds = seconds
        self.bar = Progress(*columns, console=console, transient=True)
        self.task = self.bar.add_task("starting", total=seconds, left="")
        self.done = 0.0
        self.under_way = 0.0

    def __enter__(self) -> Self:
        """Show the bar, where there is a terminal."""
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the bar."""
        self.bar.stop()

    def doing(self, what: str, seconds: float) -> None:
        """Tell what is done now, and how long it takes, about."""
        self.done += self.under_way
        self.under_way = seconds
        left = f"about {max(0.0, self.seconds - self.done) / 60:.0f} min left"
        self.bar.update(self.task, description=what, completed=self.done, left=left)
        if not self.console.is_terminal:
            self.say(f"{what}; {left}")

    def measured(self, row: Row) -> None:
        """Show one measurement."""
        cpu = f"{row.engine_ms:.1f} + {row.worker_ms:.1f} + {row.database_ms:.1f}"
        name = f"{row.subject:<26}{row.load:<10}"
        self.say(
            f"  {name}{row.per_second:7.1f} sagas/s  p50 {row.p50_ms:6.0f}  "
            f"p99 {row.p99_ms:6.0f} ms  CPU {cpu} ms  {row.worker_mb:.0f} MB  "
            f"others {row.others_percent:.0f} %"
        )

    def say(self, line: str) -> None:
        """Show a line that stays."""
        self.bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
