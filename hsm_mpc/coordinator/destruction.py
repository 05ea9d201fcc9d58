"""The end of a wallet at the relay: every operator is asked before any key goes (section 6.10)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import copy
from typing import Final

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.destruction import Destroy
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.coordinator.consents import PLAN_SECONDS, TAKES_PART, WaitingPlans, require_consented
from hsm_mpc.coordinator.keygen import CoSign
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.successions import first_body
from hsm_mpc.encoding import u8
from hsm_mpc.errors import (
    BackendError,
    BadInput,
    HsmMpcError,
    InvalidSignature,
    NotReady,
    QuorumUnreachable,
    Refused,
)
from hsm_mpc.wire.about_wallets import address_about
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.destroyed import wallet_destroyed_in
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import DESTROY, Key

_HAS_NOTHING: Final = "unknown-wallet"
"""What a holder says that was put in the place of a lost one."""
_DECLINED: Final = "declined"
_ASKS_OPERATOR: Final = u8(0)

_Answers = Mapping[int, tuple[bytes, ...] | HsmMpcError]


class Destroyer:
    """Destroys wallets; used by several threads. Whatever it is asked twice, it does once."""

    def __init__(
        self,
        links: HolderLinks,
        registry: Registry,
        number: int,
        sign: CoSign,
        clock: Callable[[], int],
    ) -> None:
        self._links = links
        self._registry = registry
        self._number = number
        self._sign = sign
        self._clock = clock
        self._rosters = Rosters(KeyBook(links.roster, {}), registry)
        self._plans = WaitingPlans(registry, clock)

    def destroy(self, wallet: Registered, newest: EpochBody, reason: str) -> None:
        """Have every holder that answers destroy its keys; what they say is registered.

        Args:
            newest: the epoch that a quorum has adopted last.

        Raises:
            NotReady: the operators of some holders have not consented yet; it names these holders.
            QuorumUnreachable: so few holders would obey that the others could still sign; or none
                obeys.
            Refused: `declined`: an operator wants no part in it; with his holder's name.
            BadInput: no such reason.
        """
        seated = copy(self)
        seated._links = self._links.seated(self._rosters.of_epoch(newest))
        seated._destroy(wallet, newest, reason)

    def _destroy(self, wallet: Registered, newest: EpochBody, reason: str) -> None:
        missing = [index for index in self._links.indices if index not in self._there(wallet)]
        if not missing:
            return
        order = self._planned(wallet, newest, reason)
        address = address_about(wallet.wallet_id, newest.hash, self._number)
        said = seal_envelope(DESTROY, address, order.to_bytes(), Key.COORDINATOR, self._sign)
        message = [said.to_bytes()]
        considered = self._links.ask_each(HolderMethod.CONSIDER, message, among=missing)
        willing = self._willing(wallet, newest, order, considered)
        answers = self._links.ask_each(HolderMethod.DESTROY, message, among=willing)
        for index, answer in answers.items():
            if not isinstance(answer, HsmMpcError) and self._is_destroyed(wallet, index, answer):
                self._registry.keep_destroyed(wallet.wallet_id, index, answer[0])
        there = self._there(wallet)
        if not there:
            raise self._too_few(wallet, newest, answers)
        if len(there) == self._links.roster.n:
            self._plans.drop(order)

    def _there(self, wallet: Registered) -> Mapping[int, bytes]:
        return self._registry.destroyed(wallet.wallet_id)

    def _planned(self, wallet: Registered, newest: EpochBody, reason: str) -> Destroy:
        """The same plan as long as the same is wished for: people are consenting to it."""

        def wished(nonce: bytes, deadline: int) -> Destroy:
            return Destroy(wallet.wallet_id, newest.hash, reason, deadline, nonce)

        planned = self._plans.like(wallet.name, wished)
        return planned or wished(os.urandom(32), self._clock() + PLAN_SECONDS)

    def _willing(
        self, wallet: Registered, newest: EpochBody, order: Destroy, considered: _Answers
    ) -> list[int]:
        """Who would obey now, once those that are left are fewer than sign."""
        for index, answer in considered.items():
            if isinstance(answer, Refused) and answer.rule == _DECLINED:
                self._plans.drop(order)
                raise Refused(answer.rule, f"holder {self._links.name(index)}: {answer}")
        said = {
            index: answer[0]
            for index, answer in considered.items()
            if answer in ((TAKES_PART,), (_ASKS_OPERATOR,))
        }
        try:
            require_consented(self._links, Plan.of(order), said)
        except NotReady:
            self._plans.keep(wallet.name, order)
            raise
        willing = list(said)
        has_nothing = [
            index
            for index, answer in considered.items()
            if isinstance(answer, Refused) and answer.rule == _HAS_NOTHING
        ]
        sizes = newest.terms.sizes
        if len({*self._there(wallet), *willing, *has_nothing}) <= sizes.n - sizes.t:
            left = {i: answer for i, answer in considered.items() if i not in willing}
            raise self._too_few(wallet, newest, left)
        return willing

    def _too_few(self, wallet: Registered, newest: EpochBody, left: _Answers) -> QuorumUnreachable:
        reasons = "; ".join(self._reason(index, answer) for index, answer in left.items())
        return QuorumUnreachable(
            f"{newest.terms.sizes.t} holders could still sign for {wallet.name}: {reasons}",
            [self._links.name(index) for index in left],
        )

    def _reason(self, index: int, answer: tuple[bytes, ...] | HsmMpcError) -> str:
        if isinstance(answer, BackendError):
            return str(answer)
        said = answer if isinstance(answer, HsmMpcError) else "an answer that is none"
        return f"holder {self._links.name(index)}: {said}"

    def _is_destroyed(self, wallet: Registered, index: int, answer: tuple[bytes, ...]) -> bool:
        """Whether the holder says so itself; otherwise it is asked again."""
        if len(answer) != 1:
            return False
        try:
            keys = self._rosters.newest(first_body(wallet.certificate).terms)
            wallet_destroyed_in(answer[0], wallet.wallet_id, keys)
            return parse_envelope(answer[0]).address.sender == index
        except (BadInput, InvalidSignature):
            return False
