"""Epoch records, proposals and keys for the tests of the store."""

from __future__ import annotations

from hypothesis import strategies as st

from hsm_mpc.ids import EpochHash, HolderIndex, WalletId
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState, Pair, PairStatus
from tests.software_identity import p256_key

KEY = p256_key(1)
WALLET = WalletId(bytes(range(16)))
OTHER_WALLET = WalletId(bytes(range(1, 17)))
INDEX = HolderIndex(3)
H = EpochHash(b"h" * 32)

_hash = st.binary(min_size=32, max_size=32)
_uri = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
_u32 = st.integers(0, 2**32 - 1)
_slot = st.tuples(st.integers(1, 255), st.integers(1, 65535))


@st.composite
def records(draw: st.DrawFn) -> EpochRecord:
    """Any record that may stand on a disk."""
    uris = draw(st.lists(_uri, min_size=1, max_size=8, unique=True))
    slots = draw(st.lists(_slot, max_size=5, unique=True))
    return EpochRecord(
        state=draw(st.sampled_from(EpochState)),
        epoch_hash=EpochHash(draw(_hash)),
        blob_digest=draw(_hash),
        kek_uri=uris[0],
        extra_uris=tuple(uris[1:]),
        key_generation=draw(_u32),
        clients_version=draw(_u32),
        clients_hash=draw(_hash),
        pairs=tuple(
            Pair(HolderIndex(peer), gen, draw(st.sampled_from(PairStatus)), draw(_hash))
            for peer, gen in sorted(slots)
        ),
    )


def record(
    state: EpochState = EpochState.PREPARED,
    h: EpochHash = H,
    kek_uri: str = "pkcs11:token=t;id=%01",
    key_generation: int = 0,
    pairs: tuple[Pair, ...] = (),
) -> EpochRecord:
    """A record that names no blob yet."""
    return EpochRecord(state, h, NOT_SEALED, kek_uri, (), key_generation, 1, b"c" * 32, pairs)
