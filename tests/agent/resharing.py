"""A wallet being shared anew, round by round, among holders of one pinned roster (section 6.8)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.resharing import ReshareOrder, Resharing
from hsm_mpc.roster import Roster
from hsm_mpc.succession.ask import Ask
from hsm_mpc.succession.assembling import assemble
from hsm_mpc.succession.propose import Propose, check_propose
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import bundle, parse_envelope
from hsm_mpc.wire.rounds import ASK, RETIRE, SUCCESSOR
from hsm_mpc.wire.wallet_calls import Chain, ShownSuccession
from tests.agent.making import Making
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import Party, World

REASON = "resharing"


class Seats(Mapping[int, Party]):
    """Parties of a world by their places in a roster, as they are now: one may have restarted."""

    def __init__(self, world: World, roster: Roster) -> None:
        self._world = world
        names = [member.name for member in roster.members]
        self.places = {k: world.roster.index_of(name) for k, name in enumerate(names, 1)}

    def __getitem__(self, k: int) -> Party:
        return self._world.parties[self.places[k]]

    def __iter__(self) -> Iterator[int]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def seated(world: World, roster: Roster) -> World:
    """The holders of a wallet, counted as they are. They start again in `world` only."""
    return replace(world, parties=cast(dict[int, Party], Seats(world, roster)), roster=roster)


def making_among(
    world: World, names: Collection[str], t: int = 2, name: str = "treasury"
) -> Making:
    """A wallet of some of a world's holders."""
    return Making.of(seated(world, world.roster.among(names)), name, t)


@dataclass
class Sharing(Refreshing):
    """One succession in which the key is shared anew. `world` has the old holders, `new` those who
    hold it then; `told` is what a new one learns of the wallet.
    """

    all_holders: World = field(kw_only=True)
    new: World = field(kw_only=True)
    threshold: int = field(kw_only=True)
    told: tuple[bytes, bytes, bytes] = field(kw_only=True)
    deadline: int = field(init=False)
    hellos: list[bytes] = field(default_factory=list)
    acks: list[bytes] = field(default_factory=list)
    new_acks: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.deadline = self.now + 3600

    @classmethod
    def of(
        cls,
        all_holders: World,
        making: Making,
        names: Sequence[str],
        threshold: int,
        members: Sequence[int] = (),
        attempts: int = 0,
    ) -> Sharing:
        """The first succession of a wallet that was just made."""
        old = making.world
        chosen = [m for m in all_holders.roster.members if m.name in names]
        roster = old.roster.followed_by(chosen)
        body = making.certificate().body
        lineage = min(old.parties.items())[1].acting.lineage(body.terms).to_bytes()
        chain = Chain(making.certificate().to_bytes(), tuple(making.dones), (), lineage)
        return cls(
            old,
            body,
            members or tuple(old.parties),
            making.dones,
            attempts=attempts,
            all_holders=all_holders,
            new=seated(all_holders, roster),
            threshold=threshold,
            told=(chain.to_bytes(), making.policy, making.proposal.clients.to_bytes()),
        )

    def again(self, members: Sequence[int] = ()) -> Sharing:
        """Another attempt at the same."""
        return replace(
            self,
            members=members or self.members,
            answers={},
            deals=[],
            channels=[],
            hellos=[],
            acks=[],
            new_acks=[],
            arrivals=[],
            certificate=None,
            transcript=b"",
        )

    def refresh(self, members: Sequence[int] = ()) -> Refreshing:
        """An attempt to refresh the same epoch, after those that were begun."""
        return Refreshing(
            self.world,
            self.replaced,
            members or self.members,
            self.first_dones,
            self.before,
            self.attempts,
        )

    def next(self) -> Refreshing:
        """A refresh of what was shared anew: its holders' newest DONEs are what they arrived by."""
        return Refreshing(
            self.new,
            self.successor,
            tuple(self.new.parties),
            self.arrivals,
            self.retirement,
            self.attempts,
        )

    @property
    def resharing(self) -> Resharing:
        sizes = QuorumSizes.default(self.new.roster.n, self.threshold)
        return Resharing(sizes, self.new.roster)

    @property
    def order(self) -> ReshareOrder:
        """What operators consent to."""
        order = self.ask().order(self.replaced.terms.wallet_id, self.replaced.hash)
        assert order is not None
        return order

    @property
    def dealers(self) -> Sequence[int]:
        """Q."""
        return self.members[: self.replaced.terms.sizes.t]

    @property
    def coming(self) -> list[int]:
        """The new places of those who have no share of the epoch before."""
        before = {member.name for member in self.world.roster.members}
        return [k for k, m in enumerate(self.new.roster.members, 1) if m.name not in before]

    @property
    def keys(self) -> KeyBook:
        book = KeyBook(self.all_holders.roster, {})
        return book.under(self.world.roster)

    # Round by round

    def ask(self) -> Ask:
        return Ask(self.attempt, REASON, self.deadline, self.before, self.resharing)

    def greet(self, k: int) -> bytes:
        """HELLO' of a new holder."""
        asked = self.said(ASK, self.ask().to_bytes())
        message: bytes = self.new.parties[k].arrivals.hello(asked, self.told)
        return message

    def proposal(self) -> Propose:
        content = super().proposal()
        if content.successor is not None:
            return content
        self.hellos = self.hellos or [self.greet(k) for k in self.new.parties]
        return replace(content, hellos=tuple(self.hellos))

    def joined(self) -> None:
        self.hellos.clear()
        super().joined()

    def dealt(self) -> None:
        self.deals = [deal for deal in [self.deal(index) for index in self.members] if deal]
        assert len(self.deals) == len(self.dealers)
        parties = self.world.parties
        self.channels = [parties[index].acting.channel_announcement() for index in self.dealers]

    def receive(self, k: int) -> bytes:
        """ACK' of a new holder."""
        message: bytes = self.new.parties[k].arrivals.receive(
            self.propose, self.deals, self.channels
        )
        return message

    def certified(self) -> None:
        self.new_acks = [self.receive(k) for k in self.new.parties]
        self.acks = [self.stage(index) for index in self.members]
        message = parse_envelope(self.propose)
        proposed = check_propose(message, self.replaced, self.keys, self.resharing)
        self.certificate = assemble(self.replaced, proposed, self.deals, self.acks, self.new_acks)
        self.certificate.verify(self.replaced, self.keys)
        pairs = (each for pair in zip(self.channels, self.deals, strict=True) for each in pair)
        self.transcript = bundle([self.propose, *pairs])

    def confirm(self, k: int) -> bytes:
        """DONE' of a new holder."""
        message: bytes = self.new.parties[k].arrivals.confirm(self.certified_message())
        return message

    def adopt(self, index: int, transcript: bytes = b"") -> bytes:
        """The vote of an old holder, once all new ones have confirmed."""
        if self.certificate is not None and self.certificate.shared_anew is not None:
            self.arrivals = self.arrivals or [self.confirm(k) for k in self.new.parties]
        return super().adopt(index, transcript)

    def arrive(self, k: int) -> bytes:
        """The same, once the epoch before may go, of one who had no share of it."""
        retire = self.said(RETIRE, self.retirement)
        message: bytes = self.new.parties[k].arrivals.arrive(retire, self.certified_message())
        return message

    def certified_message(self) -> bytes:
        """CERT."""
        return self.said(SUCCESSOR, self._certificate())

    def retired_by(self, adopters: Sequence[int]) -> None:
        """These adopt it, and all new holders confirm: what proves that the epoch may go."""
        dones = [self.adopt(index) for index in adopters]
        self.retirement = Retirement(tuple(dones), tuple(self.arrivals)).to_bytes()

    def drive(self, absent: Collection[int] = ()) -> None:
        if self.certificate is None:
            self.made()
        everybody = sorted([*self.members, *absent])
        if not self.retirement:
            self.retired_by(everybody)
        for index in everybody:
            said = self.retire(index)
            assert self.destroyed.setdefault(index, said) == said
        for k in self.coming:
            assert self.arrive(k) == self.arrivals[k - 1]

    def shown(self) -> ShownSuccession:
        """As a chain has it."""
        return ShownSuccession(self._certificate(), (), self.retirement, ())


def told_after(
    sharing: Sharing, successions: Sequence[ShownSuccession], body: EpochBody
) -> tuple[bytes, bytes, bytes]:
    """What a new holder learns once these successions have followed the first epoch."""
    chain, policy, clients = sharing.told
    first = Chain.from_bytes(chain)
    party = next(iter(sharing.new.parties.values()))
    lineage = party.acting.lineage(body.terms).to_bytes()
    told = replace(first, successions=tuple(successions), lineage=lineage)
    return told.to_bytes(), policy, clients
