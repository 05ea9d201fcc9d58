"""Key generation: COCKTAIL-DKG, the core rounds (section 2.5), byte-exact with its vectors.

    start    → msg1 to all
    exchange ← n msg1              now the share x_i is there: it is sealed before `confirm`
    confirm  → signature of the transcript to all
    finish   ← n signatures        the key is agreed

Secrets: coefficients, ephemeral key, dealt shares and pads end with the round that made them, x_i
with `confirm`. The caller owns the slot of d_i, shows it to each round and wipes it at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, ProtocolAbort
from hsm_mpc.groups import proofs
from hsm_mpc.groups.sharing import (
    DrawScalars,
    evaluate_public,
    share_is_committed,
    sum_of_commitments,
)
from hsm_mpc.protocols import schnorr
from hsm_mpc.protocols.dkg_messages import Dealing1, Setup, possession_message, transcript
from hsm_mpc.protocols.pads import Route, session_pads, static_halves
from hsm_mpc.protocols.rounds import Faults, Outbox, kept
from hsm_mpc.secure.arena import Secret, Take, move_bytes


@dataclass(frozen=True, slots=True)
class Keep1to2:
    """Kept from `start` to `exchange`."""

    setup: Setup
    own: Dealing1
    static_halves: Secret
    """S^d with each holder in turn. It is half of the pads of both directions, and kept although
    pads are wiped (step 2.5.4): it is no more than d_i, which its owner keeps as well."""


@dataclass(frozen=True, slots=True)
class Keep2to3:
    """Kept from `exchange` to `confirm`. In between the share is sealed, and opened again."""

    setup: Setup
    transcript: bytes
    """T."""
    commitments: tuple[bytes, ...]
    """A_0..A_{t−1}; A_0 is the group key."""
    public_shares: tuple[bytes, ...]
    """A(1)..A(n)."""
    share: Secret
    """x_i."""


@dataclass(frozen=True, slots=True)
class Keep3to4:
    """Kept from `confirm` to `finish`; all of it public."""

    setup: Setup
    transcript: bytes
    own: bytes
    """Own signature of the transcript."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The transcript with all n signatures: proof that every holder saw the same key generation."""

    transcript: bytes
    signatures: tuple[bytes, ...]


def start(setup: Setup, static: Secret, draw: DrawScalars) -> tuple[Keep1to2, Outbox]:
    """Round 1: deal a random polynomial to all. `static` is d_i.

    Raises:
        ProtocolAbort: a value is degenerate; no culprit.
    """
    suite, group, arena = setup.suite, setup.suite.group, static.arena
    with arena.open(), kept(arena) as keep, arena.scope() as take, static.open() as own_static:
        halves = keep(group.point_length * setup.holders)
        with halves.open() as half:
            static_halves(suite, own_static, setup.static_keys, half)
        scalars = take(group.scalar_length * (setup.threshold + 1))  # a_0 ‖ … ‖ a_{t−1} ‖ e
        draw(scalars)  # step 2.5.1
        with scalars.open() as first:
            *commitments, ephemeral = (
                group.public_point_at(first + offset)
                for offset in range(0, scalars.size, group.scalar_length)
            )
            signed = possession_message(setup, commitments, ephemeral)
            possession = schnorr.sign(suite, arena, first, commitments[0], signed)  # step 2.5.2
        sealed = _deal(setup, scalars, ephemeral, halves)
    own = Dealing1(tuple(commitments), possession, ephemeral, sealed)
    return Keep1to2(setup, own, halves), Outbox(own.to_bytes())  # step 2.5.4


def _deal(setup: Setup, scalars: Secret, ephemeral: bytes, halves: Secret) -> tuple[bytes, ...]:
    """c_{j,1}..c_{j,n}: f_j at every index, also the own, under its pad (step 2.5.3)."""
    group = setup.suite.group
    sealed = []
    with (
        session_pads(setup.suite, setup.context, scalars.arena) as pads,
        scalars.open() as coefficients,
        halves.open() as half,
    ):
        secret = coefficients + setup.threshold * group.scalar_length
        for index, receiver in enumerate(setup.static_keys, 1):
            group.horner_at(coefficients, setup.threshold, index, pads.share)
            route = Route(ephemeral, setup.key_of(setup.me), receiver)
            sealed.append(pads.seal(secret, half, route, pads.share, group.scalar_length))
            half += group.point_length
    return tuple(sealed)


def exchange(keep: Keep1to2, static: Secret, received: Mapping[int, bytes]) -> Keep2to3:
    """Round 2: check every dealing; the own share of the key. `static` is d_i.

    Raises:
        BadInput: `received` is not one message of each holder.
        ProtocolAbort: naming every holder whose dealing is bad; nobody if the relay altered ours,
            or if the sum of all dealings is degenerate.
    """
    setup, group, arena = keep.setup, keep.setup.suite.group, static.arena
    _require_one_of_each(received, setup)
    if received[setup.me] != keep.own.to_bytes():
        raise ProtocolAbort("the own dealing came back altered")
    faults = Faults()
    dealings = _parsed(keep, received, faults)
    _blame_unproven(setup, dealings, faults)
    with arena.open(), kept(arena) as slots, arena.scope() as take:
        shares = take(group.scalar_length * setup.holders)
        with shares.open() as first:
            _blame_shares(keep, static, dealings, first, faults)
            _blame_pairs(dealings, faults)
            faults.raise_if_any()
            return _summed(setup, list(dealings.values()), shares, slots)


def _require_one_of_each(received: Mapping[int, bytes], setup: Setup) -> None:
    if sorted(received) != list(range(1, setup.holders + 1)):
        raise BadInput(f"messages of holders {sorted(received)}, not of 1 to {setup.holders}")


def _parsed(keep: Keep1to2, received: Mapping[int, bytes], faults: Faults) -> dict[int, Dealing1]:
    """Step 2.5.5."""
    dealings = {}
    for j in sorted(received):
        own = j == keep.setup.me
        try:
            dealings[j] = keep.own if own else Dealing1.from_bytes(received[j], keep.setup)
        except BadEncoding as malformed:
            faults.blame(j, str(malformed))
    return dealings


def _blame_pairs(dealings: Mapping[int, Dealing1], faults: Faults) -> None:
    """C_{j,0} and E_j are pairwise distinct (step 2.5.5), or both holders are named.

    Only among dealings that are flawless so far: who copies without knowing the secret has failed
    its proof or its ciphertext, and does not drag along whom it copied from.
    """
    seen: dict[bytes, int] = {}
    for j in [j for j in dealings if j not in faults]:
        for name, point in (("C_0", dealings[j].commitments[0]), ("E", dealings[j].ephemeral)):
            other = seen.setdefault(name.encode("ascii") + point, j)
            if other != j:
                faults.blame(j, f"the same {name} as holder {other}")
                faults.blame(other, f"the same {name} as holder {j}")


def _blame_unproven(setup: Setup, dealings: Mapping[int, Dealing1], faults: Faults) -> None:
    """Step 2.5.6; the own proof is the one that we made."""
    for j, dealing in dealings.items():
        if j != setup.me:
            signed = possession_message(setup, dealing.commitments, dealing.ephemeral)
            try:
                proofs.verify(setup.suite, dealing.possession, dealing.commitments[0], signed)
            except InvalidSignature:
                faults.blame(j, "the proof of possession does not verify")


def _blame_shares(
    keep: Keep1to2, static: Secret, dealings: Mapping[int, Dealing1], first: int, faults: Faults
) -> None:
    """Open s_{j,i} of every dealer and check it (steps 2.5.7 and 2.5.8).

    The share of holder j goes to place j − 1 behind the address `first`.
    """
    setup, group = keep.setup, keep.setup.suite.group
    with (
        session_pads(setup.suite, setup.context, static.arena) as pads,
        static.open() as own_static,
        keep.static_halves.open() as first_half,
    ):
        for j, dealing in dealings.items():
            share = first + (j - 1) * group.scalar_length
            half = first_half + (j - 1) * group.point_length
            route = Route(dealing.ephemeral, setup.key_of(j), setup.key_of(setup.me))
            if not pads.open(own_static, half, route, dealing.sealed[setup.me - 1], share):
                faults.blame(j, "the ciphertext for us does not open")
            elif not group.is_canonical_nonzero_at(share):  # step 1.8.7
                faults.blame(j, "the share is no scalar or 0")
            elif not share_is_committed(group, share, dealing.commitments, setup.me):
                faults.blame(j, "the share is not the committed one")  # step 2.5.8


def _summed(setup: Setup, dealings: list[Dealing1], shares: Secret, slots: Take) -> Keep2to3:
    """Step 2.5.9. `shares` are those of all dealers.

    The own one comes first. No other holder knows it, so none can deal such that a sum on the way
    is 0, which the library refuses (step 1.8.4): we would abort and could name nobody.
    """
    group = setup.suite.group
    width = group.scalar_length
    commitments = sum_of_commitments(group, [dealing.commitments for dealing in dealings])
    public_shares = tuple(
        evaluate_public(group, commitments, index) for index in range(1, setup.holders + 1)
    )
    own = (setup.me - 1) * width
    share = slots(width)
    with share.open() as total, shares.open() as first:
        move_bytes(total, first + own, width)
        for offset in range(0, shares.size, width):
            if offset != own:
                group.add_at(total, first + offset)
        if group.public_point_at(total) != public_shares[setup.me - 1]:
            raise ProtocolAbort("the own share does not fit the commitments")
    return Keep2to3(
        setup, transcript(setup, dealings).to_bytes(), commitments, public_shares, share
    )


def confirm(keep: Keep2to3, static: Secret) -> tuple[Keep3to4, Outbox]:
    """Round 3: sign the transcript with d_i (step 2.5.11). The share must be durable before.

    Raises:
        ProtocolAbort: a value is degenerate; no culprit.
    """
    setup = keep.setup
    with static.open() as key:
        signature = schnorr.sign(
            setup.suite, static.arena, key, setup.key_of(setup.me), keep.transcript
        )
    return Keep3to4(setup, keep.transcript, signature), Outbox(signature)


def finish(keep: Keep3to4, received: Mapping[int, bytes]) -> Agreement:
    """All n signatures of *our* transcript (step 2.5.12).

    Raises:
        BadInput: `received` is not one message of each holder.
        ProtocolAbort: one does not verify. Nobody is named: the relay may have shown two views.
    """
    setup = keep.setup
    _require_one_of_each(received, setup)
    if received[setup.me] != keep.own:
        raise ProtocolAbort("the own signature came back altered")
    refused = []
    for j, signature in received.items():
        if j != setup.me:
            try:
                proofs.verify(setup.suite, signature, setup.key_of(j), keep.transcript)
            except InvalidSignature:
                refused.append(j)
    if refused:
        raise ProtocolAbort(
            f"the signatures of holders {sorted(refused)} are not of our transcript"
        )
    return Agreement(keep.transcript, tuple(received[j] for j in sorted(received)))
