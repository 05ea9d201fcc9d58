"""What is done to ACK, of which the coordinator makes the certificate: of a refresh, and of old and
new holders of a resharing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.done import ack_message
from hsm_mpc.certificates.resharing import Resharing
from hsm_mpc.ids import EpochHash, Scheme
from hsm_mpc.succession.ack import Ack
from hsm_mpc.succession.assembling import assemble
from hsm_mpc.succession.propose import check_propose
from hsm_mpc.succession.successor import NO_SHARE
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import ACK, FIRST_NEW_HOLDER
from tests.agent.refreshing import Refreshing
from tests.agent.resharing import Sharing
from tests.agent.simulate import World
from tests.malice import succession_fields
from tests.malice.hearing import HOLDER, Case, Hearing
from tests.malice.sharings import Sharings
from tests.malice.successions import Refreshes
from tests.malice.verdicts import LIAR, Attack

_NOT_CARRIED = "the certificate that comes of it is the same, and proves itself"
_ADDRESS = ("wallet_id", "session_id", "epoch_hash", "sender", "receiver")
_OWN_BLOB = "what it has sealed is its own affair"


def of_acks(world: World, refreshes: Refreshes, petty: Refreshes) -> list[Attack]:
    """On the ACK of h2 in a refresh."""
    _, others = petty.acknowledged()
    _, past = refreshes.acknowledged()
    acks = list[bytes]()

    def begun() -> Case:
        now, acks[:] = refreshes.acknowledged()
        one, two, three = acks
        return Case(two, {"coordinator": lambda said: _certified(now, [one, said, three])})

    hearing = Hearing(world, ACK.name, HOLDER, begun)
    _parts(hearing)
    hearing.replaced(
        lambda: {
            "that of the attempt before": past[LIAR - 1],
            "that of another wallet": others[LIAR - 1],
            "that of h3": acks[2],
            "DEAL": refreshes.now.deals[LIAR - 1],
        }
    )
    hearing.taken()
    refreshes.over()
    return hearing.found


def _parts(hearing: Hearing) -> None:
    """Envelope and payload: the certificate has of it what the HSM has signed."""
    address = {f"header: {name}": _NOT_CARRIED for name in _ADDRESS}
    hearing.envelope({**address, "envelope: signature": _NOT_CARRIED}, address)
    of_ack = succession_fields.of_ack(_ack_in(hearing.case.honest).acknowledgement)
    alpha = {each.name: _NOT_CARRIED for each in of_ack if each.name.startswith("α")}
    hearing.payload(of_ack, alpha, alpha)


def _ack_in(source: bytes) -> Ack:
    return Ack.from_bytes(parse_envelope(source).payload)


def _certified(
    now: Refreshing,
    acks: Sequence[bytes],
    new_acks: Sequence[bytes] = (),
    resharing: Resharing | None = None,
) -> None:
    """The coordinator makes the certificate of them."""
    message = parse_envelope(now.propose)
    proposed = check_propose(message, now.replaced, now.keys, resharing)
    certificate = assemble(now.replaced, proposed, now.deals, acks, new_acks)
    certificate.verify(now.replaced, now.keys)


# Of a resharing


def of_sharings(world: World, scheme: Scheme) -> list[Attack]:
    """On the ACK of h2 as an old holder, and on its ACK' as a new one."""
    sharings = Sharings(world, scheme)
    other = sharings.certified()
    sharings.over()
    sharings.certified_again()
    found = [*_of_old_holders(sharings, other), *_of_new_holders(sharings, other)]
    sharings.over()
    return found


def _of_old_holders(sharings: Sharings, other: Sharing) -> list[Attack]:
    now, before, refreshed = sharings.now, sharings.before, sharings.refreshed
    hearing = Hearing(sharings.world, "ACK, of an old holder", HOLDER, lambda: _of_old(now))
    _parts(hearing)
    hearing.replaced(
        lambda: {
            "that of the attempt before": before.acks[LIAR - 1],
            "that of an attempt to refresh": refreshed.stage(LIAR),
            "that of another wallet": other.acks[LIAR - 1],
            "that of h1": now.acks[0],
            "its ACK as a new holder": now.new_acks[LIAR - 1],
            "DEAL": now.deals[LIAR - 1],
        }
    )
    another_key, another_blob = b"k" * 32, b"b" * 32
    hearing.lies(
        lambda: {
            "with a share": _signed(hearing, kek_digest=another_key, blob_digest=another_blob),
            "with a key and no share": _signed(hearing, kek_digest=another_key),
            "signed as by a new holder": _signed(hearing, FIRST_NEW_HOLDER + LIAR),
            "signed as by h1": _signed(hearing, 1),
            "for the epoch itself": _signed(hearing, h=now.replaced.hash),
            "for what the attempt before made": _signed(hearing, h=before.successor.hash),
        }
    )
    hearing.taken()
    return hearing.found


def _of_new_holders(sharings: Sharings, other: Sharing) -> list[Attack]:
    now, before = sharings.now, sharings.before
    hearing = Hearing(sharings.world, "ACK, of a new holder", HOLDER, lambda: _of_new(now))
    _parts(hearing)
    hearing.replaced(
        lambda: {
            "that of the attempt before": before.new_acks[LIAR - 1],
            "that of another wallet": other.new_acks[LIAR - 1],
            "that of h3": now.new_acks[2],
            "its ACK as an old holder": now.acks[LIAR - 1],
            "HELLO": now.hellos[LIAR - 1],
        }
    )
    own, another = FIRST_NEW_HOLDER + LIAR, b"x" * 32
    hearing.lies(
        lambda: {
            "with another blob": _signed(hearing, own, blob_digest=another),
            "with another key than in its HELLO": _signed(hearing, own, kek_digest=another),
            "without a share": _signed(hearing, own, kek_digest=NO_SHARE, blob_digest=NO_SHARE),
            "signed as by an old holder": _signed(hearing, LIAR),
            "signed as by h3": _signed(hearing, FIRST_NEW_HOLDER + 3),
            "for the epoch itself": _signed(hearing, own, h=now.replaced.hash),
            "for what the attempt before made": _signed(hearing, own, h=before.successor.hash),
        },
        {"with another blob": _OWN_BLOB},
    )
    hearing.taken()
    return hearing.found


def _of_old(now: Sharing) -> Case:
    one, two = now.acks

    def coordinated(said: bytes) -> None:
        _certified(now, [one, said], now.new_acks, now.resharing)

    return Case(two, {"coordinator": coordinated})


def _of_new(now: Sharing) -> Case:
    one, two, three = now.new_acks

    def coordinated(said: bytes) -> None:
        _certified(now, now.acks, [one, said, three], now.resharing)

    return Case(two, {"coordinator": coordinated})


def _signed(
    hearing: Hearing,
    index: int = LIAR,
    h: bytes = b"",
    kek_digest: bytes = b"",
    blob_digest: bytes = b"",
) -> bytes:
    """The payload of another ACK, in which h2 has signed that, too."""
    honest = _ack_in(hearing.case.honest)
    epoch_hash = EpochHash(h or honest.epoch_hash)
    said = honest.acknowledgement
    kek_digest, blob_digest = kek_digest or said.kek_digest, blob_digest or said.blob_digest
    message = ack_message(epoch_hash, index, kek_digest, blob_digest)
    signature = hearing.world.parties[LIAR].acting.identity.sign(Tag.ACK, message)
    acknowledgement = Acknowledgement(kek_digest, blob_digest, signature)
    return replace(honest, epoch_hash=epoch_hash, acknowledgement=acknowledgement).to_bytes()
