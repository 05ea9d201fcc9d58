"""A real signer whose HSM goes away and comes back: it ends only where it must."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import coincurve
import pytest
import yaml

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.errors import BackendError, HsmMpcError
from hsm_mpc.roster import Roster
from hsm_mpc.wire.grpc_transport import GrpcTransport
from tests.agent.calling import Ask, created, signed
from tests.agent.processes import CLIENT, COORDINATOR, Place, Signer, signer_of, until
from tests.agent.simulate import World
from tests.agent.test_run import pin_from
from tests.faults import codes
from tests.faults.shim import UNTIL_INITIALISED, Shim

BACK_WITHIN = 1.0
"""Seconds from the return of a device to the next good signature."""
SHORT = 5.0
"""Seconds."""


@dataclass
class Lab:
    """Two holders; between the first one and its SoftHSM stands the ordered module."""

    places: tuple[Place, ...]
    world: World
    shim: Shim

    @contextmanager
    def up(self, **options: Any) -> Iterator[tuple[Signer, list[Ask]]]:
        """The first one's signer, and how to call both."""
        with ExitStack() as stack:
            signers = [stack.enter_context(signer_of(place, **options)) for place in self.places]
            links = [stack.enter_context(closing(place.dialled())) for place in self.places]
            yield signers[0], [asking(link) for link in links]


def asking(link: GrpcTransport) -> Ask:
    """Calls that wait for a signer that has ended no longer than this."""
    return lambda method, parts: link.call(method, parts, SHORT)


@pytest.fixture(scope="module")
def lab(softhsm_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    os.environ.setdefault("HSM_MPC_SOFTHSM_MODULE", softhsm_module)
    shim = Shim(tmp_path_factory.mktemp("shim"), softhsm_module)
    with Place.made(2) as places:
        document = yaml.safe_load(places[0].config.read_text("utf-8"))
        document["hsm"]["module"] = str(shim.module)
        document["hsm"]["environment"] |= shim.environment
        places[0].config.write_text(yaml.safe_dump(document), "utf-8")
        roster = Roster.from_bytes(places[0].roster.read_bytes())
        nobody_here = {1: None, 2: None}
        world = World(nobody_here, roster, COORDINATOR, CLIENT)  # type: ignore[arg-type]
        yield Lab(places, world, shim)
    shim.close()


@pytest.fixture
def shim(lab: Lab) -> Iterator[Shim]:
    lab.shim.obey_no_more()
    yield lab.shim
    lab.shim.obey_no_more()


def sign(lab: Lab, holders: list[Ask], certificate: Certificate, message: bytes) -> None:
    signature, key = signed(lab.world, holders, certificate, message)
    assert coincurve.PublicKeyXOnly(key).verify(signature, message)


@pytest.mark.long
def test_a_device_that_went_away_is_used_again_within_a_second(
    lab: Lab, shim: Shim, report_line: Callable[[str], None]
) -> None:
    with lab.up() as (signer, holders):
        certificate = created(lab.world, holders)
        for code in (codes.DEVICE_REMOVED, codes.GENERAL_ERROR, codes.VENDOR):
            with shim.away(code):
                end = time.monotonic() + 1.5
                while time.monotonic() < end:
                    with pytest.raises(BackendError) as caught:
                        sign(lab, holders, certificate, b"meanwhile")
                    assert caught.value.retryable
                    assert caught.value.kind == "unavailable"
            back = time.monotonic()
            while True:
                try:
                    sign(lab, holders, certificate, b"afterwards")
                except BackendError:
                    time.sleep(0.01)
                else:
                    break
            took = time.monotonic() - back
            assert took < BACK_WITHIN
        shim.answer(codes.SESSION_HANDLE_INVALID, times=UNTIL_INITIALISED)
        with pytest.raises(BackendError):
            sign(lab, holders, certificate, b"one is lost")
        sign(lab, holders, certificate, b"the next is not")
        assert lab.places[0].ran("status")["signer_pid"] == signer.pid
        assert "unexpected" not in signer.log()
    report_line(f"a device that came back signed after {1000 * took:.0f} ms")


def exit_code(lab: Lab, signer: Signer, holders: list[Ask], certificate: Certificate) -> int:
    """That of the first signer, which is asked until it has given up."""

    def has_ended() -> bool:
        if signer.process.poll() is None:
            with suppress(HsmMpcError):
                sign(lab, holders, certificate, b"in vain")
        return signer.process.poll() is not None

    until(has_ended, "the end of the signer")
    return int(signer.process.returncode)


@pytest.mark.long
def test_without_a_pin_to_be_read_again_the_signer_ends_and_stays_down(
    lab: Lab, shim: Shim
) -> None:
    place = lab.places[0]
    with (place.folder / "pin").open("rb") as pin, pin_from(place, f"fd:{pin.fileno()}"):
        with lab.up(pass_fds=(pin.fileno(),)) as (signer, holders):
            certificate = created(lab.world, holders, "descriptor")
            shim.answer(codes.DEVICE_REMOVED)
            with pytest.raises(BackendError):
                sign(lab, holders, certificate, b"one is lost")
            sign(lab, holders, certificate, b"the login is not")
            shim.answer(codes.DEVICE_REMOVED, times=UNTIL_INITIALISED)
            assert exit_code(lab, signer, holders, certificate) == 4
            assert "by hand" in signer.log()
        code, error = place.failed("agent", "run")
    assert (code, error["kind"], error["retryable"]) == (4, "pin", False)


@pytest.mark.long
def test_a_pin_that_is_refused_meanwhile_is_tried_once_by_nobody_again(
    lab: Lab, shim: Shim
) -> None:
    place = lab.places[0]
    pin = place.folder / "pin"
    right = pin.read_bytes()
    with lab.up() as (signer, holders):
        certificate = created(lab.world, holders, "refused")
        pin.write_bytes(b"not the PIN of this token")
        shim.answer(codes.DEVICE_REMOVED, times=UNTIL_INITIALISED)
        assert exit_code(lab, signer, holders, certificate) == 4
        assert shim.calls("C_Login") == 2  # that of the start, and the one that was refused
    code, error = place.failed("agent", "run")
    assert (code, error["kind"], error["retryable"]) == (4, "pin", False)
    assert shim.calls("C_Login") == 2
    pin.write_bytes(right)
    with lab.up() as (_, holders):
        sign(lab, holders, certificate, b"with the right one")
