"""Messages about the end of a wallet (section 6.10)."""

from __future__ import annotations

from hsm_mpc.certificates.destruction import Destroy, WalletDestroyed
from hsm_mpc.ids import WalletId
from hsm_mpc.wire.about_wallets import asked_about, said_about
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.inbox import Inbox
from hsm_mpc.wire.rounds import DESTROY, WALLET_DESTROYED


def destroy_in(source: bytes, inbox: Inbox, now: int) -> Destroy:
    """What a coordinator asks for. Raises: as `asked_about`."""
    return asked_about(DESTROY, Destroy.from_bytes, source, inbox, now)


def wallet_destroyed_in(source: bytes, wallet_id: WalletId, keys: KeyBook) -> WalletDestroyed:
    """What a holder says of the end of a wallet: good for ever, for its identity key signed it.

    Raises:
        BadEncoding, InvalidSignature: it is no DESTROYED of a holder of this roster about it.
    """
    everybody = range(1, keys.roster.n + 1)
    said = said_about(WALLET_DESTROYED, source, wallet_id, everybody, keys)
    return WalletDestroyed.from_bytes(said.payload)
