"""Damaged messages about DNA through the reader: nothing but ExchangeError.

python tests/fuzz/dna_fuzz.py [COUNT]       100,000 unless said otherwise
"""

import resource
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from dna_message_cases import GOLDEN, mutants  # noqa: E402

from pcc_match.errors import ExchangeError  # noqa: E402
from pcc_match.exchange.dna import read_dna  # noqa: E402


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    messages = [file.read_bytes() for file in sorted(GOLDEN.glob("dna_*.xml"))]
    start, refused = time.perf_counter(), 0
    for data in mutants(messages, count, seed=1):
        try:
            read_dna(data)
        except ExchangeError:
            refused += 1
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{count:,} mutants, {refused:,} refused, nothing else; {seconds:.0f} s, at most {peak} MB")


if __name__ == "__main__":
    main()
