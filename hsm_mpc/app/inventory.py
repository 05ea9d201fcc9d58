"""`inventory`: the keys in the HSM against what configuration and store name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.agent.offers import Offer
from hsm_mpc.agent.succession.rewrapping import keys_on_their_way
from hsm_mpc.app.admin import asked
from hsm_mpc.app.holder import OpenHolder, opened
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.wrapping_keys import wrapping_key_id
from hsm_mpc.config import load_holder
from hsm_mpc.errors import BadConfig, Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.capabilities import KEY_CLASSES
from hsm_mpc.hsm.cryptoki import ObjectClass
from hsm_mpc.hsm.listing import KeyListing, listing
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.ids import WalletId

OK = "ok"
UNKNOWN = "unknown"
ORPHANED = "orphaned"
DIFFERENT = "different"
DUPLICATE = "duplicate"

_HALVES = (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
_CANARIES = ((ObjectClass.SECRET_KEY, keys.CANARY), (ObjectClass.PRIVATE_KEY, keys.CANARY))
_MADE_BY_INIT = (*((half, name) for name in keys.IDENTITIES for half in _HALVES), *_CANARIES)
"""Of the canaries one: an AES key, or the private half of an RSA pair. Of the identity keys one,
but for a while (step 6.7.9).
"""


Name = tuple[ObjectClass, bytes, str]
"""What names a key of ours: class, CKA_ID and CKA_LABEL (steps 6.2.2 and 6.2.3)."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """One key in the token.

    `verdict`: "ok"; "unknown" (bears no name of ours); "orphaned" (a wrapping key that no record
    and no key generation under way names); "duplicate" (another key has its name);
    "different" (its attributes are not what they must be, see `differences`).
    """

    verdict: str
    purpose: str
    label: str
    id: str
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """`exit_code` is 6 where a key is missing or different, else 2 where one is there twice."""

    keys: tuple[ListedKey, ...]
    missing: tuple[str, ...]
    exit_code: int


def take(config_path: Path, prompt: bool) -> Inventory:
    """List all keys of the token, and the wrapping keys that records name and the token lacks.

    The running signer is asked; without one, the store is opened.
    """
    running = asked(load_holder(config_path), AdminMethod.INVENTORY, Inventory)
    if running is not None:
        return running
    with opened(config_path, prompt=prompt) as holder:
        return of(holder)


def of(holder: OpenHolder) -> Inventory:
    """The inventory of an opened holder."""
    found = listing(holder.token)
    recorded = _recorded(holder)
    expected = {each.key_name for each in recorded}
    expected |= _keys_being_made(holder) | _keys_offered(holder)
    counted = Counter(_shared_name(key) for key in found)
    listed = tuple(_judged(key, expected, counted[_shared_name(key)]) for key in found)
    present = {_named(key) for key in found}
    needed = (each for each in recorded if not each.is_on_its_way)
    missing = tuple(each.told for each in needed if not each.is_in(holder, present))
    missing += _missing_identity(present)
    if not any((kind, name.encode(), name) in present for kind, name in _CANARIES):
        missing += (keys.CANARY,)
    return Inventory(listed, missing, _exit_code(listed, missing))


def _missing_identity(present: Collection[Name]) -> tuple[str, ...]:
    """Which halves of an identity key the token lacks; of neither name it has one: of the first."""

    def lacking(name: str) -> tuple[str, ...]:
        return tuple(
            f"{name} ({object_class.name.lower().replace('_', ' ')})"
            for object_class in _HALVES
            if (object_class, name.encode(), name) not in present
        )

    begun = [name for name in keys.IDENTITIES if len(lacking(name)) < len(_HALVES)]
    return tuple(each for name in begun or [keys.IDENTITY] for each in lacking(name))


def _exit_code(listed: tuple[ListedKey, ...], missing: tuple[str, ...]) -> int:
    verdicts = {key.verdict for key in listed}
    if missing or DIFFERENT in verdicts:
        return Tampered.exit_code
    return BadConfig.exit_code if DUPLICATE in verdicts else 0


@dataclass(frozen=True, slots=True)
class _RecordedKey:
    """A wrapping key that an epoch record names."""

    wallet_id: WalletId
    uri: KeyUri
    is_on_its_way: bool
    """In or out, of a rewrap that has not ended: no blob is sealed for it."""

    @property
    def key_name(self) -> Name:
        label = keys.wrapping_label(self.wallet_id)
        return self.uri.object_class, self.uri.key_id, label

    @property
    def told(self) -> str:
        """For people."""
        named = f"wrapping key of wallet {self.wallet_id.hex()}, id {self.uri.key_id.hex()}"
        return f"{named}, of token {self.uri.token!r}"

    def is_in(self, holder: OpenHolder, present: Collection[Name]) -> bool:
        """Whether it is in the token that is configured, and that token is the recorded one."""
        recorded = (self.uri.token, self.uri.serial)
        token = holder.token
        return recorded == (token.label, token.serial) and self.key_name in present


def _named(key: KeyListing) -> Name:
    return key.object_class, key.key_id, key.label


def _shared_name(key: KeyListing) -> tuple[str, bytes, str]:
    """What no second key may have: of a wrapping key, whichever class it is of (step 6.2.2).

    A canary of each class is no duplicate: the token learnt another way of wrapping.
    """
    if key.label.startswith(keys.WRAPPING_LABEL_PREFIX):
        return "wrapping", key.key_id, key.label
    return key.object_class.name, key.key_id, key.label


def _recorded(holder: OpenHolder) -> tuple[_RecordedKey, ...]:
    """Every wrapping key that an epoch record names, by wallet and id."""
    found = [
        _RecordedKey(wallet_id, KeyUri.parse(uri), uri in keys_on_their_way(epochs, record))
        for wallet_id, epochs in holder.epochs()
        for record in epochs.records()
        for uri in record.kek_uris
    ]
    return tuple(sorted(found, key=lambda each: (each.wallet_id, each.uri.key_id)))


def _keys_being_made(holder: OpenHolder) -> set[Name]:
    """Wrapping keys of key generations that are under way, of whichever class (step 2.6.2)."""
    proposals = holder.store.proposals
    being_made: set[Name] = set()
    for ph in proposals.hashes():
        try:
            wallet_id = Proposal.from_bytes(proposals.load(ph)).terms.wallet_id
        except Tampered:
            if ph in proposals.hashes():
                raise
            continue  # it ended while we looked
        key_id = wrapping_key_id(wallet_id, holder.index(), ph, Attempt.NONE, 0)
        label = keys.wrapping_label(wallet_id)
        being_made |= {(object_class, key_id, label) for object_class in KEY_CLASSES}
    return being_made


def _keys_offered(holder: OpenHolder) -> set[Name]:
    """Wrapping keys that wait for a share to be repaired (step 6.7.2)."""
    offered: set[Name] = set()
    for wallet_id in holder.store.wallet_ids():
        kept = holder.store.repairs(wallet_id).offer()
        if kept is not None:
            uri = KeyUri.parse(Offer.from_bytes(kept).kek_uri)
            offered.add((uri.object_class, uri.key_id, keys.wrapping_label(wallet_id)))
    return offered


def _judged(key: KeyListing, expected: Collection[Name], count: int) -> ListedKey:
    """Args: count: how many keys of the token have its name."""
    wrapping = key.label.startswith(keys.WRAPPING_LABEL_PREFIX)
    of_init = (key.object_class, key.label) in _MADE_BY_INIT and key.key_id == key.label.encode()
    if not key.is_ours or not (wrapping or of_init):
        verdict = UNKNOWN
    elif key.differences:
        verdict = DIFFERENT
    elif count > 1:
        verdict = DUPLICATE
    elif wrapping and _named(key) not in expected:
        verdict = ORPHANED
    else:
        verdict = OK
    purpose = key.label.removeprefix("hsm-mpc/").partition("/")[0] if key.is_ours else "foreign"
    shown_id = key.label if of_init else key.key_id.hex()
    return ListedKey(verdict, purpose, key.label, shown_id, key.differences)
