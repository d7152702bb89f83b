"""Fixtures of every test that talks to a running platform from outside."""

import pytest

from outside.calls import SlowCall
from outside.carrier import Carrier
from outside.people import Person
from outside.platform import Platform
from outside.stream import Stream


@pytest.fixture(scope="session")
def platform() -> Platform:
    return Platform.from_environment()


@pytest.fixture(scope="session")
def carrier(platform) -> Carrier:
    return Carrier(platform)


@pytest.fixture(scope="session")
def admin(platform) -> Person:
    return Person.logged_in(platform, **platform.credentials["admin"])


@pytest.fixture
def owner(platform) -> Person:
    """Somebody who registered just now: a workspace of their own, and nothing in it."""
    return Person.registered(platform)


@pytest.fixture
def stranger(platform) -> Person:
    """Another one, of another workspace."""
    return Person.registered(platform)


@pytest.fixture
def streams():
    """Opens `/ws/calls` sockets and closes them when the test is done."""
    opened = []

    def open_one(person: Person, subscribe: bool = True, **how) -> Stream:
        opened.append(Stream(person, **how))
        if subscribe:
            opened[-1].subscribe()
        return opened[-1]

    yield open_one
    for stream in opened:
        stream.close()


@pytest.fixture
def slow_call(platform):
    """Starts calls through the simulated carrier whose customers speak so slowly that a test can act meanwhile."""
    started = []

    def start(person: Person, number: str) -> SlowCall:
        started.append(SlowCall(platform, person, number))
        return started[-1]

    yield start
    for call in started:
        call.finish()
