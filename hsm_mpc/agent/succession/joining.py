"""ASK → JOIN: a holder promises to go into no older attempt (step 6.5.1)."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.consents import Consents
from hsm_mpc.agent.succession import resharing
from hsm_mpc.agent.succession.dropping import make_room
from hsm_mpc.agent.succession.live import LiveEpoch
from hsm_mpc.agent.succession.votes import promise
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, Refused, Tampered
from hsm_mpc.ids import WalletId
from hsm_mpc.store import names
from hsm_mpc.store.attempts import AttemptDocument, Attempts
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.succession.addresses import address_in, expected_in
from hsm_mpc.succession.ask import Ask
from hsm_mpc.succession.destroyed import Destroyed
from hsm_mpc.succession.join import Adoption, Join
from hsm_mpc.succession.propose import attempt_in
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.inbox import decoded
from hsm_mpc.wire.rounds import ASK, JOIN

FURTHEST_AHEAD: Final = 600
"""Seconds by which an attempt's counter may be ahead of the own clock (step 6.5.11)."""
MOST_JOINS: Final = 16
JOINS_WITHIN: Final = 600.0
"""Seconds in which so many attempts of one initiator are joined for one wallet, and not more."""
UNHINDERED: Final = 64
"""Attempts to replace one epoch at that pace. Between those of each initiator lies a pause then,
which is twice as long with every further so many.
"""
PROOF_SHARES: Final = 16
"""Parts of the longest proof of an adoption that is kept: each lengthens the pause as so many."""
PAUSE: Final = 3600
"""Seconds, at first."""


class JoinPace:
    """How often an initiator was followed lately, and how soon one epoch may follow another.

    `ticks` is seconds of a clock that only runs forward, `interval` seconds from the end of an
    epoch to the next refresh (step 6.5.11).
    """

    def __init__(self, ticks: Callable[[], float], interval: int) -> None:
        self._ticks = ticks
        self._interval = interval
        self._joined: dict[tuple[WalletId, int], deque[float]] = {}

    def require_room(self, wallet_id: WalletId, initiator: int) -> None:
        """Raises: Refused: `too-many-attempts`."""
        lately = self._joined.get((wallet_id, initiator), deque())
        if len(lately) >= MOST_JOINS and lately[0] > self._ticks() - JOINS_WITHIN:
            raise Refused(
                "too-many-attempts",
                f"coordinator {initiator} began {MOST_JOINS} attempts "
                f"within {JOINS_WITHIN:.0f} seconds",
            )

    def require_pause(self, wallet_id: WalletId, initiator: int, doublings: int) -> None:
        """Once attempts to replace an epoch have cost much (`_cost_so_far`). That is counted on the
        disk: a start forgets only when the last one was.

        Raises:
            Refused: `too-many-attempts`.
        """
        lately = self._joined.get((wallet_id, initiator), deque())
        if not doublings or not lately:
            return
        pause = PAUSE << (doublings - 1)
        left = lately[-1] + pause - self._ticks()
        if left > 0:
            raise Refused(
                "too-many-attempts",
                f"so many attempts have not replaced this epoch that coordinator {initiator} "
                f"begins one in {pause} s here, the next one in {math.ceil(left)} s",
            )

    def require_interval(self, ended: int, now: int) -> None:
        """The epoch before ended at `ended`, in seconds since 1970 UTC.

        Raises:
            Refused: `refresh-interval`.
        """
        left = ended + self._interval - now
        if left > 0:
            raise Refused(
                "refresh-interval",
                f"the epoch before ended lately: refreshes of this wallet are at least "
                f"{self._interval} s apart here, so the next one in {left} s",
            )

    def count(self, wallet_id: WalletId, initiator: int) -> None:
        """One more was joined."""
        lately = self._joined.setdefault((wallet_id, initiator), deque(maxlen=MOST_JOINS))
        lately.append(self._ticks())


def ask_in(holder: ActingHolder, body: EpochBody, source: bytes) -> Ask:
    """What a coordinator asks of the holders of the epoch `body`, or of those to come.

    Raises:
        BadEncoding, InvalidSignature: it is no ASK of a coordinator known here for this epoch.
        ProtocolAbort: signed, and it does not parse.
    """
    message = parse_envelope(source)
    attempt = Attempt.read(Reader(message.payload, "ask"))
    if attempt.initiator != message.address.sender:
        raise BadEncoding("ask: it is not of the initiator of its attempt")
    holder.inbox().accept(message, expected_in(ASK, body, attempt, None), holder.clock())
    return decoded(message, Ask.from_bytes)


def require_only_ask(attempts: Attempts, alpha: bytes, source: bytes) -> None:
    """A holder goes into an attempt, as an old one, a new one or both, as one ASK says alone.

    Raises:
        Refused: `other-ask`.
    """
    if attempts.kept(alpha, AttemptDocument.ASK) not in (None, source):
        raise Refused("other-ask", "the coordinator asked for something else in this attempt")


def join(live: LiveEpoch, source: bytes, pace: JoinPace, consents: Consents) -> bytes:
    """The own JOIN message; a repeat is answered with the same bytes.

    Raises:
        Refused: `attempt-overtaken`, `other-ask`, `attempt-too-far`, `too-many-attempts`,
            `refresh-interval`, `staged-full`, `not-retired` or `epoch-retiring`; to a resharing, as
            `resharing.require_possible`, or `consent`.
        Tampered, BackendError: the own share does not open, or HSM or disk fail.
        BadEncoding, InvalidSignature, ProtocolAbort: as `ask_in`.
    """
    ask = ask_in(live.holder, live.body, source)
    alpha = ask.attempt.to_bytes()
    kept = live.attempts.kept(alpha, AttemptDocument.JOIN)
    if kept is not None:
        return kept
    live.require_not_retiring()
    require_only_ask(live.attempts, alpha, source)
    require_near(live.holder, ask.attempt)
    if live.body.epoch == 0 and ask.retirement:
        raise Refused("not-retired", "before the first epoch there was none to be retired")
    if live.body.epoch:
        _check_retirement(live, ask)
        pace.require_interval(_retired_at(live), live.holder.clock())
    order = ask.order(live.wallet_id, live.body.hash)
    if order is not None:
        resharing.require_possible(live.holder, order, live.body, live.lineage)
        in_force = live.lineage.newest.roster
        resharing.require_consent(live.holder, consents, order, live.body, in_force)
    proof = len(carried_on(live) or b"")
    _require_provable(proof)
    pace.require_room(live.wallet_id, ask.attempt.initiator)
    pace.require_pause(live.wallet_id, ask.attempt.initiator, _cost_so_far(live, proof))
    promised = promise(live.register, ask.attempt)
    with live.opened():
        pass
    make_room(live)
    live.audit("succession-joined", {"attempt": alpha.hex(), "reason": ask.reason})
    live.holder.registers.write(live.wallet_id, promised)
    pace.count(live.wallet_id, ask.attempt.initiator)  # a failure before costs no pause
    live.attempts.keep(alpha, AttemptDocument.ASK, source)
    payload = Join(ask.attempt, _adoption(live)).to_bytes()
    address = address_in(live.body, ask.attempt, live.holder.me)
    message = live.holder.signed_by_identity(JOIN, address, payload)
    live.attempts.keep(alpha, AttemptDocument.JOIN, message)
    return message


def adopted_certificate(live: LiveEpoch) -> bytes | None:
    """CERT payload of what the register says is adopted.

    Raises:
        Tampered: it is missing, or what `carried_on` gives is: the disk is older than the vote. Or
            it is damaged.
    """
    vote = live.register.adopted
    if vote is None:
        return None
    certificate = live.epochs.kept(vote.epoch_hash, EpochDocument.CERTIFICATE)
    if certificate is None or not (_made_in(certificate) == vote.attempt or carried_on(live)):
        raise Tampered(
            "this disk is older than what was adopted here: another attempt to adopt that mends "
            "it, or a refresh without this holder"
        )
    return certificate


def _made_in(certificate: bytes) -> bytes:
    """α of the attempt that made it. Raises: Tampered: it is damaged."""
    try:
        return attempt_in(SuccessorCertificate.from_bytes(certificate).propose).to_bytes()
    except BadInput as damaged:
        raise Tampered(f"the certificate of what was adopted here: {damaged}") from damaged


def carried_on(live: LiveEpoch) -> bytes | None:
    """PROPOSE of each attempt from that of the adoption down to the one that made what is adopted;
    None: nothing is adopted, or in the attempt that made it.
    """
    vote = live.register.adopted
    return None if vote is None else live.attempts.kept(vote.attempt, AttemptDocument.CARRIED)


def _cost_so_far(live: LiveEpoch, proof: int) -> int:
    """What attempts to replace the live epoch have put on the disk for as long as it lives, in
    units of `UNHINDERED` attempts or `PROOF_SHARES`, rounded down. `proof`: bytes of `carried_on`.
    """
    return max(len(live.attempts.all()) // UNHINDERED, PROOF_SHARES * proof // names.DOCUMENT_CAP)


def _require_provable(proof: int) -> None:
    """Before what proves the adoption is so long that it could be told of no more, and nothing be
    adopted by it. The votes of the attempt before stay the last ones: an order can count them.

    Raises:
        Refused: `too-many-attempts`.
    """
    if 4 * proof > 3 * names.DOCUMENT_CAP:
        raise Refused(
            "too-many-attempts",
            f"what this holder has adopted was carried on by so many attempts that their proof has "
            f"{proof} bytes: who has not confirmed it has to, or an order ends the epoch",
        )


def _adoption(live: LiveEpoch) -> Adoption | None:
    vote, certificate = live.register.adopted, adopted_certificate(live)
    if vote is None or certificate is None:
        return None
    attempt = Attempt.read(Reader(vote.attempt, "register"))
    return Adoption(attempt, vote.epoch_hash, hashlib.sha256(certificate).digest())


def _check_retirement(live: LiveEpoch, ask: Ask) -> None:
    """The epoch before this one was retired for the sake of this one (step 6.1.4)."""
    before = live.epochs.kept(live.body.prev_hash, EpochDocument.BODY)
    if before is None:
        raise Tampered("the epoch before the live one is missing in the store")
    try:
        replaced = EpochBody.from_bytes(before)
        certificate = SuccessorCertificate.from_bytes(_certificate(live))
        keys = live.lineage.voters(replaced.terms.roster_hash, certificate)
        Retirement.from_bytes(ask.retirement).check(replaced, keys, certificate, ())
    except (BadInput, InvalidSignature) as broken:
        raise Refused(
            "not-retired", f"the epoch before is not proven retired: {broken}"
        ) from broken


def _certificate(live: LiveEpoch) -> bytes:
    """Of the live epoch. Raises: Tampered: it is missing."""
    certificate = live.epochs.kept(live.body.hash, EpochDocument.CERTIFICATE)
    if certificate is None:
        raise Tampered("the certificate of the live epoch is missing in the store")
    return certificate


def _retired_at(live: LiveEpoch) -> int:
    """When the own key of the epoch before was destroyed, in seconds since 1970 UTC; 0: a holder
    that has lost its store does not know it.
    """
    said = live.epochs.kept(live.body.prev_hash, EpochDocument.DESTROYED)
    if said is None:
        return 0
    return Destroyed.from_bytes(parse_envelope(said).payload).at


def require_near(holder: ActingHolder, attempt: Attempt) -> None:
    """No attempt is of a time to come (step 6.5.11). Raises: Refused: `attempt-too-far`."""
    if attempt.counter > holder.clock() + FURTHEST_AHEAD:
        raise Refused(
            "attempt-too-far",
            f"the attempt's counter is more than {FURTHEST_AHEAD} seconds ahead of this clock",
        )
