"""Nodes that are killed while they work.

A test file runs itself as a script that calls serve(work): it has everything imported, and forks a node for each line
`LEDGER ROUND QUOTA` on standard input. The node tells `pid N`, then `done REQUEST ...` after each request that it has
answered; `dead` follows when it has ended.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

UNLIMITED = 1 << 30


def tell(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def serve(work: Callable[[Path, int, int], None]) -> None:
    for line in sys.stdin:
        ledger, round, quota = line.split()
        pid = os.fork()
        if pid == 0:
            try:
                tell("pid", os.getpid())
                work(Path(ledger), int(round), int(quota))
            finally:
                os._exit(1)
        os.waitpid(pid, 0)
        tell("dead")


class Node:
    """A process that answers the requests of a round, in order."""

    def __init__(self, script: str) -> None:
        self.process = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def start(self, ledger: Path, round: int, quota: int = UNLIMITED) -> int:
        """Its process id."""
        self.stdin.write(f"{ledger} {round} {quota}\n".encode())
        self.stdin.flush()
        return int(self.hears()[1])

    def hears(self) -> list[str]:
        return next(self.stdout).decode().split()

    def answered(self) -> list[str]:
        """Waits for its end; the requests that it has answered since hears()."""
        return [words[1] for words in list(iter(self.hears, ["dead"]))]

    def killed(self, ledger: Path, round: int, draw: random.Random) -> list[str]:
        """Starts it and kills it: after up to five answers and, at a random moment, on the way to the next."""
        pid = self.start(ledger, round)
        requests = [self.hears()[1] for _ in range(draw.randrange(6))]
        time.sleep(draw.uniform(0, 0.005))
        os.kill(pid, signal.SIGKILL)
        return requests + self.answered()

    def close(self) -> None:
        self.stdin.close()
        self.process.wait()
        self.stdout.close()


@contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else otherwise) as folder:
        yield Path(folder)
