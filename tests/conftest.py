"""Options and fixtures of all tests."""

import pytest

from pcc_match.backends.device import CupyDevice
from pcc_match.errors import DeviceError


def pytest_addoption(parser):
    parser.addoption("--require-gpu", action="store_true", help="fail, not skip, the tests that need a GPU")


@pytest.fixture(scope="session")
def gpu(request):
    """The first GPU; skips where there is none, or fails under --require-gpu."""
    try:
        return CupyDevice()
    except DeviceError as e:
        if request.config.getoption("--require-gpu"):
            pytest.fail(f"--require-gpu: {e}")
        pytest.skip(str(e))
