"""A holder's two answers and every check before its secrets meet a list (section 4.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from hsm_mpc.errors import BackendError, BadInput, ProtocolAbort, Refused, Tampered
from hsm_mpc.groups.ed25519 import ED25519, ORDER
from hsm_mpc.protocols.frost_ed25519 import session as session_module
from hsm_mpc.protocols.frost_ed25519.lists import Task, checked_session
from hsm_mpc.protocols.frost_ed25519.nonces import PublicNonce
from hsm_mpc.protocols.frost_ed25519.partial import sign_partial, verify_partial
from hsm_mpc.protocols.frost_ed25519.session import Session
from hsm_mpc.protocols.frost_ed25519.signers import EpochKey
from hsm_mpc.protocols.leases import Lease, LeaseTable
from hsm_mpc.protocols.list_checks import RepeatedNonce
from hsm_mpc.protocols.signing_messages import Commitment, CommitPayload
from hsm_mpc.secure.arena import Arena, Secret, copy, publish
from hsm_mpc.secure.entropy import Entropy
from tests.protocols.frost import EPOCH, MESSAGE, REQUEST, envelope
from tests.protocols.frost_ed25519 import (
    IDENTITY,
    Wallet,
    binding_factor,
    changed,
    le,
    mixed,
    received,
    times_b,
)
from tests.secure.bytes_of import at, filled


@dataclass
class Round2:
    """Holder 2 of 3-of-5 before a list of holders 1, 2 and 4."""

    wallet: Wallet
    task: Task
    lease: Lease
    listed: list[Commitment]
    unsealed: bool = False

    @contextmanager
    def share(self) -> Iterator[Secret]:
        self.unsealed = True
        with self.wallet.opened(2) as share:
            yield share

    def answer(self) -> bytes:
        return self.task.answer(self.lease, self.listed, self.share())


@pytest.fixture
def round2(protocol_arena: Arena) -> Iterator[Round2]:
    wallet = Wallet.dealt(protocol_arena, 3, 5)
    leases = {index: wallet.lease(index) for index in (1, 2, 4)}
    listed = [received(lease.commit) for lease in leases.values()]
    yield Round2(wallet, wallet.task(2), leases[2], listed)
    for lease in leases.values():
        lease.secret_nonce.release()


def slot_is_gone(lease: Lease) -> bool:
    try:
        with lease.secret_nonce.open():
            return False
    except BackendError:
        return True


Change = Callable[[Round2], None]


def require(round2: Round2, change: Change, kind: type[Exception], text: str) -> Exception:
    """After `change` the answer fails, before the share is unsealed, and the nonce is wiped."""
    change(round2)
    with pytest.raises(kind, match=text) as raised:
        round2.answer()
    assert not round2.unsealed
    assert slot_is_gone(round2.lease)
    return raised.value


# Round 1


def test_a_lease_is_bound_to_what_its_holder_computed(round2: Round2) -> None:
    """Steps 3.2.2 and 3.3.2."""
    lease, task = round2.lease, round2.task
    payload = CommitPayload.from_bytes(lease.commit[1:], 64)
    assert payload == CommitPayload(0, lease.lease_id, lease.public_nonce)
    assert lease.terms == task.terms
    assert lease.terms.message_digest == hashlib.sha256(MESSAGE).digest()
    assert (lease.terms.epoch_hash, lease.terms.request_id) == (EPOCH, REQUEST)
    assert lease.key == task.epoch.threshold_key


def test_an_envelope_that_fails_leaves_no_nonce(round2: Round2, protocol_arena: Arena) -> None:
    """Step 1.8.4: every path of a round wipes."""

    def broken(_: bytes) -> bytes:
        raise BackendError("the channel key is gone")

    free = protocol_arena.free_bytes
    with round2.wallet.opened(2) as share, pytest.raises(BackendError):
        round2.task.commit(b"lease of a test.", Entropy(), share, broken)
    assert protocol_arena.free_bytes == free


def test_a_lease_id_of_another_length_is_refused(round2: Round2, protocol_arena: Arena) -> None:
    free = protocol_arena.free_bytes
    with round2.wallet.opened(2) as share, pytest.raises(BadInput, match="lease_id"):
        round2.task.commit(b"short", Entropy(), share, envelope(2))
    assert protocol_arena.free_bytes == free


# Round 2: an answer


def test_an_answer_is_a_partial_signature_that_verifies(round2: Round2) -> None:
    session = checked_session(round2.task, round2.lease, round2.listed)
    verify_partial(session, 2, round2.answer())
    assert slot_is_gone(round2.lease)


def test_the_whole_roster_may_sign(protocol_arena: Arena) -> None:
    """Step 3.4.2: t ≤ u ≤ n."""
    wallet = Wallet.dealt(protocol_arena, 2, 3)
    for indices in ((1, 2, 3), (2, 3)):
        wallet.sign(indices)


# Step 3.4.1


@pytest.mark.parametrize(
    "other",
    [{"wallet_id": b"another wallet.."}, {"request_id": b"q" * 32}, {"k": 1}],
    ids=["wallet", "request", "k"],
)
def test_a_lease_of_another_session_is_refused(round2: Round2, other: dict[str, object]) -> None:
    def change(round2: Round2) -> None:
        round2.task = replace(round2.task, **other)  # type: ignore[arg-type]

    error = require(round2, change, Refused, "made for another request or epoch")
    assert isinstance(error, Refused)
    assert error.rule == "lease-session"


def test_a_lease_of_another_epoch_is_refused(round2: Round2) -> None:
    """Steps 3.4.1 and 6.5.8: a session never mixes epochs."""

    def change(round2: Round2) -> None:
        epoch = replace(round2.task.epoch, epoch_hash=b"f" * 32)
        round2.task = replace(round2.task, epoch=epoch)

    require(round2, change, Refused, "made for another request or epoch")


# Steps 3.4.2 to 3.4.4: the relay's doing, nobody is to blame


def without_culprit(error: Exception) -> None:
    assert isinstance(error, ProtocolAbort)
    assert error.culprits == ()


def test_too_few_signers_are_refused(round2: Round2) -> None:
    def change(round2: Round2) -> None:
        del round2.listed[2]

    without_culprit(require(round2, change, ProtocolAbort, "2 signers where 3 to 5 are wanted"))


def test_a_list_not_ascending_is_refused(round2: Round2) -> None:
    def change(round2: Round2) -> None:
        round2.listed.reverse()

    without_culprit(require(round2, change, ProtocolAbort, "not strictly ascending"))


def test_a_holder_twice_in_a_list_is_refused(round2: Round2) -> None:
    def change(round2: Round2) -> None:
        round2.listed.insert(1, round2.listed[0])

    without_culprit(require(round2, change, ProtocolAbort, "not strictly ascending"))


def test_a_stranger_in_a_list_is_refused(round2: Round2) -> None:
    def change(round2: Round2) -> None:
        round2.listed[2] = changed(round2.listed[2], index=6)

    without_culprit(require(round2, change, ProtocolAbort, "indices run from 1 to 5"))


def test_an_entry_for_another_signature_of_the_request_is_refused(round2: Round2) -> None:
    def change(round2: Round2) -> None:
        round2.listed[2] = changed(round2.listed[2], k=1)

    without_culprit(require(round2, change, ProtocolAbort, "not for signature 0"))


def test_a_set_outside_the_quorum_rule_is_refused(round2: Round2) -> None:
    """Step 3.4.3."""
    asked: list[frozenset[int]] = []

    def with_holder_5(indices: frozenset[int]) -> bool:
        asked.append(indices)
        return 5 in indices

    def change(round2: Round2) -> None:
        round2.task = replace(round2.task, allowed=with_holder_5)

    error = require(round2, change, Refused, "may not sign this by themselves")
    assert isinstance(error, Refused)
    assert error.rule == "quorum"
    assert asked == [frozenset({1, 2, 4})]


def test_a_list_without_the_own_commit_is_refused(round2: Round2) -> None:
    """Step 3.4.4."""

    def change(round2: Round2) -> None:
        round2.listed[1] = changed(round2.listed[1], index=3)

    without_culprit(require(round2, change, ProtocolAbort, "our own COMMIT is missing or changed"))


@pytest.mark.parametrize(
    "field", [{"lease_id": b"another lease..."}, {"public_nonce": b"\x02" * 64}]
)
def test_a_replaced_own_commit_is_refused(round2: Round2, field: dict[str, object]) -> None:
    """Step 3.4.4: byte for byte mine."""

    def change(round2: Round2) -> None:
        round2.listed[1] = changed(round2.listed[1], **field)

    without_culprit(require(round2, change, ProtocolAbort, "our own COMMIT is missing or changed"))


def test_an_own_commit_with_another_signature_is_refused(round2: Round2) -> None:
    def change(round2: Round2) -> None:
        other = replace(round2.listed[1], message=round2.listed[1].message + b"!")
        round2.listed[1] = other

    without_culprit(require(round2, change, ProtocolAbort, "our own COMMIT is missing or changed"))


# Steps 4.4.1 and 3.4.6


POINT = times_b(4711)


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(mixed(POINT), id="mixed_order_nonce_commitment"),
        pytest.param(IDENTITY, id="identity_commitment"),
        pytest.param(bytes(32), id="order_four"),
        pytest.param((2**255 - 16).to_bytes(32, "little"), id="non_canonical_y"),
        pytest.param(b"\xff" * 32, id="largest"),
        pytest.param(POINT[:-1], id="short"),
    ],
)
def test_a_nonce_that_is_not_a_point_names_its_sender(
    round2: Round2, half: int, bad: bytes
) -> None:
    """Step 4.4.1: D and E."""

    def change(round2: Round2) -> None:
        nonce = POINT + bad if half else bad + POINT
        round2.listed[2] = changed(round2.listed[2], public_nonce=nonce)

    error = require(round2, change, ProtocolAbort, "holder 4: public nonce")
    assert isinstance(error, ProtocolAbort)
    assert error.culprits == (4,)


def test_all_senders_of_bad_nonces_are_named(round2: Round2) -> None:
    """Section 1.10: collect all culprits, raise once."""

    def change(round2: Round2) -> None:
        for place in (0, 2):
            round2.listed[place] = changed(round2.listed[place], public_nonce=bytes(64))

    error = require(round2, change, ProtocolAbort, "holder 1: .* holder 4: ")
    assert isinstance(error, ProtocolAbort)
    assert error.culprits == (1, 4)


@pytest.mark.parametrize("field", ["public_nonce", "lease_id"])
@pytest.mark.parametrize(("copier", "from_"), [(2, 1), (2, 0), (0, 1)])
def test_a_duplicated_nonce_names_the_pair_and_blames_nobody(
    round2: Round2, field: str, copier: int, from_: int
) -> None:
    """Step 3.4.6: who copied whom cannot be seen."""

    def change(round2: Round2) -> None:
        copied = getattr(round2.listed[from_], field)
        round2.listed[copier] = changed(round2.listed[copier], **{field: copied})

    error = require(round2, change, RepeatedNonce, "committed to the same nonce")
    assert isinstance(error, RepeatedNonce)
    indices = [entry.index for entry in round2.listed]
    assert error.pair == tuple(sorted((indices[copier], indices[from_])))
    assert error.culprits == ()


# Steps 3.4.7 and 4.4.1 to 4.4.3


def test_a_request_that_changed_after_the_commit_is_refused(round2: Round2) -> None:
    """Step 3.4.7."""

    def change(round2: Round2) -> None:
        round2.task = replace(round2.task, message=b"another message")

    error = require(round2, change, Refused, "another message to sign")
    assert isinstance(error, Refused)
    assert error.rule == "message-changed"


def test_the_session_is_computed_from_the_list_and_the_own_epoch_alone(round2: Round2) -> None:
    """Step 4.4.2: nothing that a coordinator says enters."""
    session = checked_session(round2.task, round2.lease, round2.listed)
    nonces = [PublicNonce.parse(entry.public_nonce) for entry in round2.listed]
    epoch = round2.wallet.epoch
    assert session == Session.of(epoch.signers((1, 2, 4)), nonces, MESSAGE)
    assert session.signers.public_shares[1] == epoch.public_share(2)
    assert session.signers.threshold_key == epoch.threshold_key


def test_nonces_that_cancel_out_abort_without_culprit(
    round2: Round2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 4.4.3: R = O, which takes binding factors of the test's choice."""
    round2.listed[0] = changed(round2.listed[0], public_nonce=times_b(-9) + times_b(5))
    round2.listed[2] = changed(round2.listed[2], public_nonce=times_b(9) + times_b(7))
    own = PublicNonce.parse(round2.lease.public_nonce)
    lone = replace(
        round2.lease, public_nonce=PublicNonce.of(own.hiding, ED25519.negate_point(own.hiding))
    )
    round2.lease = lone
    factors = iter((0, 1, 0))
    monkeypatch.setattr(session_module, "hash_to_scalar", lambda _: next(factors))
    error = require(round2, lambda _: None, ProtocolAbort, "the nonces of the list cancel out")
    without_culprit(error)


def test_a_share_of_another_epoch_is_tampered_and_everything_is_wiped(round2: Round2) -> None:
    """Step 4.4.2, after every other check."""
    commitments = Wallet.dealt(round2.wallet.arena, 3, 5, "other")
    epoch: EpochKey = replace(commitments.epoch, epoch_hash=EPOCH)
    round2.task = replace(round2.task, epoch=epoch)
    with pytest.raises(Tampered, match="not the one that the epoch certifies"):
        round2.answer()
    assert slot_is_gone(round2.lease)


def test_a_share_that_cannot_be_unsealed_costs_the_nonce(round2: Round2) -> None:
    @contextmanager
    def broken() -> Iterator[Secret]:
        raise Tampered("the blob is damaged")
        yield

    round2.share = broken  # type: ignore[method-assign]
    with pytest.raises(Tampered, match="damaged"):
        round2.answer()
    assert slot_is_gone(round2.lease)


# Step 3.4.14: replays


def three_lists(round2: Round2) -> list[list[Commitment]]:
    """Lists with other nonces of holder 4, as a coordinator with an accomplice can make."""
    accomplices = [round2.wallet.lease(4) for _ in range(3)]
    lists = []
    for lease in accomplices:
        lists.append([*round2.listed[:2], received(lease.commit)])
        lease.secret_nonce.release()
    return lists


def solved(rows: list[tuple[int, int, int, int]]) -> int:
    """x_3 of three equations a·x_1 + b·x_2 + c·x_3 = s modulo the order."""

    def determinant(m: list[list[int]]) -> int:
        (a, b, c), (d, e, f), (g, h, i) = m
        return (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) % ORDER

    whole = determinant([[a, b, c] for a, b, c, _ in rows])
    replaced = determinant([[a, b, s] for a, b, _, s in rows])
    return replaced * pow(whole, -1, ORDER) % ORDER


def test_three_answers_to_one_nonce_would_reveal_the_share(
    round2: Round2, protocol_arena: Arena
) -> None:
    """The attack, with the guard left out: why a nonce is used once."""
    rows = []
    for listed in three_lists(round2):
        session = checked_session(round2.task, round2.lease, listed)
        with protocol_arena.scope() as take:
            nonce, share = take(64), filled(take(32), le(round2.wallet.share(2)))
            copy(nonce, round2.lease.secret_nonce)
            z = int.from_bytes(sign_partial(session, 2, nonce, share), "little")
        rows.append((1, binding_factor(session, 2), session.share_factor(2), z))
    assert solved(rows) == round2.wallet.share(2)


def test_three_replays_do_not_leak(round2: Round2) -> None:
    """Step 3.4.14: the same attack fails for lack of answers."""
    table, answers = LeaseTable(), []
    table.add(round2.lease, 0)
    for number, listed in enumerate(three_lists(round2)):
        list_hash = bytes([number]) * 32
        try:
            lease = table.take(round2.lease.lease_id, list_hash, 1)
        except Refused as refused:
            assert refused.rule == "lease-used"
            continue
        round2.listed, round2.lease = listed, lease
        answers.append(round2.answer())
        table.answered(lease.lease_id, answers[-1])
    assert len(answers) == 1
    assert table.answer(round2.lease.lease_id, b"\0" * 32, 2) == answers[0]
    assert table.answer(round2.lease.lease_id, b"\1" * 32, 2) is None


def test_whoever_keeps_a_used_lease_cannot_use_it_again(round2: Round2) -> None:
    round2.answer()
    with pytest.raises(BackendError, match="after its release"):
        round2.answer()


def test_an_answer_leaves_nothing_in_memory() -> None:
    """Step 3.4.13: only the lease of somebody else lies in the arena afterwards."""
    arena = Arena(4096)
    size = arena.free_bytes
    wallet = Wallet.dealt(arena, 2, 3)
    lease, other = wallet.lease(1), wallet.lease(2)
    secrets = [publish(lease.secret_nonce)[:32], publish(lease.secret_nonce)[32:]]
    secrets.append(le(wallet.share(1)))
    listed = [received(lease.commit), received(other.commit)]
    wallet.answer(lease, listed, wallet.task(1))
    with arena.open() as start:
        content = at(start, size)
    for secret in secrets:
        assert not any(secret[offset : offset + 8] in content for offset in range(0, 32, 8))
    other.secret_nonce.release()
    with arena.open() as start:
        assert at(start, size) == bytes(size)
    arena.close()
