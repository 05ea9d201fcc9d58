"""What a key generation fixes beforehand, and its messages (sections 2.4 and 2.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.errors import BadEncoding, ProtocolAbort
from hsm_mpc.protocols.dkg_messages import Dealing1, Setup, agree, transcript
from hsm_mpc.protocols.suite_secp256k1 import CocktailSecp256k1
from hsm_mpc.secure.arena import Take
from tests.protocols.keygen import EXTENSION, SESSION, deal, parties, times_g

KEYS = [times_g(k) for k in (11, 12, 13)]


def setup_of(
    suite: CocktailSecp256k1,
    threshold: int = 2,
    keys: list[bytes] = KEYS,
    me: int = 1,
    own: bytes = KEYS[0],
    session: bytes = SESSION,
) -> Setup:
    return agree(suite, threshold, keys, me, own, session, EXTENSION)


@pytest.mark.parametrize(
    "threshold", [pytest.param(0, id="t_zero"), 1, pytest.param(4, id="t_above_n"), -1]
)
def test_a_threshold_out_of_range_is_refused(suite: CocktailSecp256k1, threshold: int) -> None:
    """Steps 1.2.3 and 2.4.1."""
    with pytest.raises(ProtocolAbort, match="threshold"):
        setup_of(suite, threshold)


def test_more_holders_than_indices_are_refused(suite: CocktailSecp256k1) -> None:
    """Step 2.4.1."""
    with pytest.raises(ProtocolAbort, match="among 256 holders"):
        setup_of(suite, keys=KEYS * 85 + KEYS[:1])


def test_a_static_key_that_is_no_point_names_its_holder(suite: CocktailSecp256k1) -> None:
    """Step 2.4.1: all of them at once."""
    with pytest.raises(ProtocolAbort) as abort:
        setup_of(suite, keys=[KEYS[0], bytes(33), KEYS[2][:-1]])
    assert abort.value.culprits == (2, 3)


def test_a_duplicate_static_key_is_refused(suite: CocktailSecp256k1) -> None:
    """Step 2.4.1."""
    with pytest.raises(ProtocolAbort, match="two holders") as abort:
        setup_of(suite, keys=[KEYS[0], KEYS[1], KEYS[1]])
    assert abort.value.culprits == ()


@pytest.mark.parametrize(
    ("me", "own"), [(2, KEYS[0]), (1, times_g(14)), (0, KEYS[2]), (4, KEYS[0])]
)
def test_the_own_key_at_the_wrong_index_is_refused(
    suite: CocktailSecp256k1, me: int, own: bytes
) -> None:
    """Step 2.4.1."""
    with pytest.raises(ProtocolAbort, match="own static key"):
        setup_of(suite, me=me, own=own)


def test_the_context_names_session_holders_and_their_order(suite: CocktailSecp256k1) -> None:
    """Step 2.4.2."""
    contexts = {
        setup_of(suite).context,
        setup_of(suite, session=SESSION + b"x").context,
        setup_of(suite, keys=[KEYS[0], KEYS[2], KEYS[1]]).context,
        setup_of(suite, keys=KEYS[:2]).context,
    }
    assert len(contexts) == 4
    assert setup_of(suite, 3).context in contexts, "the threshold stands in T only"


@pytest.fixture
def dealing(suite: CocktailSecp256k1, take: Take) -> bytes:
    return deal(parties(suite, take, 2, (11, 12, 13))).messages[1]


def test_a_dealing_survives_its_encoding(suite: CocktailSecp256k1, dealing: bytes) -> None:
    """Step 2.5.4."""
    assert len(dealing) == 2 * 33 + 65 + 33 + 3 * (8 + 48)
    assert Dealing1.from_bytes(dealing, setup_of(suite)).to_bytes() == dealing


def test_a_trailing_byte_in_a_dealing_is_refused(suite: CocktailSecp256k1, dealing: bytes) -> None:
    """Step 1.1.3."""
    with pytest.raises(BadEncoding, match="left over"):
        Dealing1.from_bytes(dealing + b"\0", setup_of(suite))


def test_every_truncated_dealing_is_refused(suite: CocktailSecp256k1, dealing: bytes) -> None:
    """Step 1.1.3."""
    for length in range(len(dealing)):
        with pytest.raises(BadEncoding):
            Dealing1.from_bytes(dealing[:length], setup_of(suite))


@pytest.mark.parametrize("offset", [0, 33, 2 * 33 + 65])
def test_a_dealing_with_a_point_that_is_none_is_refused(
    suite: CocktailSecp256k1, dealing: bytes, offset: int
) -> None:
    """Step 2.5.5: each commitment and E."""
    with pytest.raises(BadEncoding, match="point"):
        wrong = dealing[:offset] + bytes(33) + dealing[offset + 33 :]
        Dealing1.from_bytes(wrong, setup_of(suite))


@pytest.mark.parametrize(
    "change",
    [{"extension": b"another"}, {"context": b"c" * 32}, {"static_keys": (*KEYS[:2], times_g(14))}],
)
def test_the_transcript_names_all_that_was_agreed(
    suite: CocktailSecp256k1, dealing: bytes, change: dict[str, object]
) -> None:
    """Step 2.5.10."""
    setup = setup_of(suite)
    dealings = [Dealing1.from_bytes(dealing, setup)] * 3
    other = replace(setup, **change)  # type: ignore[arg-type]
    assert transcript(setup, dealings).to_bytes() != transcript(other, dealings).to_bytes()


def test_no_ciphertext_stands_in_the_transcript(suite: CocktailSecp256k1, dealing: bytes) -> None:
    """Step 2.5.10."""
    setup = setup_of(suite)
    dealings = [Dealing1.from_bytes(dealing, setup)] * 3
    erased = [replace(each, sealed=(b"", b"", b"")) for each in dealings]
    assert transcript(setup, dealings).to_bytes() == transcript(setup, erased).to_bytes()
