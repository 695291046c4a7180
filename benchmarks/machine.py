"""The machine that figures are of."""

import datetime
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import pcc_match as pm
from pcc_match import _cpu


def machine() -> dict[str, Any]:
    card: dict[str, Any] = {"date": datetime.date.today().isoformat(), "cores": os.cpu_count(), "isa": _cpu.isa()}
    card["cpu"] = platform.processor() or platform.machine()
    with suppress(OSError, StopIteration):
        text = Path("/proc/cpuinfo").read_text()
        card["cpu"] = next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name"))
    card["load at start"] = round(os.getloadavg()[0], 2)
    return card | {"python": platform.python_version(), "numpy": np.__version__, "pcc_match": pm.__version__}
