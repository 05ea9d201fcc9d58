"""What a receiver checks of dealings, and whom it names for what (sections 2.5, 6.4, 6.7, 6.8).

Each function adds to `faults`; the round raises once, when all of them have run.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature
from hsm_mpc.groups import proofs
from hsm_mpc.groups.base import Group
from hsm_mpc.protocols.dealing import (
    Dealing,
    PadKey,
    Session,
    keys_message,
    possession_message,
)
from hsm_mpc.protocols.delivered import Delivered
from hsm_mpc.protocols.pads import Route, session_pads
from hsm_mpc.protocols.rounds import Faults
from hsm_mpc.secure.arena import Secret

_Message = TypeVar("_Message")


def require_one_of_each(received: Mapping[int, bytes], senders: Sequence[int]) -> None:
    """`received` is one message of each of `senders`, which are ascending, else `BadInput`."""
    if sorted(received) != list(senders):
        raise BadInput(f"messages of holders {sorted(received)}, not of {list(senders)}")


def parsed(
    parse: Callable[[bytes], _Message],
    received: Mapping[int, bytes],
    known: Mapping[int, _Message],
    faults: Faults,
) -> dict[int, _Message]:
    """What parses, in index order (steps 2.5.5, 6.4.3 and 6.7.4); `known` are parsed already."""
    messages = {}
    for j in sorted(received):
        try:
            messages[j] = known.get(j) or parse(received[j])
        except BadEncoding as malformed:
            faults.blame(j, str(malformed))
    return messages


def blame_unproven(
    session: Session, dealings: Mapping[int, Dealing], known: Container[int], faults: Faults
) -> None:
    """Proofs of possession (steps 2.5.6, 6.4.3 and 6.7.4); `known` are those that we made."""
    for j, dealing in dealings.items():
        if j not in known:
            try:
                verify_possession(session, j, dealing)
            except InvalidSignature:
                faults.blame(j, "the proof of possession does not verify")


def verify_possession(session: Session, dealer: int, dealing: Dealing) -> None:
    """Raises `InvalidSignature`: PoP does not verify under the point that it is to prove, or a
    proof of a key of the dealer does not.
    """
    signed = possession_message(session, dealing.commitments, dealing.ephemeral)
    proofs.verify(session.suite, dealing.possession, dealing.proven_key, signed)
    _verify_keys(session, dealer, dealing)


def _verify_keys(session: Session, dealer: int, dealing: Dealing) -> None:
    """Raises `InvalidSignature`: PoP^E does not verify under E, or PoP^V under the dealer's key,
    where they have to be there.
    """
    signed = keys_message(session, dealer, dealing.commitments, dealing.ephemeral)
    shown = {
        PadKey.EPHEMERAL: (dealing.ephemeral_possession, dealing.ephemeral),
        PadKey.STATIC: (dealing.static_possession, session.key_of(dealer)),
    }
    for key in dealing.proves_keys:
        proofs.verify(session.suite, *shown[key], signed)


def blame_opened(
    group: Group,
    sender: int,
    opened: bool,
    share: int,
    is_committed: Callable[[], bool],
    faults: Faults,
) -> None:
    """Name `sender` if the share for us did not open, is no scalar, or is not the committed one.

    Args:
        share: the address of what was opened.
    """
    if not opened:  # steps 2.5.7, 6.4.3 and 6.7.4
        faults.blame(sender, "the ciphertext for us does not open")
    elif not group.is_canonical_nonzero_at(share):  # step 1.8.7
        faults.blame(sender, "the share is no scalar or 0")
    elif not is_committed():  # steps 2.5.8, 6.4.3 and 6.7.4
        faults.blame(sender, "the share is not the committed one")


@dataclass(frozen=True, slots=True)
class Receiver:
    """A holder to whom shares were dealt. An `int` called a share or scratch is an address."""

    session: Session
    index: int
    faults: Faults

    def route(self, dealer: int, dealing: Dealing) -> Route:
        """Whose keys make the pad of our share."""
        session = self.session
        own = session.key_of_receiver(self.index)
        return Route(dealing.ephemeral, session.key_of(dealer), own)

    def ciphertext(self, dealing: Dealing) -> bytes:
        """Of our share."""
        return dealing.sealed[self.session.receivers.index(self.index)]

    def blame_share(
        self, dealer: int, dealing: Dealing, opened: bool, share: int, scratch: int
    ) -> None:
        """Name `dealer` if our share is not the one it committed to."""
        group, sharing = self.session.suite.group, self.session.sharing

        def is_committed() -> bool:
            return sharing.is_committed(group, share, dealing.commitments, self.index, scratch)

        blame_opened(group, dealer, opened, share, is_committed, self.faults)


def blame_shares(
    receiver: Receiver, own: Secret, halves: Secret, dealings: Mapping[int, Dealing], shares: int
) -> None:
    """Open our share of every dealing and check it.

    Args:
        own: the secret of the own key.
        halves: S^d with each partner in its place.
        shares: the address of a scalar for each partner, where the share that it dealt goes, and
            of one more as scratch.
    """
    session, group = receiver.session, receiver.session.suite.group
    scratch = shares + len(session.partners) * group.scalar_length
    with (
        session_pads(session.suite, session.context, own.arena) as pads,
        own.open() as secret,
        halves.open() as first_half,
    ):
        for j, dealing in dealings.items():
            place = session.partners.index(j)
            share = shares + place * group.scalar_length
            half = first_half + place * group.point_length
            route, ciphertext = receiver.route(j, dealing), receiver.ciphertext(dealing)
            opened = pads.open(secret, half, route, ciphertext, share)
            receiver.blame_share(j, dealing, opened, share, scratch)


def share_in(session: Session, receiver: int, dealer: int, dealing: Dealing) -> Delivered:
    """The share of `receiver` in a dealing of `dealer`: of it a complaint may be made."""

    def is_sound(opened: bool, share: int) -> bool:
        faults = Faults()
        scratch = share + session.suite.group.scalar_length
        Receiver(session, receiver, faults).blame_share(dealer, dealing, opened, share, scratch)
        return dealer not in faults

    holder = Receiver(session, receiver, Faults())
    route, ciphertext = holder.route(dealer, dealing), holder.ciphertext(dealing)
    return Delivered(session.suite, session.context, route, ciphertext, is_sound)


def dealt_soundly(session: Session, me: int, own: Secret, dealer: int, dealing: Dealing) -> bool:
    """Whether `dealer` sealed the committed share for holder `me` (step 2.6.9).

    `own` is the secret of the own key. It decides who lied.
    """
    return share_in(session, me, dealer, dealing).opens_soundly(own)


def blame_pairs(dealings: Mapping[int, Dealing], first: str, faults: Faults) -> None:
    """First commitments and ephemeral keys are pairwise distinct, or both holders are named.

    Only among dealings that are flawless so far: who copies without knowing the secret has failed
    a proof or its ciphertext, and does not drag along whom it copied from (steps 2.5.5 and 6.4.3).
    `first` is the name of the first commitment.
    """
    seen: dict[bytes, int] = {}
    for j in [j for j in dealings if j not in faults]:
        for name, point in ((first, dealings[j].commitments[0]), ("E", dealings[j].ephemeral)):
            other = seen.setdefault(name.encode("ascii") + point, j)
            if other != j:
                faults.blame(j, f"the same {name} as holder {other}")
                faults.blame(other, f"the same {name} as holder {j}")
