"""gRPC with plain bytes, over a unix socket."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from hsm_mpc.errors import BackendError, BadConfig, Refused
from hsm_mpc.wire.calls import MOST_BYTES, Call, answer_of, failure_of
from hsm_mpc.wire.grpc_transport import (
    COORDINATOR,
    HOLDER,
    GrpcServer,
    GrpcTransport,
    socket_address,
)

SOON = 10.0


@pytest.fixture
def address() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="hm-") as folder:
        yield socket_address(Path(folder) / "s")


def echo(source: bytes) -> bytes:
    call = Call.from_bytes(source)
    if call.method == 9:
        return failure_of(Refused("some-rule", "no"))
    return answer_of((*call.parts, b"%d" % call.method))


@pytest.fixture
def served(address: str) -> Iterator[str]:
    server = GrpcServer(HOLDER, address, echo, 4)
    yield address
    server.stop()


def test_a_call_is_answered(served: str) -> None:
    with closing(GrpcTransport(HOLDER, served)) as link:
        assert link.call(7, [b"a", b""], SOON) == (b"a", b"", b"7")


def test_what_the_peer_refuses_is_raised_here(served: str) -> None:
    with closing(GrpcTransport(HOLDER, served)) as link, pytest.raises(Refused) as refused:
        link.call(9, [], SOON)
    assert refused.value.rule == "some-rule"


def test_another_service_is_not_served(served: str) -> None:
    with (
        closing(GrpcTransport(COORDINATOR, served)) as link,
        pytest.raises(BackendError, match="UNIMPLEMENTED"),
    ):
        link.call(7, [], SOON)


def test_nobody_at_the_address_is_told_and_may_come_later(address: str) -> None:
    with closing(GrpcTransport(HOLDER, address)) as link:
        with pytest.raises(BackendError, match="UNAVAILABLE") as away:
            link.call(7, [], SOON)
        assert away.value.retryable
        with pytest.raises(BackendError, match="nobody listens"):
            link.wait(0.05)
        server = GrpcServer(HOLDER, address, echo, 1)
        link.wait(SOON)
        assert link.call(7, [], SOON) == (b"7",)
        server.stop()


def test_a_server_that_stopped_answers_no_more(address: str) -> None:
    server = GrpcServer(HOLDER, address, echo, 1)
    with closing(GrpcTransport(HOLDER, address)) as link:
        assert link.call(7, [], SOON) == (b"7",)
        server.stop()
        with pytest.raises(BackendError, match="UNAVAILABLE"):
            link.call(7, [], SOON)


def test_a_closed_link_carries_nothing(served: str) -> None:
    link = GrpcTransport(HOLDER, served)
    link.close()
    with pytest.raises(BackendError, match="closed"):
        link.call(7, [], SOON)


def test_a_call_waits_no_longer_than_it_wants(address: str) -> None:
    go_on = threading.Event()

    def slowly(source: bytes) -> bytes:
        go_on.wait(SOON)
        return echo(source)

    server = GrpcServer(HOLDER, address, slowly, 1)
    with closing(GrpcTransport(HOLDER, address)) as link:
        with pytest.raises(BackendError, match="DEADLINE_EXCEEDED"):
            link.call(7, [], 0.1)
        go_on.set()
    server.stop()


def test_a_message_beyond_the_cap_is_refused(served: str) -> None:
    with closing(GrpcTransport(HOLDER, served)) as link:
        assert len(link.call(7, [bytes(MOST_BYTES - 100)], SOON)[0]) == MOST_BYTES - 100
        with pytest.raises(BackendError, match="RESOURCE_EXHAUSTED"):
            link.call(7, [bytes(MOST_BYTES + 2000)], SOON)


def test_calls_beyond_what_can_wait_are_refused_at_once(address: str) -> None:
    go_on = threading.Event()

    def slowly(source: bytes) -> bytes:
        go_on.wait(SOON)
        return echo(source)

    def outcome(_: int) -> str:
        try:
            link.call(7, [], SOON)
        except BackendError as refused:
            go_on.set()
            return str(refused).split()[-1]
        return "answered"

    server = GrpcServer(HOLDER, address, slowly, 1)
    with closing(GrpcTransport(HOLDER, address)) as link, ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(outcome, range(12)))
    server.stop()
    assert set(outcomes) == {"answered", "RESOURCE_EXHAUSTED"}
    assert outcomes.count("answered") >= 4


def test_an_address_that_cannot_be_had_is_told(address: str) -> None:
    with pytest.raises(BackendError, match="cannot listen"):
        GrpcServer(HOLDER, address + "/no/folder", echo, 1)


def test_a_path_that_no_socket_can_have_is_refused() -> None:
    assert socket_address(Path("/" + "x" * 106)) == "unix:/" + "x" * 106
    with pytest.raises(BadConfig, match="107 bytes"):
        socket_address(Path("/" + "x" * 107))
    with pytest.raises(BadConfig, match="107 bytes"):
        socket_address(Path("/" + "é" * 54))
