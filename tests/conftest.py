"""For all tests: examples are drawn on machines that others load, so no example is failed for its time.

A test marked `preloaded_input` meets an input device that the machine can't make; see tests/preloading.py.
"""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from sim.emulators.bench import Bench
from sim.parts import BEGINNING
from tests import nursery
from tests.preloading import PRELOADED, in_a_child
from tests.sharing import LONG, shared_out
from tests.trust import read_once

settings.register_profile("k12edge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("k12edge")
BEGINNING.by = nursery.part
read_once()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "preloaded_input: meets an emulated input device, in a child process")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = shared_out(items, workers, lambda item: item.nodeid.startswith(LONG))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Each test begins with the log of a fresh process: the simulator and the fuzzer run here, and silence theirs."""
    logging.disable(logging.NOTSET)
    logging.getLogger("k12edge").setLevel(logging.NOTSET)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if PRELOADED or pyfuncitem.get_closest_marker("preloaded_input") is None:
        return None
    in_a_child(pyfuncitem)
    return True


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench of emulated chips, for the tests of readers and of their contract."""
    with Bench() as made:
        yield made
