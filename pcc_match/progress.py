"""Progress of a long job on standard error: done, rate, time left. Standard output stays for results."""

import sys
import time
from typing import Self


class Progress:
    """Call it with the amount done so far; `with` prints the final line. `total` may be unknown (None)."""

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._terminal = sys.stderr.isatty()
        self._every = 0.2 if self._terminal else 10.0  # seconds between lines
        self._start = self._last = time.monotonic()
        self._done = 0

    def __call__(self, done: int) -> None:
        self._done, now = done, time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        rate = done / (now - self._start)
        text = f"{self._title}: {done:,}"
        if self._total:
            text += f" of {self._total:,} {self._unit} ({done / self._total:.0%}), {rate:,.0f}/s"
            text += f", {(self._total - done) / rate:,.0f} s left" if rate else ""
        else:
            text += f" {self._unit}, {rate:,.0f}/s"
        self._write(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        seconds = time.monotonic() - self._start
        ended = "" if kind is None else ", not finished"
        rate = self._done / max(seconds, 1e-9)
        self._write(f"{self._title}: {self._done:,} {self._unit} in {seconds:.1f} s, {rate:,.0f}/s{ended}")
        if self._terminal:
            sys.stderr.write("\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
        sys.stderr.flush()
