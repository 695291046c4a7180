"""A short run of the sanitizer fuzzing; `python tests/fuzz/run_image_fuzz.py` makes the long one."""

import re

import pytest
from fuzz import run_image_fuzz


@pytest.mark.skipif(not run_image_fuzz.available(), reason="no C++ compiler")
def test_mutants_under_sanitizers_find_nothing() -> None:
    counts = run_image_fuzz.run(small=1500, real=8)
    decoded, refused = map(int, re.findall(r"small: .* (\d+) decoded, (\d+) refused", counts)[0])
    assert decoded + refused == 1500
    assert decoded > 100
