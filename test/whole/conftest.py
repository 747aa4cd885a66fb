# SPDX-License-Identifier: ISC
import shutil
import tempfile

import pytest
from kit import Demo


def pytest_collection_modifyitems(items):
    """Files with many tests first: a worker that gets one of them last keeps all others waiting."""
    of, first = {}, {}
    for place, item in enumerate(items):
        of[item.path] = of.get(item.path, 0) + 1
        first.setdefault(item.path, place)
    items.sort(key=lambda item: (-of[item.path], first[item.path]))


@pytest.fixture(scope="session")
def demo():
    """One server for all tests that leave it as they found it."""
    directory = tempfile.mkdtemp(prefix="mansio-demo-")
    d = Demo(directory + "/demo", "--set", "smtpd_client_connection_count_limit=0", "--set", "auth_failure_delay=50ms")
    try:
        yield d.start()
        assert d.stop() == 0, d.said()
        for words in ["panic:", "AddressSanitizer", "runtime error"]:
            assert words not in d.log() + d.said()
    finally:
        d.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def place():
    """A directory with a short name of its own."""
    directory = tempfile.mkdtemp(prefix="mansio-demo-")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def own(place):
    """Makes servers for one test; all are stopped behind it."""
    made = []

    def make(*more, name="demo", **others):
        d = Demo(f"{place}/{name}", *more, **others)
        made.append(d)
        return d
    yield make
    for d in made:
        d.stop()
