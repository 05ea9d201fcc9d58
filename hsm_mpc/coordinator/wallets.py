"""Wallets as a coordinator finds them, by name or id, has them confirmed, and shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.coordinator.keygen import Relay
from hsm_mpc.coordinator.recovery import Recovery
from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.successions import first_body
from hsm_mpc.errors import BadInput, InvalidSignature, NotReady, QuorumUnreachable
from hsm_mpc.ids import WalletId
from hsm_mpc.roster import Roster
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.destroyed import wallet_destroyed_in
from hsm_mpc.wire.wallet_calls import Shown


class Wallets:
    """All wallets of one coordinator, those that only holders know yet too; used by several
    threads.
    """

    def __init__(
        self,
        registry: Registry,
        rosters: Rosters,
        refresher: Refresher,
        recovery: Recovery,
        relay: Relay,
    ) -> None:
        self._registry = registry
        self._rosters = rosters
        self._refresher = refresher
        self._recovery = recovery
        self._relay = relay

    def named(self, encoded: bytes) -> Registered:
        """The one of this name. Raises: BadInput: there is none."""
        name = encoded.decode("ascii", "replace")
        wallet = self._found(lambda: self._registry.named(name))
        if wallet is None:
            raise BadInput(f"no wallet called {name!r}")
        return wallet

    def active(self, wallet_id: WalletId) -> Registered:
        """The one of this id. Raises: NotReady: there is none, or not all have confirmed it."""
        wallet = self._found(lambda: self._registry.with_id(wallet_id))
        if wallet is None or not wallet.dones:
            raise NotReady("no active wallet of that id is registered here")
        return wallet

    def confirmed(self, wallet: Registered) -> Registered:
        """It with all DONEs; what is missing is asked for again (step 2.6.8).

        Raises:
            NotReady: a holder has not confirmed, and does not answer now.
        """
        if wallet.dones:
            return wallet
        certificate = Certificate.from_bytes(wallet.certificate)
        try:
            dones = self.relay_of(wallet).confirm(certificate)
        except QuorumUnreachable as silent:
            raise NotReady(
                f"wallet {wallet.name} is certified, not active: {silent}", silent.waiting_for
            ) from silent
        self._registry.confirm(wallet.wallet_id, dones)
        return replace(wallet, dones=dones)

    def shown(self, wallet: Registered) -> tuple[bytes, ...]:
        """A wallet for a client, in the newest epoch that a quorum has adopted."""
        epochs, lineage = self._refresher.told(wallet)
        ended = self._ended(wallet)
        return Shown(wallet.certificate, wallet.dones, ended, epochs.shown(), lineage).to_parts()

    def roster(self, wallet: Registered) -> Roster:
        """Of those who hold a wallet now."""
        return self._rosters.of_epoch(self._refresher.held(wallet))

    def relay_of(self, wallet: Registered) -> Relay:
        """To the holders that have made it."""
        return self._relay.seated(self._rosters.of_epoch(first_body(wallet.certificate)))

    def _found(self, look: Callable[[], Registered | None]) -> Registered | None:
        """What `look` finds in the registry, after a second look at what holders have."""
        wallet = look()
        if wallet is None:
            self._recovery.from_all()
            wallet = look()
        return wallet

    def _ended(self, wallet: Registered) -> tuple[bytes, ...]:
        """DESTROYED of those that have not got a share again since, on another HSM."""
        keys = self._rosters.newest(first_body(wallet.certificate).terms)
        said = self._registry.destroyed(wallet.wallet_id).values()
        return tuple(each for each in said if _is_said(each, wallet.wallet_id, keys))


def _is_said(destroyed: bytes, wallet_id: WalletId, keys: KeyBook) -> bool:
    try:
        wallet_destroyed_in(destroyed, wallet_id, keys)
    except InvalidSignature:
        return False
    return True
