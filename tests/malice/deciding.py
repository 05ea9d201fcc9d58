"""What is done to ROTATE, AMENDED, DESTROY and the DESTROYED of a wallet."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from hsm_mpc.certificates.destruction import Destroy, WalletDestroyed
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.client.verified import verified_end
from hsm_mpc.errors import BadInput, NotReady
from hsm_mpc.ids import EpochHash, Scheme
from hsm_mpc.succession.amendment import Rotated
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.destroyed import wallet_destroyed_in
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import AMENDED, DESTROY, ROTATE
from hsm_mpc.wire.wallet_calls import Shown
from tests.agent import destroying
from tests.agent.making import Making, events
from tests.agent.simulate import NOTHING, World
from tests.malice import order_fields
from tests.malice.bench import COORDINATOR
from tests.malice.hearing import HOLDER, Case, Hearing
from tests.malice.refreshing import of_holders
from tests.malice.retirements import CLIENT
from tests.malice.verdicts import LIAR, Attack

_TURNING = 1
_OTHERS = (LIAR, 3)
_ANOTHER_PLAN = "it is another plan, as good as this one"
_IN_WHICHEVER = "it is good in whichever epoch"
_OWN_AFFAIR = "what it says of its own keys is its own affair"


# ROTATE and AMENDED


def of_rotations(world: World, scheme: Scheme) -> list[Attack]:
    """h1 takes another key: ROTATE at the others, who are asked and told; their AMENDED at h1."""
    making = Making.of(world, scheme=scheme)
    making.active()
    world.parties[_TURNING].rotations.begin()
    considered = Hearing(world, ROTATE.name, COORDINATOR, lambda: _considered(world))
    considered.envelope()
    rotate = _rotate(world)
    considered.payload(order_fields.of_rotate(rotate))
    destroy = destroying.said(world, destroying.destroy_of(world, making.certificate().body))
    considered.replaced(lambda: {"DESTROY": destroy})
    lies = _false_rotates(world)
    considered.messages(lambda: {what: _said(world, each) for what, each in lies.items()})
    considered.taken()
    amending = Hearing(world, "ROTATE, in an AMENDMENT", COORDINATOR, lambda: _amending(world))
    amending.bare(order_fields.of_rotate(rotate))
    amending.messages(lambda: {what: each.to_bytes() for what, each in lies.items()})
    amending.taken()
    return [*considered.found, *amending.found, *_answers(world, rotate)]


def _rotate(world: World) -> Rotate:
    _, said = world.parties[_TURNING].rotations.offered()
    return Rotate.from_bytes(said)


def _said(world: World, rotate: Rotate) -> bytes:
    return world.said(ROTATE, rotate.wallet_id, NOTHING, rotate.epoch_hash, rotate.to_bytes())


def _considered(world: World) -> Case:
    parties = world.parties
    takes = of_holders(lambda i, said: parties[i].repairs.consider_rotation(said))
    return Case(
        _said(world, _rotate(world)), {f"h{index}": takes[f"h{index}"] for index in _OTHERS}
    )


def _amending(world: World) -> Case:
    rotate = _rotate(world)

    def amended(index: int, source: bytes) -> bytes:
        return _amended(world, index, rotate, source)

    return Case(rotate.to_bytes(), of_holders(amended, _OTHERS))


def _amended(world: World, index: int, rotate: Rotate, source: bytes) -> bytes:
    """AMENDED of one of the others."""
    form_and_length = Rotated(rotate).to_bytes()[:1] + len(source).to_bytes(4, "big")
    return world.parties[index].repairs.amend(rotate.wallet_id, form_and_length + source)


def _false_rotates(world: World) -> dict[str, Rotate]:
    true, roster = _rotate(world), world.roster
    second, third = (roster.member(index).key for index in (LIAR, 3))
    return {
        "of h2": replace(true, index=LIAR, known_key=second),
        "of a holder that there is not": replace(true, index=9),
        "of a key that is in force for another": replace(true, known_key=third),
        "to the key of h3": replace(true, identity_key=third),
        "to the same key": replace(true, identity_key=true.known_key),
        "signed by the old key alone": replace(true, new_signature=true.old_signature),
        "signed by the new key alone": replace(true, old_signature=true.new_signature),
        "of another epoch": replace(true, epoch_hash=EpochHash(b"e" * 32)),
    }


def _answers(world: World, rotate: Rotate) -> list[Attack]:
    """AMENDED of h2, while that of h3 is missing; then h1 has both, and its old key goes."""
    rotations = world.parties[_TURNING].rotations
    rotations.turn()
    second, third = (_amended(world, index, rotate, rotate.to_bytes()) for index in _OTHERS)

    def taken(index: int, source: bytes) -> None:
        try:
            rotations.turned([source])
        except NotReady as waits:
            if "h2" in str(waits):
                raise

    hearing = Hearing(
        world, AMENDED.name, HOLDER, lambda: Case(second, of_holders(taken, (_TURNING,)))
    )
    hearing.envelope(signed={"header: epoch_hash": _IN_WHICHEVER})
    hearing.payload(order_fields.of_amended(rotate.identity_key))
    hearing.replaced(lambda: {"that of h3": third, "ROTATE": _said(world, rotate)})
    hearing.taken()
    rotations.turned([second, third])
    assert not rotations.is_under_way()
    assert "identity-destroyed" in events(world.parties[_TURNING])
    return hearing.found


# DESTROY and DESTROYED


def of_ends(world: World, scheme: Scheme) -> list[Attack]:
    """DESTROY at everybody, of one wallet after another; then the DESTROYED of h2."""
    numbers = itertools.count(1)

    def made() -> Making:
        making = Making.of(world, f"w{next(numbers):04}", scheme=scheme)
        making.active()
        return making

    def destroyed(index: int, said: bytes) -> bytes:
        return world.parties[index].destructions.destroy(said)

    wallets = list[Making]()

    def begun() -> Case:
        wallets[:] = [made(), made()]
        return Case(_destroy(world, wallets[0]), of_holders(destroyed))

    hearing = Hearing(world, DESTROY.name, COORDINATOR, begun)
    hearing.envelope()
    order = Destroy.from_bytes(parse_envelope(hearing.case.honest).payload)
    free = ("reason", "deadline", "deadline at its most", "nonce")
    hearing.payload(order_fields.of_destroy(order), dict.fromkeys(free, _ANOTHER_PLAN))
    hearing.replaced(
        lambda: {"that of another wallet": _destroy(world, wallets[1])},
        {"that of another wallet": "it is the end of that one"},
    )
    hearing.lies(
        lambda: {
            "over already": replace(
                Destroy.from_bytes(parse_envelope(hearing.case.honest).payload),
                deadline=world.clock() - 1,
            ).to_bytes()
        }
    )
    hearing.taken()
    return [*hearing.found, *_ended(world, made(), made())]


def _destroy(world: World, making: Making) -> bytes:
    return destroying.said(world, destroying.destroy_of(world, making.certificate().body))


def _ended(world: World, making: Making, other: Making) -> list[Attack]:
    said, theirs = (
        [party.destructions.destroy(_destroy(world, each)) for party in world.parties.values()]
        for each in (making, other)
    )
    judges = {
        "coordinator": lambda source: _heard(world, making, source),
        CLIENT: lambda source: _shown(world, making, [said[0], source, said[2]]),
    }
    hearing = Hearing(world, "DESTROYED, of a wallet", HOLDER, lambda: Case(said[LIAR - 1], judges))
    hearing.envelope(signed={"header: epoch_hash": _IN_WHICHEVER})
    content = WalletDestroyed.from_bytes(parse_envelope(said[LIAR - 1]).payload)
    of_destroyed = order_fields.of_destroyed(content)
    own = [each.name for each in of_destroyed if each.name.startswith(("hash", "kek", "destroyed"))]
    hearing.payload(of_destroyed, dict.fromkeys(own, _OWN_AFFAIR))
    hearing.replaced(
        lambda: {
            "that of another wallet": theirs[LIAR - 1],
            "that of h3": said[2],
            "DESTROY": _destroy(world, making),
        },
        {
            "the payload of that of another wallet": _OWN_AFFAIR,
            "the payload of that of h3": _OWN_AFFAIR,
        },
    )
    hearing.taken()
    return hearing.found


def _heard(world: World, making: Making, source: bytes) -> None:
    wallet_destroyed_in(source, making.wallet_id, KeyBook(world.roster, {}))
    if parse_envelope(source).address.sender != LIAR:
        raise BadInput("it is not counted")


def _shown(world: World, making: Making, destroyed: Sequence[bytes]) -> None:
    shown = Shown(making.certificate().to_bytes(), tuple(making.dones), tuple(destroyed))
    if verified_end(shown, KeyBook(world.roster, {})).waiting_for:
        raise BadInput("it is not counted")
