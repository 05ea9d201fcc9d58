"""The driver of rounds wipes what a round consumed, and a round names all culprits at once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hsm_mpc.errors import BackendError, ProtocolAbort, Tampered
from hsm_mpc.protocols.rounds import Faults, abort, advance, kept
from hsm_mpc.secure.arena import Arena, Secret, Take, move_bytes
from tests.protocols.keygen import leaving_nothing


@dataclass(frozen=True, slots=True)
class Keep:
    name: str
    one: Secret
    other: Secret


@pytest.fixture
def keep(take: Take) -> Keep:
    return Keep("between two rounds", take(32), take(64))


def is_wiped(secret: Secret) -> bool:
    try:
        with secret.open():
            return False
    except BackendError:
        return True


def test_what_a_round_consumed_is_wiped(keep: Keep) -> None:
    """Step 1.8.9."""

    def round_(keep: Keep, message: bytes, *, loud: bool) -> tuple[bytes, bool]:
        assert not is_wiped(keep.one)
        return message, loud

    assert advance(round_, keep, b"received", loud=True) == (b"received", True)
    assert is_wiped(keep.one) and is_wiped(keep.other)
    assert keep.name == "between two rounds"


def test_what_a_round_consumed_is_wiped_when_it_raises(keep: Keep) -> None:
    """Step 1.8.4."""

    def round_(keep: Keep) -> None:
        raise ProtocolAbort(keep.name)

    with pytest.raises(ProtocolAbort):
        advance(round_, keep)
    assert is_wiped(keep.one) and is_wiped(keep.other)


def test_a_keep_serves_one_round_only(keep: Keep) -> None:
    def round_(keep: Keep) -> None:
        with keep.one.open():
            pass

    advance(round_, keep)
    with pytest.raises(BackendError, match="after its release"):
        advance(round_, keep)


def test_an_abort_wipes_a_keep(keep: Keep) -> None:
    abort(keep)
    abort(keep)
    assert is_wiped(keep.one) and is_wiped(keep.other)


def test_every_secret_is_wiped_though_one_was_damaged(keep: Keep) -> None:
    """Somebody wrote beyond the first slot: that is told, and the second one is wiped too."""
    with keep.one.open() as pointer:
        move_bytes(pointer + keep.one.size, b"!", 1)
    with pytest.raises(Tampered, match="beyond a slot"):
        abort(keep)
    assert is_wiped(keep.one) and is_wiped(keep.other)


def test_a_keep_without_secrets_is_aborted_too() -> None:
    @dataclass(frozen=True, slots=True)
    class Public:
        name: str

    abort(Public("public"))


def test_kept_slots_outlive_the_body(protocol_arena: Arena) -> None:
    with kept(protocol_arena) as take:
        secret = take(32)
    assert not is_wiped(secret)
    secret.release()


def test_kept_slots_are_wiped_when_the_body_raises(protocol_arena: Arena) -> None:
    """Step 1.8.4."""
    taken: list[Secret] = []
    with leaving_nothing(protocol_arena):
        with pytest.raises(ProtocolAbort), kept(protocol_arena) as take:
            taken += [take(32), take(32)]
            raise ProtocolAbort("in the middle")
        assert all(map(is_wiped, taken))


def test_all_culprits_are_named_at_once_with_their_first_reason() -> None:
    """Section 1.10."""
    faults = Faults()
    faults.raise_if_any()
    faults.blame(3, "late")
    faults.blame(1, "wrong")
    faults.blame(3, "wrong as well")
    with pytest.raises(ProtocolAbort, match=r"^holder 1: wrong; holder 3: late$") as abort:
        faults.raise_if_any()
    assert abort.value.culprits == (1, 3)
