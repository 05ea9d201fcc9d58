"""What a receiver checks of dealings, and whom it names for what (sections 2.5 and 6.4).

Each function adds to `faults`; the round raises once, when all of them have run.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature
from hsm_mpc.groups import proofs
from hsm_mpc.protocols.dealing import AnyDealing, Dealing, Session, possession_message
from hsm_mpc.protocols.pads import Route, session_pads, static_halves
from hsm_mpc.protocols.rounds import Faults
from hsm_mpc.secure.arena import Secret


def require_one_of_each(received: Mapping[int, bytes], dealers: Sequence[int]) -> None:
    """`received` is one message of each of `dealers`, which are ascending, else `BadInput`."""
    if sorted(received) != list(dealers):
        raise BadInput(f"messages of holders {sorted(received)}, not of {list(dealers)}")


def parsed(
    kind: type[AnyDealing],
    session: Session,
    received: Mapping[int, bytes],
    known: Mapping[int, AnyDealing],
    faults: Faults,
) -> dict[int, AnyDealing]:
    """What parses, in index order (steps 2.5.5 and 6.4.3); `known` are parsed already."""
    dealings = {}
    for j in sorted(received):
        try:
            dealings[j] = known.get(j) or kind.from_bytes(received[j], session)
        except BadEncoding as malformed:
            faults.blame(j, str(malformed))
    return dealings


def blame_unproven(
    session: Session, dealings: Mapping[int, Dealing], known: Container[int], faults: Faults
) -> None:
    """Proofs of possession (steps 2.5.6 and 6.4.3); `known` are those that we made."""
    for j, dealing in dealings.items():
        if j not in known:
            try:
                verify_possession(session, dealing)
            except InvalidSignature:
                faults.blame(j, "the proof of possession does not verify")


def verify_possession(session: Session, dealing: Dealing) -> None:
    """Raises `InvalidSignature`: PoP does not verify under the first commitment."""
    signed = possession_message(session, dealing.commitments, dealing.ephemeral)
    proofs.verify(session.suite, dealing.possession, dealing.commitments[0], signed)


@dataclass(frozen=True, slots=True)
class Receiver:
    """A holder to whom shares were dealt. An `int` called a share or scratch is an address."""

    session: Session
    index: int
    faults: Faults

    def route(self, dealer: int, dealing: Dealing) -> Route:
        """Whose keys make the pad of our share."""
        session = self.session
        return Route(dealing.ephemeral, session.key_of(dealer), session.key_of(self.index))

    def ciphertext(self, dealing: Dealing) -> bytes:
        """Of our share."""
        return dealing.sealed[self.index - 1]

    def blame_share(
        self, dealer: int, dealing: Dealing, opened: bool, share: int, scratch: int
    ) -> None:
        """Name `dealer` if our share did not open, is no scalar, or is not the committed one."""
        group, sharing = self.session.suite.group, self.session.sharing
        if not opened:  # steps 2.5.7 and 6.4.3
            self.faults.blame(dealer, "the ciphertext for us does not open")
        elif not group.is_canonical_nonzero_at(share):  # step 1.8.7
            self.faults.blame(dealer, "the share is no scalar or 0")
        elif not sharing.is_committed(group, share, dealing.commitments, self.index, scratch):
            self.faults.blame(dealer, "the share is not the committed one")  # steps 2.5.8 and 6.4.3


def blame_shares(
    receiver: Receiver, own: Secret, halves: Secret, dealings: Mapping[int, Dealing], shares: int
) -> None:
    """Open our share of every dealing and check it.

    Args:
        own: the secret of the own key.
        halves: S^d with holder j at place j − 1.
        shares: the address of n + 1 scalars; the share of holder j goes to place j − 1, and the
            last is scratch.
    """
    session, group = receiver.session, receiver.session.suite.group
    scratch = shares + session.holders * group.scalar_length
    with (
        session_pads(session.suite, session.context, own.arena) as pads,
        own.open() as secret,
        halves.open() as first_half,
    ):
        for j, dealing in dealings.items():
            share = shares + (j - 1) * group.scalar_length
            half = first_half + (j - 1) * group.point_length
            route, ciphertext = receiver.route(j, dealing), receiver.ciphertext(dealing)
            opened = pads.open(secret, half, route, ciphertext, share)
            receiver.blame_share(j, dealing, opened, share, scratch)


def dealt_soundly(session: Session, me: int, own: Secret, dealer: int, dealing: Dealing) -> bool:
    """The same for one dealing: whether `dealer` sealed the committed share for holder `me`.

    It decides who lied (steps 2.6.9 and 6.4.8).
    """
    suite, group, arena = session.suite, session.suite.group, own.arena
    receiver = Receiver(session, me, Faults())
    with (
        arena.open(),
        arena.scope() as take,
        session_pads(suite, session.context, arena) as pads,
        own.open() as secret,
        take(group.point_length).open() as half,
        take(2 * group.scalar_length).open() as share,
    ):
        static_halves(suite, secret, [session.key_of(dealer)], half)
        route, ciphertext = receiver.route(dealer, dealing), receiver.ciphertext(dealing)
        opened = pads.open(secret, half, route, ciphertext, share)
        receiver.blame_share(dealer, dealing, opened, share, share + group.scalar_length)
    return dealer not in receiver.faults


def blame_pairs(dealings: Mapping[int, Dealing], first: str, faults: Faults) -> None:
    """First commitments and ephemeral keys are pairwise distinct, or both holders are named.

    Only among dealings that are flawless so far: who copies without knowing the secret has failed
    its proof or its ciphertext, and does not drag along whom it copied from (steps 2.5.5 and
    6.4.3). `first` is the name of the first commitment.
    """
    seen: dict[bytes, int] = {}
    for j in [j for j in dealings if j not in faults]:
        for name, point in ((first, dealings[j].commitments[0]), ("E", dealings[j].ephemeral)):
            other = seen.setdefault(name.encode("ascii") + point, j)
            if other != j:
                faults.blame(j, f"the same {name} as holder {other}")
                faults.blame(other, f"the same {name} as holder {j}")
