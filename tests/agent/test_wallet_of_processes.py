"""Two holders as real processes: a wallet made and used over their fronts, and what kills leave."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import coincurve
import pytest

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.errors import NotReady
from hsm_mpc.roster import Roster
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.holdings import Holding
from tests.agent.calling import Ask, created, prepared, signed
from tests.agent.processes import CLIENT, COORDINATOR, Place, Signer
from tests.agent.simulate import World


class Lab:
    """Places with their signers, and the World that speaks as their coordinator and client."""

    def __init__(self, places: Sequence[Place], world: World) -> None:
        self.places = places
        self.world = world

    @contextmanager
    def up(self) -> Iterator[tuple[list[Signer], list[Ask]]]:
        """All signers, and how to call them."""
        with ExitStack() as stack:
            signers, holders = [], []
            for place in self.places:
                signer = Signer(place)
                stack.callback(signer.end)
                link = place.dialled()
                stack.callback(link.close)
                signers.append(signer)
                holders.append(calling(link.call))
            yield signers, holders

    def states(self) -> list[str]:
        """What `share list` says of the one wallet, holder by holder."""
        return [place.ran("share", "list")["shares"][0]["state"] for place in self.places]


def calling(call: Callable[[int, Sequence[bytes], float], tuple[bytes, ...]]) -> Ask:
    return lambda method, parts: call(method, parts, 30)


@pytest.fixture
def lab(softhsm_module: str) -> Iterator[Lab]:
    os.environ.setdefault("HSM_MPC_SOFTHSM_MODULE", softhsm_module)
    with Place.made(2) as places:
        roster = Roster.from_bytes(places[0].roster.read_bytes())
        nobody_here = {1: None, 2: None}
        yield Lab(places, World(nobody_here, roster, COORDINATOR, CLIENT))  # type: ignore[arg-type]


def check(world: World, holders: Sequence[Ask], certificate: Certificate, message: bytes) -> None:
    signature, key = signed(world, holders, certificate, message)
    assert coincurve.PublicKeyXOnly(key).verify(signature, message)


@pytest.mark.long
def test_a_wallet_outlives_the_death_of_every_process(lab: Lab) -> None:
    with lab.up() as (signers, holders):
        certificate = created(lab.world, holders)
        check(lab.world, holders, certificate, b"before")
        (share,) = lab.places[0].ran("share", "list")["shares"]
        assert (share["wallet"], share["scheme"], share["epoch"], share["state"]) == (
            "treasury",
            "taproot",
            0,
            "active",
        )
        assert os.path.getsize(share["file"]) == share["sealed_bytes"]
        assert len(share["recipients"]) == 1
        assert lab.places[0].failed("share", "discard", "treasury")[1]["rule"] == "not-prepared"
        for signer in signers:
            os.kill(signer.pid, signal.SIGKILL)
            signer.process.wait()
    with lab.up() as (_, holders):
        certificate.verify(lab.world.roster)
        check(lab.world, holders, certificate, b"after")
        held = Holding.from_bytes(holders[1](HolderMethod.WALLETS, ())[0])
        assert held.certificate == certificate.to_bytes()
    for place in lab.places:
        assert place.ran("audit", "verify")["lines"] > 0
        assert place.ran("inventory")["missing"] == []


@pytest.mark.long
def test_a_share_is_rewrapped_with_its_signer_running_or_not(lab: Lab) -> None:
    with lab.up() as (_, holders):
        certificate = created(lab.world, holders)
        first = lab.places[0].ran("share", "rewrap", "treasury")
        check(lab.world, holders, certificate, b"after the first")
    second = lab.places[0].ran("share", "rewrap", "treasury")
    assert first["recipients"] != second["recipients"]
    with lab.up() as (_, holders):
        check(lab.world, holders, certificate, b"after the second")
        (share,) = lab.places[0].ran("share", "list")["shares"]
    assert share["recipients"] == second["recipients"]
    purposes = [key["purpose"] for key in lab.places[0].ran("inventory")["keys"]]
    assert purposes.count("kek") == 1


@pytest.mark.long
def test_what_an_unfinished_create_left_is_discarded_by_either_way(lab: Lab) -> None:
    with lab.up() as (_, holders):
        certificate = prepared(lab.world, holders, "begun", 2)
        assert lab.states() == ["prepared", "prepared"]
        with pytest.raises(NotReady):
            check(lab.world, holders, certificate, b"too early")
        assert lab.places[0].ran("share", "discard", "begun")["wallet"] == "begun"
    wallet_id = certificate.body.terms.wallet_id.hex()
    assert lab.places[1].ran("share", "discard", wallet_id)["wallet_id"] == wallet_id
    for place in lab.places:
        assert place.ran("share", "list") == {"shares": []}
        assert {key["purpose"] for key in place.ran("inventory")["keys"]} == {"identity", "canary"}
