"""Results as files: a file appears under its name when it is complete, or not at all."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def complete_file(path: str | Path) -> Iterator[TextIO]:
    """A text file to write; it takes the place of `path` when the block ends without an error. "-" = standard output.

    UTF-8, lines end in LF. What was there before stays until then.
    """
    if str(path) == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    with (
        _taking_place_of(Path(path)) as unfinished,
        unfinished.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_complete(path: Path, data: bytes) -> None:
    """Writes a file of bytes in one step; what was there before stays until it is complete."""
    with _taking_place_of(path) as unfinished, unfinished.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _taking_place_of(path: Path) -> Iterator[Path]:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
