"""How fast synthetic fingers are made: python benchmarks/bench_synthetic.py

Processor time of one thread, the best of several runs (others only add to it). Images need the extra `vision`.
"""

import platform
import time
from collections.abc import Callable

from pcc_match.datasets import minutiae, prints

RUNS = 5
FINGERS, MASTERS, IMPRESSIONS = 100_000, 4, 8


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of several runs."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    prints.opencv().setNumThreads(1)
    print(f"{platform.machine()}, Python {platform.python_version()}")
    counts = [len(made.x) for made in minutiae.impressions(FINGERS, 1)]
    seconds = best(lambda: [len(made) for made in minutiae.impressions(FINGERS, 1)])
    print(f"minutiae    {FINGERS / seconds:10,.0f} templates/s of {sum(counts) / FINGERS:.0f} minutiae")
    seconds = best(lambda: [prints.master(1, finger) for finger in range(MASTERS)])
    print(f"masters     {seconds / MASTERS:10.3f} s each")
    finger = prints.master(1)
    for name, make in (("impressions", prints.impression), ("latents", prints.latent)):
        seconds = best(lambda make=make: [make(finger, number) for number in range(IMPRESSIONS)])
        print(f"{name:11} {1000 * seconds / IMPRESSIONS:10.0f} ms each")


if __name__ == "__main__":
    main()
