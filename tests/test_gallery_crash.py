"""kill -9 and power failures at every moment: what was acknowledged is there, and nothing is torn.

Run as a script this file is the victim's parent: it has everything imported, forks a writer for each line
`DIRECTORY FIRST_STEP LAST_STEP DIE_AT` on standard input, and reports `pid N`, `done STEP` and `dead`.
"""

import itertools
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gallery_cases import Model, columns, contents, person

from pcc_match.dna.gallery import DnaGallery
from pcc_match.dna.profile import DnaProfile

KILLS = 200
NEVER = 1 << 30


def step(number: int, target: DnaGallery | Model) -> None:
    """The same change of a gallery and of its model."""
    draw = random.Random(number)
    if number % 7 == 6:
        if isinstance(target, DnaGallery):
            target.compact()
    elif number % 7 in (2, 5):
        target.remove([f"p{draw.randrange(300)}" for _ in range(20)])
    else:
        some = [person(f"p{draw.randrange(300)}", str(draw.randint(5, 9))) for _ in range(draw.choice([1, 30, 200]))]
        if isinstance(target, DnaGallery):
            target.enrol(columns(*some), replace=number % 7 in (1, 4))
        else:
            target.enrol(some, replace=number % 7 in (1, 4))


STATES: list[dict[str, DnaProfile]] = [{}]


def state_after(steps: int) -> dict[str, DnaProfile]:
    while len(STATES) <= steps:
        model = Model()
        model.profiles = dict(STATES[-1])
        step(len(STATES) - 1, model)
        STATES.append(model.profiles)
    return STATES[steps]


# ---- the writer that dies


def serve() -> None:
    for line in sys.stdin:
        directory, first, last, die_at = line.split()
        pid = os.fork()
        if pid == 0:
            try:
                write(Path(directory), int(first), int(last), int(die_at))
            finally:
                os._exit(1)
        os.waitpid(pid, 0)
        os.write(1, b"dead\n")


def write(directory: Path, first: int, last: int, die_at: int) -> None:
    gallery = DnaGallery.open(directory, write=True)
    os.write(1, f"pid {os.getpid()}\n".encode())
    die_before_call(die_at)
    for number in range(first, last):
        step(number, gallery)
        os.write(1, f"done {number}\n".encode())


def die_before_call(number: int) -> None:
    """Dies before the given call (from 0) that opens, forces, renames or deletes a file."""
    calls = itertools.count()

    def count(event: str, *_: object) -> None:
        if event in ("open", "os.rename", "os.remove", "fsync") and next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    real_fsync = os.fsync

    def fsync(file: int) -> None:
        count("fsync")
        real_fsync(file)

    os.fsync = fsync
    sys.addaudithook(count)


# ---- killed


class Writer:
    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def start(self, directory: Path, first: int, last: int, die_at: int = NEVER) -> int:
        """Begins the steps; the writer's process id."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{directory} {first} {last} {die_at}\n".encode())
        self.process.stdin.flush()
        return int(next(self.lines()).removeprefix("pid "))

    def lines(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield line.decode().strip()

    def steps_done(self) -> int:
        """Waits for the end; how many steps were acknowledged."""
        return sum(1 for _ in itertools.takewhile(lambda line: line != "dead", self.lines()))


@pytest.fixture(scope="module")
def writer() -> Iterator[Writer]:
    writer = Writer()
    yield writer
    assert writer.process.stdin is not None
    assert writer.process.stdout is not None
    writer.process.stdin.close()
    writer.process.wait()
    writer.process.stdout.close()


def steps_in(directory: Path, acknowledged: int) -> int:
    """How many steps the gallery has seen: those acknowledged, or the one that was under way as well."""
    assert [problem for problem in DnaGallery.verify(directory) if not problem.harmless] == []
    found = contents(DnaGallery.open(directory, check="all"))
    steps = next((n for n in (acknowledged, acknowledged + 1) if state_after(n) == found), None)
    assert steps is not None, f"the state is neither that after step {acknowledged} nor that after the next"
    return steps


def test_killed_at_random_moments(writer: Writer, tmp_path: Path) -> None:
    draw = random.Random(5)
    interrupted = 0
    for kill in range(KILLS):
        directory = tmp_path / f"gallery{kill // 20}"
        if kill % 20 == 0:
            DnaGallery.create(directory).close()
            steps = 0
        pid = writer.start(directory, steps, NEVER)
        time.sleep(draw.uniform(0, 0.12))
        os.kill(pid, signal.SIGKILL)
        steps = steps_in(directory, steps + writer.steps_done())
        interrupted += any(problem.harmless for problem in DnaGallery.verify(directory))
    assert interrupted > 0  # else no kill fell into a change


@pytest.mark.parametrize("before", [3, 4, 5, 6], ids=["enrol", "replace", "remove", "compact"])
def test_killed_before_each_call_to_the_system(writer: Writer, tmp_path: Path, before: int) -> None:
    for call in itertools.count():
        directory = tmp_path / f"at{call}"
        with DnaGallery.create(directory) as gallery:
            for number in range(before):
                step(number, gallery)
        writer.start(directory, before, before + 1, die_at=call)
        acknowledged = writer.steps_done()
        assert steps_in(directory, before + acknowledged) <= before + 1
        with DnaGallery.open(directory, write=True) as gallery:
            assert DnaGallery.verify(directory) == []  # nothing is left over
            for number in range(before, before + 3):
                step(number, gallery)
            assert contents(gallery) == state_after(before + 3)
        if acknowledged:
            break
    assert call >= 5


# ---- without power


class Disk:
    """What a power failure leaves of a directory: forced contents and names for sure, later ones perhaps."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.names: dict[str, int] = {}  # forced: name -> inode
        self.contents: dict[int, bytes] = {}  # forced: inode -> bytes
        self.copies = itertools.count()

    def fsync(self, file: int) -> None:
        status = os.fstat(file)
        if not stat.S_ISDIR(status.st_mode):
            self.contents[status.st_ino] = Path(f"/proc/self/fd/{file}").read_bytes()
        elif status.st_ino == self.directory.stat().st_ino:
            self.names = self.names_now()

    def names_now(self) -> dict[str, int]:
        return {entry.name: entry.inode() for entry in os.scandir(self.directory)}

    def states(self, copies: Path) -> Iterator[Path]:
        """Every directory that a failure now may leave: each name old or new, each unforced content there or lost."""
        now = self.names_now()
        current = {inode: (self.directory / name).read_bytes() for name, inode in now.items()}
        changed = sorted({name for name, _ in self.names.items() ^ now.items()})
        for taken in itertools.product((False, True), repeat=len(changed)):
            names = self.names | {name: now.get(name, 0) for name, new in zip(changed, taken, strict=True) if new}
            for latest in (self.contents, self.contents | current):
                copy = copies / str(next(self.copies))
                copy.mkdir()
                for name, inode in names.items():
                    if inode:
                        (copy / name).write_bytes(latest.get(inode, b""))
                yield copy


def test_power_fails_at_each_call_to_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, copies = tmp_path / "g", tmp_path / "copies"
    copies.mkdir()
    directory.mkdir()
    disk = Disk(directory)
    allowed: list[dict[str, DnaProfile]] = []
    checks = 0

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def fail_before(*arguments: Any, **named: Any) -> Any:
            check()
            done = call(*arguments, **named)
            if call.__name__ == "fsync":
                disk.fsync(*arguments)
            return done

        return fail_before

    def check() -> None:
        nonlocal checks
        if allowed:  # else the gallery is being created
            for left in disk.states(copies):
                assert contents(DnaGallery.open(left, check="all")) in allowed
                checks += 1

    for name in ("fsync", "replace", "unlink"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    with DnaGallery.create(directory) as gallery:
        for number in range(8):
            allowed = [state_after(number), state_after(number + 1)]
            step(number, gallery)
            allowed = [state_after(number + 1)]
            check()
    assert checks > 100


if __name__ == "__main__":
    serve()
