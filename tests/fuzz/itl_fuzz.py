"""Fuzzes the reader of transactions: with atheris where it is installed, else with this project's own mutants.

    python tests/fuzz/itl_fuzz.py [SECONDS]

What breaks it is written to tests/fuzz_corpus/itl_*, where the tests try it again for ever.
"""

import hashlib
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
CORPUS = TESTS / "fuzz_corpus"
sys.path.insert(0, str(TESTS))

from itl_cases import ALL  # noqa: E402
from itl_mutants import exercise, mutants  # noqa: E402


def one(data: bytes) -> None:
    try:
        transaction = exercise(data)
        if transaction is not None:
            transaction.check("pruem")
    except Exception:
        (CORPUS / f"itl_{hashlib.sha1(data).hexdigest()[:12]}").write_bytes(data)
        raise


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    try:
        import atheris
    except ImportError:
        sources = [make() for make in ALL.values()] + [p.read_bytes() for p in CORPUS.glob("itl_*")]
        start, tried = time.monotonic(), 0
        while time.monotonic() - start < seconds:
            for data in mutants([source for source in sources if readable(source)], 500, seed=time.time_ns()):
                one(data)
                tried += 1
        print(f"{tried} mutants, nothing found")
        return
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], str(CORPUS), f"-max_total_time={seconds:.0f}"], one)
    atheris.Fuzz()


def readable(data: bytes) -> bool:
    from pcc_match import itl

    try:
        return bool(itl.read(data).records)
    except itl.RecordError:
        return False


if __name__ == "__main__":
    main()
