"""All that is done to the messages of refreshes, kind by kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hsm_mpc.ids import Scheme
from tests.agent.simulate import World
from tests.malice import acknowledging, adopting, dealings, proposing, refreshing, retirements
from tests.malice.successions import Refreshes
from tests.malice.verdicts import Attack

OfKind = Callable[[World, Refreshes, Refreshes], Sequence[Attack]]


def _of(*kinds: OfKind) -> Callable[[World, Scheme], list[Attack]]:
    """In one world, where another wallet is refreshed beside the one that is attacked."""

    def attacks(world: World, scheme: Scheme) -> list[Attack]:
        refreshes, petty = (Refreshes.of(world, scheme, name) for name in ("treasury", "petty"))
        return [attack for kind in kinds for attack in kind(world, refreshes, petty)]

    return attacks


of_agreements = _of(refreshing.of_asks, refreshing.of_joins, proposing.of_proposals)
of_dealings = _of(dealings.of_deals, dealings.of_channels)
of_adoptions = _of(acknowledging.of_acks, adopting.of_certificates, adopting.of_adoptions)
of_retirements = _of(
    retirements.of_retirements, retirements.of_destructions, retirements.of_successors
)
