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
from functools import partial

from hsm_mpc.errors import InvalidSignature, ProtocolAbort
from hsm_mpc.groups import proofs
from hsm_mpc.groups.sharing import DrawScalars, evaluate_public, sum_of_commitments
from hsm_mpc.protocols import schnorr
from hsm_mpc.protocols.dealing import deal, halves_with_all
from hsm_mpc.protocols.dealing_checks import (
    Receiver,
    blame_pairs,
    blame_shares,
    blame_unproven,
    parsed,
    require_one_of_each,
)
from hsm_mpc.protocols.dkg_messages import Dealing1, Setup, transcript
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
    arena = static.arena
    with arena.open(), kept(arena) as keep:
        halves = halves_with_all(setup, static, keep)
        own = deal(Dealing1, setup, setup.me, static, halves, draw)  # steps 2.5.1 to 2.5.3
    return Keep1to2(setup, own, halves), Outbox(own.to_bytes())  # step 2.5.4


def exchange(keep: Keep1to2, static: Secret, received: Mapping[int, bytes]) -> Keep2to3:
    """Round 2: check every dealing; the own share of the key. `static` is d_i.

    Raises:
        BadInput: `received` is not one message of each holder.
        ProtocolAbort: naming every holder whose dealing is bad; nobody if the relay altered ours,
            or if the sum of all dealings is degenerate.
    """
    setup, group, arena = keep.setup, keep.setup.suite.group, static.arena
    require_one_of_each(received, range(1, setup.holders + 1))
    if received[setup.me] != keep.own.to_bytes():
        raise ProtocolAbort("the own dealing came back altered")
    faults, known = Faults(), {setup.me: keep.own}
    parse = partial(Dealing1.from_bytes, session=setup)
    dealings = parsed(parse, received, known, faults)  # step 2.5.5
    blame_unproven(setup, dealings, known, faults)  # step 2.5.6
    with arena.open(), kept(arena) as slots, arena.scope() as take:
        shares = take(group.scalar_length * (setup.holders + 1))
        receiver = Receiver(setup, setup.me, faults)
        with shares.open() as first:
            blame_shares(receiver, static, keep.static_halves, dealings, first)
            blame_pairs(dealings, "C_0", faults)
            faults.raise_if_any()
            return _summed(setup, list(dealings.values()), shares, slots)


def _summed(setup: Setup, dealings: list[Dealing1], shares: Secret, slots: Take) -> Keep2to3:
    """Step 2.5.9. `shares` are those of all dealers, in index order.

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
        for offset in range(0, setup.holders * width, width):
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
    require_one_of_each(received, range(1, setup.holders + 1))
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
