"""A certified succession, asked on until everybody is done (6.5.5 to 6.5.7, 6.8.4).

DONEs of those who adopt it, and of new holders whose shares have arrived; RETIRE once they are
enough; DESTROYEDs of all whose old key is gone; and who is waited for meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.coordinator.attempt_relay import AttemptRelay
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.patience import Patience
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.successions import Epochs, Succession
from hsm_mpc.errors import BadInput, HsmMpcError, InvalidSignature, NotReady, Refused
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.newcomers import arrival_in
from hsm_mpc.succession.propose import attempt_in
from hsm_mpc.succession.retirement import Retirement, adoption_in
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.envelope import bundle, parse_envelope
from hsm_mpc.wire.rounds import FIRST_NEW_HOLDER, RETIRE, SUCCESSOR


class Completer:
    """Completes successions; used by several threads, of which one at a time goes on with those of
    a wallet (`Refresher.alone_with`).
    """

    def __init__(
        self, links: HolderLinks, registry: Registry, rosters: Rosters, relay: AttemptRelay
    ) -> None:
        self._links = links
        self._registry = registry
        self._rosters = rosters
        self._relay = relay
        self._arrivals: dict[WalletId, tuple[EpochHash, tuple[str, ...]]] = {}
        """Of each wallet the last epoch that was told to new holders, and who did not hear it."""

    def links_of(self, body: EpochBody) -> HolderLinks:
        """To the holders of an epoch, counted as they are in it."""
        return self._links.seated(self._rosters.of_epoch(body))

    def advanced(self, epochs: Epochs) -> tuple[Epochs, bool]:
        """DONEs from those that have not adopted the newest successor; then DESTROYEDs.

        True: a holder has joined a higher attempt than that of the newest succession, and says
        nothing in it any more: only another attempt leads on.
        """
        newest = epochs.newest
        if newest is None:
            return epochs, False
        replaced, overtaken = epochs.body(newest.epoch - 1), False
        if not newest.transcript:
            newest = replace(
                newest, transcript=self._relay.transcript_of(newest.wallet_id, newest.body)
            )
        if not newest.retirement:
            newest, overtaken = self._adopted(newest, replaced)
        if newest.retirement:
            newest, overtaken = self._retired(newest, replaced), False
            self._settle_arrivals(newest, replaced)
        self._tell_leavers(epochs)
        return replace(epochs, successions=(*epochs.successions[:-1], newest)), overtaken

    def require_ended(self, epochs: Epochs, overtaken: bool) -> None:
        """Nothing is left of the newest succession but what another attempt may carry on.

        Raises:
            NotReady: as `_require_retired`.
        """
        if overtaken and epochs.newest is not None:
            self._remind(epochs.newest, epochs.body(epochs.newest.epoch - 1))
        else:
            self._require_retired(epochs)

    def _remind(self, newest: Succession, replaced: EpochBody) -> None:
        """Before another attempt takes this one's place: whose disk was put back to before its vote
        has nothing to show for it, and is given it once more (step 6.5.5), in whichever attempt it
        was. Whoever has promised more and voted otherwise says that this one is overtaken. All that
        takes no holder more than one round's time.
        """
        links, voted = self.links_of(replaced), tuple(newest.votes)
        asked = partial(Patience(links.seconds).asked, links, HolderMethod.ADOPT)
        asked(self._adoption(newest, replaced), voted)
        others = [index for index in links.indices if index not in voted]
        for earlier in islice(newest.attempts(), 1, None):
            answers = asked(self._adoption(earlier, replaced), others)
            others = [index for index, answer in answers.items() if _is_overtaken(answer)]

    def _require_retired(self, epochs: Epochs) -> None:
        """A new succession begins only when the last one has ended (step 6.1.4). What a lost HSM
        had before, nobody destroys any more.

        Raises:
            NotReady: it has not; and who is waited for.
        """
        newest = epochs.newest
        if newest is None:
            return
        replaced, new = epochs.body(newest.epoch - 1), newest.certified.shared_anew
        links, gone = self.links_of(replaced), frozenset[int]()
        if newest.retirement and new is None:
            gone = self._rosters.replaced_since(newest.body)
        elif newest.retirement and new is not None:  # who has left has no part in the next one
            lost = self._rosters.replaced_since(newest.body)
            staying = {each.name for k, each in enumerate(new.roster.members, 1) if k not in lost}
            gone = frozenset(i for i in links.indices if links.name(i) not in staying)
        missing = [i for i in newest.waiting_for if i not in gone]
        if newest.not_arrived:
            names = self.waited_for(newest)
            raise NotReady(f"epoch {newest.epoch - 1} is not retired yet", names)
        if missing:
            raise not_retired(links, newest, missing)
        if not self.is_settled(newest):
            _, silent = self._arrivals.get(newest.wallet_id, (None, ()))
            raise NotReady(f"epoch {newest.epoch} has not come to all new holders yet", silent)

    def is_settled(self, newest: Succession) -> bool:
        """Whether nobody waits to hear that its share is the one that lives. A coordinator that has
        started anew asks once more.
        """
        if newest.certified.shared_anew is None or not newest.retirement:
            return True
        return self._arrivals.get(newest.wallet_id) == (newest.body.hash, ())

    def waited_for(self, newest: Succession | None) -> list[str]:
        """The names of those whose part of the newest succession is missing."""
        if newest is None:
            return []
        roster = self._rosters.before(newest)
        names = [roster.member(index).name for index in newest.waiting_for]
        new = newest.certified.shared_anew
        if newest.not_arrived:  # only then the others are asked
            names = []
        if new is not None and not newest.retirement:
            names += [new.roster.member(k).name for k in newest.not_arrived]
        return list(dict.fromkeys(names))

    def tell_of_amendments(self, body: EpochBody, among: Sequence[int]) -> None:
        """What has amended the roster of this epoch. Who does not hear of another identity key now
        learns it before the next RETIRE, or from the next PROPOSE.
        """
        links = self.links_of(body)
        for amendment in self._rosters.lineage(body.terms).to_carry(body.terms.roster_hash):
            asked = [body.terms.wallet_id, amendment]
            links.ask_each(HolderMethod.AMEND, asked, among=among)

    def _adopted(self, newest: Succession, replaced: EpochBody) -> tuple[Succession, bool]:
        newest = self._arrived(newest, replaced)
        if newest.not_arrived:  # nobody votes for what they could not open
            self._registry.keep(newest)
            return newest, False
        answers = self._asked_to_adopt(newest, replaced, newest.waiting_for)
        vote = attempt_in(newest.propose), newest.body.hash
        keys = self._rosters.voters(replaced, newest.certified)

        def adopts(source: bytes) -> bool:
            done = adoption_in(source, replaced, keys)
            return (done.attempt, done.epoch_hash) == vote

        for source in self._messages(answers, adopts):
            newest = newest.with_done(source)
        votes = newest.votes
        if len(votes) >= replaced.terms.sizes.adopt:
            retirement = Retirement(tuple(votes[index] for index in sorted(votes)), newest.arrivals)
            retirement.check(replaced, keys, newest.certified, ())
            newest = replace(newest, retirement=retirement.to_bytes())
            self._rosters.keep(replaced, newest)
        else:
            self._registry.keep(newest)
        return newest, any(_is_overtaken(answer) for answer in answers.values())

    def _asked_to_adopt(
        self, newest: Succession, replaced: EpochBody, among: Sequence[int]
    ) -> dict[int, tuple[bytes, ...] | HsmMpcError]:
        parts = self._adoption(newest, replaced)
        return self.links_of(replaced).ask_each(HolderMethod.ADOPT, parts, among=among)

    def _adoption(self, newest: Succession, replaced: EpochBody) -> list[bytes]:
        """What ADOPT wants in the attempt that `newest` is of."""
        attempt = attempt_in(newest.propose)
        certificate = self._relay.said(SUCCESSOR, replaced, attempt, newest.certificate)
        arrivals = bundle(newest.arrivals)
        return [newest.propose, certificate, newest.transcript, newest.history, arrivals]

    def _arrived(self, newest: Succession, replaced: EpochBody) -> Succession:
        """With the DONE of each new holder of a resharing that has its share (step 6.8.4). It is
        asked in the attempt that made it, whichever carries it on.
        """
        new = newest.certified.shared_anew
        if new is None:
            return newest
        h, keys = newest.body.hash, self._rosters.keys_of(replaced).of_new_holders(new.roster)
        links, missing = self._links.seated(new.roster), newest.not_arrived
        made_in = attempt_in(newest.certified.propose)
        certificate = self._relay.said(SUCCESSOR, replaced, made_in, newest.certificate)
        answers = links.ask_each(HolderMethod.CONFIRM, [certificate], among=missing)

        def arrives(source: bytes) -> bool:
            return arrival_in(source, replaced, keys)[1].epoch_hash == h

        for source in self._messages(answers, arrives, first=FIRST_NEW_HOLDER):
            newest = newest.with_done(source)
        return newest

    def _retired(self, newest: Succession, replaced: EpochBody) -> Succession:
        attempt = attempt_in(newest.propose)
        parts = [
            self._relay.said(RETIRE, replaced, attempt, newest.retirement),
            self._relay.said(SUCCESSOR, replaced, attempt, newest.certificate),
            newest.transcript,
        ]
        links = self.links_of(replaced)
        waiting = newest.waiting_for
        self.tell_of_amendments(replaced, waiting)  # who has voted by a new key is known by it
        answers = links.ask_each(HolderMethod.RETIRE, parts, among=waiting)
        h, keys = newest.body.hash, self._rosters.voters(replaced, newest.certified)

        def destroyed(source: bytes) -> bool:
            return destroyed_in(source, replaced, keys).successor == h

        def holds(source: bytes) -> bool:
            """A holder that was away says only now, by what key the next epoch reaches it."""
            return adoption_in(source, replaced, keys).epoch_hash == h

        for source in self._messages(answers, destroyed, 0, of=2):
            newest = newest.with_destroyed(source)
        if newest.certified.shared_anew is None:  # its new holders have said it before
            for source in self._messages(answers, holds, 1, of=2):
                newest = newest.with_done(source)
        self._registry.keep(newest)
        return newest

    def _settle_arrivals(self, newest: Succession, replaced: EpochBody) -> None:
        """Those who had no share before hear that theirs is the one that lives."""
        new = newest.certified.shared_anew
        if new is None or self.is_settled(newest):
            return
        lineage = self._rosters.lineage(newest.body.terms)
        before = {member.name for member in self._rosters.before(newest).members}
        links = self._links.seated(new.roster)
        arriving = [k for k in links.indices if links.name(k) not in before]
        attempt = attempt_in(newest.propose)
        asked = [
            self._relay.said(RETIRE, replaced, attempt, newest.retirement),
            self._relay.said(SUCCESSOR, replaced, attempt, newest.certificate),
            *lineage.to_carry(replaced.terms.roster_hash),
        ]
        answers = links.ask_each(HolderMethod.ARRIVE, asked, among=arriving)
        silent = [k for k, answer in answers.items() if isinstance(answer, HsmMpcError)]
        self._arrivals[newest.wallet_id] = newest.body.hash, tuple(map(links.name, silent))

    def _tell_leavers(self, epochs: Epochs) -> None:
        """Of earlier resharings: who has left and was away then still has the key of its share."""
        for succession in epochs.successions[:-1]:
            if succession.certified.shared_anew is not None and succession.waiting_for:
                self._retired(succession, epochs.body(succession.epoch - 1))

    def _messages(
        self,
        answers: Mapping[int, tuple[bytes, ...] | HsmMpcError],
        wanted: Callable[[bytes], bool],
        part: int = 0,
        of: int = 1,
        first: int = 0,
    ) -> Iterator[bytes]:
        """That part of the answer of each holder that has said what is wanted: what another one
        says costs the others nothing. Holder i says it as `first` + i.
        """
        for index, answer in answers.items():
            if isinstance(answer, HsmMpcError) or len(answer) != of:
                continue
            try:
                said = answer[part]
                if parse_envelope(said).address.sender == first + index and wanted(said):
                    yield said
            except (BadInput, InvalidSignature):
                continue  # it is asked again


def not_retired(links: HolderLinks, newest: Succession, missing: Sequence[int]) -> NotReady:
    """The epoch before the newest one waits for these holders to end."""
    names = [links.name(index) for index in missing]
    return NotReady(f"epoch {newest.epoch - 1} is not retired yet", names)


def _is_overtaken(answer: tuple[bytes, ...] | HsmMpcError) -> bool:
    """By a higher attempt, or by what has amended the roster since it was made."""
    return isinstance(answer, Refused) and answer.rule in ("attempt-overtaken", "other-roster")
