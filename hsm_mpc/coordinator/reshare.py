"""Resharing at the relay: every operator is asked, then an attempt shares the key anew (6.8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from hsm_mpc.errors import BackendError, NotReady, Refused
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
        self._rosters = rosters
        self._refresher = refresher
        self._clock = clock
        self._plans = WaitingPlans(registry, clock)

    def reshare(self, wallet: Registered, threshold: int) -> Epochs:
        """Any `threshold` of the same holders sign from then on (steps 6.8.1 to 6.8.4).

        Raises:
            NotReady: the epoch before is not retired yet; or operators have not consented yet: it
                names their holders.
            QuorumUnreachable: a holder does not answer: everybody who gets a share has to be there.
            BadInput: no such threshold is possible.
            Refused, ProtocolAbort, BackendError: what the holders say.
        """
        with self._refresher.alone_with(wallet.wallet_id):
            self._refresher.advance(wallet)
            order = self._agreed(wallet, threshold)
            epochs = self._refresher.reshare(wallet, order)
            self._plans.drop(order)
            return epochs

    def _agreed(self, wallet: Registered, threshold: int) -> ReshareOrder:
        """What every operator has consented to: the same as long as the same is wished for."""
        body, _ = self._refresher.newest(wallet)
        roster = self._rosters.newest(body.terms).roster
        sizes = QuorumSizes.default(roster.n, threshold)
        sizes.check_policy(body.terms.scheme)
        resharing = Resharing(sizes, roster.followed_by(roster.members))

        def wished(deadline: int) -> ReshareOrder:
            return ReshareOrder(wallet.wallet_id, body.hash, REASON, deadline, resharing)

        planned = self._plans.resharing(wallet.name, wished)
        order = planned or wished(self._clock() + PLAN_SECONDS)
        self._require_consents(wallet, order, self._links.indices)
        return order

    def _require_consents(
        self, wallet: Registered, order: ReshareOrder, concerned: Sequence[int]
    ) -> None:
        message = self._refresher.ask_message(wallet, order)
        try:
            answers = self._links.ask_single(concerned, HolderMethod.CONSIDER, [message])
            require_consented(self._links, Plan.of(order), answers)
        except Refused:
            self._plans.drop(order)
            raise
        except (NotReady, BackendError):
            self._plans.keep(wallet.name, order)
            raise
