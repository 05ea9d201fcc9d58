"""What a coordinator shows, taken only for what was asked for: verified, so named, and known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from hsm_mpc.certificates.asked import Asked
from hsm_mpc.client.known import KnownWallets, Meaning, require_known
from hsm_mpc.client.verified import VerifiedEnd, VerifiedWallet, verified, verified_end
from hsm_mpc.errors import NameTaken, Refused, Tampered
from hsm_mpc.ids import EpochHash
from hsm_mpc.roster import Roster
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.wallet_calls import Shown


class Answers:
    """The answers that one client believes. `roster` is the pinned one; `known` are the wallets of
    some of its holders that the client takes for those that it means (step 5.4.1).

    What is shown raises Tampered where it does not verify, NotReady where not every holder has
    confirmed the wallet, and NotKnown as `require_known`.
    """

    def __init__(self, roster: Roster, known: KnownWallets, clock: Callable[[], int]) -> None:
        self._roster = roster
        self.known: Final = known
        self._clock = clock
        self._keys = KeyBook(roster, {})

    def wallet(self, shown: Shown) -> VerifiedWallet:
        """The wallet that is shown."""
        wallet = self._verified(shown)
        self._require_known(shown)
        return wallet

    def named(self, name: str, shown: Shown) -> VerifiedWallet:
        """The wallet called `name`. Raises: Tampered: it is another wallet's certificate."""
        wallet = self.wallet(shown)
        _require_named(name, wallet)
        return wallet

    def made(self, asked: Asked, shown: Shown) -> VerifiedWallet:
        """A wallet that was asked for. Raises: Tampered: it is not that one."""
        wallet = self._verified(shown)
        asked.check(wallet.certificate)
        self._require_known(shown)
        return wallet

    def successor(self, before: VerifiedWallet, shown: Shown) -> VerifiedWallet:
        """The same wallet in a newer epoch. Raises: Tampered: it is not."""
        wallet = self.wallet(shown)
        _require_newer(before, wallet)
        return wallet

    def refreshed(self, before: VerifiedWallet, shown: Shown) -> VerifiedWallet:
        """As `successor`; or in the same epoch, if not all had adopted that one before."""
        wallet = self.wallet(shown)
        unfinished = before.newest is not None and not before.newest.retired
        same = (wallet.certificate, wallet.body) == (before.certificate, before.body)
        if not (unfinished and same):
            _require_newer(before, wallet)
        return wallet

    def end(self, name: str, shown: Shown) -> VerifiedEnd:
        """Who has destroyed the wallet called `name`, which need not be active.

        Raises:
            Tampered: it is another wallet's certificate.
        """
        end = verified_end(shown, self._keys)
        _require_named(name, end)
        self._require_known(shown)
        return end

    def trusted(self, name: str, epoch_hash: EpochHash, shown: Shown) -> VerifiedWallet:
        """The wallet called `name`, known from now on.

        Args:
            epoch_hash: of its newest epoch, or of its first one.

        Raises:
            Refused: `other-epoch`: the wallet that is shown has no such epoch.
            Others: as `KnownWallets.remember`.
        """
        wallet = self._verified(shown)
        _require_named(name, wallet)
        first = wallet.certificate.body.hash
        if epoch_hash not in (first, wallet.body.hash):
            raise Refused("other-epoch", f"the wallet {name} that is shown has no such epoch")
        self.known.remember(name, Meaning("epoch", first))
        return wallet

    @contextmanager
    def awaited(self, name: str, roster: Roster) -> Iterator[None]:
        """These holders are asked for a wallet called `name`. If they are some of the pinned ones,
        and it means none that was shown, it means theirs from now on: the answer may be lost.
        """
        meant = None if roster == self._roster else self.known.meaning(name)
        if roster != self._roster and (meant is None or meant.by == "roster"):
            self.known.remember(name, Meaning("roster", roster.hash))
        try:
            yield
        except NameTaken:
            if roster != self._roster:
                self.known.remember(name, meant)
            raise

    def _verified(self, shown: Shown) -> VerifiedWallet:
        return verified(shown, self._keys, self._clock())

    def _require_known(self, shown: Shown) -> None:
        require_known(shown.certificate, shown.lineage, self._keys, self.known)


def _require_named(name: str, shown: VerifiedWallet | VerifiedEnd) -> None:
    if shown.name != name:
        raise Tampered(f"the certificate shown for {name!r} is another wallet's")


def _require_newer(before: VerifiedWallet, wallet: VerifiedWallet) -> None:
    if wallet.certificate != before.certificate or wallet.body.epoch <= before.body.epoch:
        raise Tampered(f"what came back is no newer epoch of {before.name!r}")
