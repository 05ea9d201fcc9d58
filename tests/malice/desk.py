"""A wallet, and what its signers, its coordinator and its client say to false messages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.coordinator import signing
from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.quorum_actions import Exclude, Suspect
from hsm_mpc.coordinator.signing import SigningRun
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.ids import Scheme
from hsm_mpc.protocols.wallet_key import WalletKey
from hsm_mpc.protocols.wallet_keys import wallet_key_of
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.calls import Call, HolderMethod, parts_of
from hsm_mpc.wire.inbox import Inbox
from hsm_mpc.wire.rounds import FIRST_COORDINATOR
from tests.agent.calling import dispatch_of
from tests.agent.rounds import Round
from tests.agent.simulate import World
from tests.malice.aftermath import evidence_kept
from tests.malice.ceremony import finished
from tests.malice.fields import Change
from tests.malice.verdicts import LIAR, Verdict, lasting

_SECONDS = 5.0


@dataclass
class Link:
    """To one holder; what it answers to one method may be changed on the way."""

    world: World
    index: int
    method: HolderMethod | None = None
    change: Change | None = None
    refused: bool = False
    """The holder itself gave no answer."""

    def call(self, method: int, parts: Sequence[bytes], timeout: float) -> tuple[bytes, ...]:
        dispatch = dispatch_of(self.world.parties[self.index])
        call = Call(method, tuple(parts)).to_bytes()
        self.refused = True
        answer = parts_of(run_shielded(lambda: dispatch.answer(call)))
        self.refused = False
        if self.change is None or method != self.method:
            return answer
        change = self.change
        return (run_shielded(lambda: change(answer[0])),)

    def close(self) -> None:
        """Nothing to give up."""


@dataclass
class Watched(SigningRun):
    """Tells what it drops: a coordinator takes unsigned bytes for silence."""

    link: Link = field(kw_only=True)
    dropped: list[HsmMpcError] = field(default_factory=list, kw_only=True)

    def _asked(
        self, inbox: Inbox, index: int, method: HolderMethod, parts: Sequence[bytes]
    ) -> signing.Received:
        try:
            return SigningRun._asked(self, inbox, index, method, parts)
        except HsmMpcError as refused:
            if index == LIAR and not self.link.refused:
                self.dropped.append(refused)
            raise


@dataclass
class Desk:
    """A 2-of-3 wallet at real holders."""

    world: World
    scheme: Scheme
    certificate: Certificate
    links: dict[int, Link]
    holders: HolderLinks
    channels: AnnouncedChannels
    attempts: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    @contextmanager
    def opened(cls, world: World, scheme: Scheme) -> Iterator[Desk]:
        links = {index: Link(world, index) for index in world.parties}
        holders = HolderLinks(world.roster, links)
        channels = AnnouncedChannels(holders, world.clock)
        with (
            mock.patch.object(signing, "_PATIENCE", 0.03),
            mock.patch.object(signing, "_PAUSE", 0.01),
        ):
            yield cls(world, scheme, made(world, scheme), links, holders, channels)
        for party in world.parties.values():
            party.desk.forget()
        holders.close()

    @property
    def key(self) -> WalletKey:
        return wallet_key_of(self.certificate.body, self.certificate.body.hash)

    def round(self, *indices: int) -> Round:
        """A request, and COMMITs of these holders, or of all."""
        return Round(self.world, self.certificate).commit(*(indices or self.world.parties))

    def judged(
        self, judges: Sequence[int], take: Callable[[int], object], *liars: int
    ) -> list[Verdict]:
        """What each of these holders says, of whom none is a liar."""
        verdicts = []
        for index in judges:
            try:
                take(index)
            except Exception as refused:
                kept = evidence_kept(self.world.parties[index], refused)
                verdicts.append(Verdict.of(f"h{index}", refused, kept))
        for verdict in verdicts:
            verdict.check_blame(liars)
        return verdicts

    def aggregated(self, method: HolderMethod, change: Change, *liars: int) -> list[Verdict]:
        """What the coordinator says, if h1 and h2 are to sign and h2's answers are changed."""
        link = self.links[LIAR]
        link.method, link.change = method, change
        reported: list[Exclude | Suspect] = []
        run, message = self._run(reported.append)
        aggregation = self.key.aggregation(Path(), message)
        failed: HsmMpcError | None = None
        try:
            signed = run.run(aggregation, 2, frozenset((1, LIAR)), _SECONDS)
            self.key.verify(Path(), message, signed.signature)
        except HsmMpcError as failure:
            failed = failure
        link.method = link.change = None
        verdicts = [_reported(case) for case in reported]
        for verdict in verdicts:
            verdict.check_blame(liars)
        if verdicts or failed is None:
            return verdicts[:1]
        return [Verdict.of("coordinator", run.dropped[0] if run.dropped else failed)]

    def _run(self, report: Callable[[Exclude | Suspect], None]) -> tuple[Watched, bytes]:
        body, message = self.certificate.body, b"pay somebody something"
        request, _ = self.world.requested(self.certificate, message)
        run = Watched(
            links=self.holders,
            channels=self.channels,
            number=FIRST_COORDINATOR,
            sign=self.world.coordinator.sign,
            clock=self.world.clock,
            wallet_id=body.terms.wallet_id,
            epoch_hash=body.hash,
            session_id=request.session_id(body.hash),
            nonce_bytes=self.key.nonce_bytes,
            request=request.to_bytes(),
            remind=lambda _: None,
            report=report,
            keys=self.channels.keys,
            link=self.links[LIAR],
        )
        return run, message


def made(world: World, scheme: Scheme) -> Certificate:
    """A wallet that all holders have, active."""
    return Certificate.from_bytes(finished(world, scheme).certificate)


def _reported(case: Exclude | Suspect) -> Verdict:
    check = "coordinator.quorum.Quorum"
    if isinstance(case, Exclude):
        return Verdict(
            "coordinator", check, lasting(case.reason), (case.index,), bool(case.evidence)
        )
    one, other = case.pair
    return Verdict("coordinator", check, f"h{one} and h{other} offered one nonce")
