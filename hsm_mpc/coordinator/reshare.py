"""Resharing at the relay: every operator is asked, then an attempt shares the key anew (6.8)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.resharing import ReshareOrder, Resharing
from hsm_mpc.coordinator.consents import PLAN_SECONDS, WaitingPlans, require_consented
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.successions import Epochs
from hsm_mpc.coordinator.telling import told_wallet
from hsm_mpc.errors import BackendError, HsmMpcError, NotReady, Refused
from hsm_mpc.roster import Member, Roster
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.wire.calls import HolderMethod

REASON: Final = "resharing"


class Resharer:
    """Shares keys of wallets anew; used by several threads."""

    def __init__(
        self,
        links: HolderLinks,
        registry: Registry,
        rosters: Rosters,
        refresher: Refresher,
        clock: Callable[[], int],
    ) -> None:
        self._links = links
        self._registry = registry
        self._rosters = rosters
        self._refresher = refresher
        self._clock = clock
        self._plans = WaitingPlans(registry, clock)

    def reshare(self, wallet: Registered, threshold: int, names: Collection[str]) -> Epochs:
        """Any `threshold` of the holders of these names sign from then on (6.8.1 to 6.8.4).

        Raises:
            NotReady: the epoch before is not retired yet; or operators have not consented yet: it
                names their holders.
            QuorumUnreachable: a holder that gets a share does not answer; or too few of those do
                that have one.
            BadInput: no such quorum is possible.
            Refused, ProtocolAbort, BackendError: what the holders say.
        """
        with self._refresher.alone_with(wallet.wallet_id):
            while True:  # what others began is carried on first, and makes another epoch
                epochs = self._refresher.replaceable(wallet)
                order = self._agreed(wallet, epochs, threshold, names)
                shared = self._refresher.reshare(wallet, order)
                self._plans.drop(order)
                if _is_shared_as(order, shared):
                    return shared

    def _agreed(
        self, wallet: Registered, epochs: Epochs, threshold: int, names: Collection[str]
    ) -> ReshareOrder:
        """What every operator has consented to: the same as long as the same is wished for."""
        body = epochs.newest_body
        lineage = self._rosters.lineage(body.terms)
        chosen = _chosen(names, lineage, self._links.roster)
        roster = lineage.newest.roster.followed_by(chosen)
        sizes = QuorumSizes.default(roster.n, threshold)
        sizes.check_policy(body.terms.scheme)
        resharing = Resharing(sizes, roster)

        def wished(deadline: int) -> ReshareOrder:
            return ReshareOrder(wallet.wallet_id, body.hash, REASON, deadline, resharing)

        planned = self._plans.resharing(wallet.name, wished)
        order = planned or wished(self._clock() + PLAN_SECONDS)
        self._require_consents(wallet, epochs, order)
        return order

    def _require_consents(self, wallet: Registered, epochs: Epochs, order: ReshareOrder) -> None:
        """Of everybody who gets a share; and of those who have one, if they are there."""
        message = self._refresher.ask_message(epochs.newest_body, order)
        old, roster = self._refresher.links_of(epochs.newest_body), order.resharing.roster
        new = self._links.seated(roster)
        try:
            parts = [message, *told_wallet(self._registry, old, epochs).to_parts()]
            arriving = new.ask_single(new.indices, HolderMethod.CONSIDER, parts)
            require_consented(new, Plan.of(order), arriving)
            answers = old.ask_each(HolderMethod.CONSIDER, [message])
            leaving = {
                index: answer[0]
                for index, answer in answers.items()
                if not isinstance(answer, HsmMpcError) and len(answer) == 1
            }
            require_consented(old, Plan.of(order), leaving)
        except Refused:
            self._plans.drop(order)
            raise
        except (NotReady, BackendError):
            self._plans.keep(wallet.name, order)
            raise


def _is_shared_as(order: ReshareOrder, epochs: Epochs) -> bool:
    """Whether the newest epoch has the holders and the threshold that were ordered."""
    body, wanted = epochs.newest_body, order.resharing
    return (body.terms.roster_hash, body.terms.sizes) == (wanted.roster.hash, wanted.sizes)


def _chosen(names: Collection[str], lineage: Lineage, pinned: Roster) -> list[Member]:
    """Holders of these names, in the order of the pinned roster; who is there already or was, with
    the key that it has.

    Raises:
        BadInput: a name that no holder has.
    """
    there = {member.name: member for member in lineage.newest.roster.members}
    return [there.get(each.name) or lineage.now(each) for each in pinned.among(names).members]
