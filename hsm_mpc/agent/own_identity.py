"""Which identity key of the token is this holder's: its card tells (steps 1.6.3a and 6.7.9)."""

from __future__ import annotations

from hsm_mpc.card import Card
from hsm_mpc.certificates.rotate import Rotation
from hsm_mpc.errors import BadConfig, BadInput, HsmMpcError, Tampered
from hsm_mpc.hsm.identity import OwnIdentity, identities
from hsm_mpc.hsm.token import Token
from hsm_mpc.store.holder import HolderStore


def kept_card(store: HolderStore) -> Card | None:
    """This holder's card, if `holder init` has written one.

    Raises:
        Tampered: it is damaged.
    """
    encoded = store.card()
    try:
        return None if encoded is None else Card.from_bytes(encoded)
    except HsmMpcError as damaged:
        raise Tampered(f"the holder's card: {damaged}") from damaged


def kept_rotation(store: HolderStore) -> Rotation | None:
    """What takes the place of this holder's identity key, if anything does.

    Raises:
        Tampered: it is damaged.
    """
    encoded = store.rotation()
    try:
        return None if encoded is None else Rotation.from_bytes(encoded)
    except BadInput as damaged:
        raise Tampered(f"the rotation of the identity key: {damaged}") from damaged


def kept_identity(token: Token, store: HolderStore) -> OwnIdentity | None:
    """The token's identity key, which is that of the card; None before `holder init`.

    Raises:
        Tampered: the token has lost the card's key, or has another: nobody makes a new one here.
        BadConfig: it has two, and no card tells which: the store was lost during a rotation.
    """
    card, rotation = kept_card(store), kept_rotation(store)
    found = {identity.key: identity for identity in identities(token).values()}
    if card is None:
        if len(found) > 1:
            raise BadConfig(
                f"{token.where}: two identity keys, and no card tells which is this holder's: "
                "destroy the one that no roster names"
            )
        return next(map(OwnIdentity, found.values()), None)
    if not found:
        raise Tampered(f"{token.where}: the identity key of this holder's card is missing")
    if card.content.key not in found:
        raise Tampered(f"{token.where}: its identity key is not that of this holder's card")
    current = found[card.content.key]
    if rotation is None or rotation.identity_key != current.key:
        return OwnIdentity(current)
    return OwnIdentity(current, found.get(rotation.known_key))
