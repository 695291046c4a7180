"""Damaged dactyloscopic transactions through the reader: nothing but ExchangeError.

python tests/fuzz/print_fuzz.py [COUNT]     100,000 unless said otherwise
"""

import resource
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from itl_mutants import mutants  # noqa: E402
from transaction_cases import GOLDEN, golden  # noqa: E402

from pcc_match.errors import ExchangeError  # noqa: E402
from pcc_match.exchange.prints import PrintAnswer, read_prints  # noqa: E402


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    sources = [golden(path.stem) for path in sorted(GOLDEN.glob("*.txt"))]
    sources = [data for data in sources if data.startswith(b"1.001:")]
    start, refused = time.perf_counter(), 0
    for data in mutants(sources, count, seed=1):
        try:
            message = read_prints(data)
        except ExchangeError:
            refused += 1
            continue
        if isinstance(message, PrintAnswer):
            _ = message.complete
        else:
            _ = message.search_type, message.wanted, message.requested, message.reference
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{count:,} mutants, {refused:,} refused, nothing else; {seconds:.0f} s, at most {peak} MB")


if __name__ == "__main__":
    main()
