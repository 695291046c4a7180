"""Progress of a long job on standard error: done, rate, time left. Standard output stays for results."""

from __future__ import annotations

import sys
import time


class Progress:
    """Prints at most five lines a second (one every ten seconds where standard error is no terminal).

    Call it with the amount done so far, in the unit given; `total` may be unknown (None).
    """

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._terminal = sys.stderr.isatty()
        self._start = self._last = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self._last < (0.2 if self._terminal else 10.0):
            return
        self._last = now
        rate = done / max(now - self._start, 1e-9)
        text = f"{self._title}: {done:,}"
        if self._total:
            left = (self._total - done) / max(rate, 1e-9)
            text += f" of {self._total:,} {self._unit} ({done / self._total:.0%}), {rate:,.0f}/s, {left:.0f} s left"
        else:
            text += f" {self._unit}, {rate:,.0f}/s"
        self._write(text)

    def close(self, done: int) -> None:
        """Print the final line."""
        seconds = time.monotonic() - self._start
        rate = done / max(seconds, 1e-9)
        self._write(f"{self._title}: {done:,} {self._unit} in {seconds:.1f} s, {rate:,.0f}/s")
        if self._terminal:
            sys.stderr.write("\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
        sys.stderr.flush()
