"""What a run says while it goes on: a bar per epoch on a terminal, plain lines elsewhere, all of it in log.txt too.

Programs are told the same as events, where they listen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from ..rundir.files import open_to_append
from ..secrets import printable
from .events import Event, Warned, line
from .tables import FIELD_GAP, fold


class Console:
    """Prints to standard output; warnings and errors to standard error. `log`: a file that gets every line as well.

    Secrets and control characters are shown nowhere. quiet: only warnings and errors are said. events: gets events, a
    JSON object a line; what is said goes to standard error then.
    """

    def __init__(self, log: Path | None = None, *, quiet: bool = False, events: TextIO | None = None) -> None:
        self.events = events
        self.out = RichConsole(stderr=events is not None, highlight=False, soft_wrap=True, quiet=quiet)
        self.err = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self.log = log
        self.progress: Progress | None = None

    @property
    def width(self) -> int | None:
        """The terminal's columns, None where it is none: lines stay whole there."""
        return self.out.width if self.out.is_terminal else None

    def say(self, text: str = "", style: str = "") -> None:
        text = printable(text)
        self.out.print(Text(text, style))
        self._log(text)

    def say_fields(self, fields: Sequence[str]) -> None:
        """Say what belongs together in one line, which a terminal that is too narrow for it folds between fields."""
        text = printable(FIELD_GAP.join(fields))
        for one in fold([printable(field) for field in fields], self.width):
            self.out.print(Text(one))
        self._log(text)

    def warn(self, text: str) -> None:
        text = printable(text)
        self.err.print(Text(f"warning: {text}", "yellow"))
        self._log(f"warning: {text}")
        self.tell(Warned(event="warning", message=text))

    def tell(self, event: Event) -> None:
        """Tell programs, where one listens, what has happened."""
        if self.events:
            self.events.write(line(event))
            self.events.flush()

    def _log(self, text: str) -> None:
        if self.log:
            try:
                with open_to_append(self.log) as file:
                    file.write(f"{text}\n".encode(errors="backslashreplace"))
            except OSError:  # a full disk: what writes the results says so
                self.log = None

    @contextmanager
    def bar(self, title: str, done: int = 0, total: int | None = None) -> Iterator[Bar]:
        """Show progress on a terminal while the block runs, and nothing elsewhere. total: None if not known yet."""
        columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), Count(table_column=whole())]
        columns += [TextColumn("{task.fields[status]}"), TimeRemainingColumn(compact=True, table_column=whole())]
        with Progress(*columns, console=self.out, transient=True, disable=not self.out.is_terminal) as progress:
            yield Bar(progress, title, done, total)


def whole() -> Column:
    """Return a column that keeps its text in one piece where the line is too long: the bar becomes shorter."""
    return Column(no_wrap=True)


class Count(MofNCompleteColumn):
    """How far it is, once it is known how far it goes."""

    def render(self, task: Task) -> Text:
        """Return `3/12`, nothing while the 12 is not known."""
        return Text() if task.total is None else super().render(task)


class Bar:
    """One progress bar: `advance` per step, `status` when there is news."""

    def __init__(self, progress: Progress, title: str, done: int, total: int | None) -> None:
        self.progress = progress
        self.task = progress.add_task(title, total=total, completed=done, status="")

    def set(self, done: int, total: int) -> None:
        self.progress.update(self.task, completed=done, total=total)

    def advance(self) -> None:
        if not self.progress.disable:
            self.progress.advance(self.task)

    def status(self, text: str) -> None:
        self.progress.update(self.task, status=text)


def epoch_fields(
    epoch: int, epochs: int, metrics: Mapping[str, float], watched: tuple[str, int], lr: float
) -> list[str]:
    """Return the fields of an epoch's line. watched: the evaluated split and its number of images."""
    name, images = watched
    correct = round(metrics[f"{name}/acc"] * images)
    width = len(str(epochs))
    return [
        f"epoch {epoch:>{width}}/{epochs}",
        f"train loss {metrics['train/loss']:.4f} acc {metrics['train/acc']:7.2%}",
        f"{name} loss {metrics[f'{name}/loss']:.4f} acc {metrics[f'{name}/acc']:7.2%} ({correct}/{images})",
        f"lr {lr:.2e}",
    ]


def duration(seconds: float) -> str:
    """Return a time as people say it: 8.4 s, 2 min 05 s, 3 h 07 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
