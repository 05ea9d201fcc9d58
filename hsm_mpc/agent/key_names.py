"""Names of wrapping keys that nobody has yet (step 6.2.2)."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.wrapping_keys import wrapping_key_id
from hsm_mpc.hsm import keys
from hsm_mpc.ids import EpochHash, WalletId


def free_key(
    holder: ActingHolder,
    wallet_id: WalletId,
    origin: tuple[EpochHash, Attempt],
    first: int,
    taken: Collection[str],
) -> tuple[int, str]:
    """g, from `first` on, and the URI of a key that is none of the `taken` ones.

    Args:
        origin: the epoch that is replaced, and the attempt that does it.
    """
    ids = ((g, wrapping_key_id(wallet_id, holder.me, *origin, g)) for g in count(first))
    names = ((g, _uri(holder, key_id)) for g, key_id in ids)
    return next((g, uri) for g, uri in names if uri not in taken)


def keys_in_token(holder: ActingHolder, wallet_id: WalletId) -> set[str]:
    """URIs of the keys of a wallet that the token has."""
    present = keys.wrapping_key_ids(holder.token, keys.wrapping_label(wallet_id))
    return {_uri(holder, key_id) for key_id in present}


def _uri(holder: ActingHolder, key_id: bytes) -> str:
    return keys.key_uri(holder.token, key_id, holder.wrapping.key_class)
