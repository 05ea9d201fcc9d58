"""The worked check 5.3.1: whatever four parities come together, the shares sign for the output key.

The secrets here are the tests' own and ordinary integers.
"""

from __future__ import annotations

from itertools import count

from hsm_mpc.groups.secp256k1 import SECP256K1, verify_bip340
from hsm_mpc.groups.sharing import lagrange
from hsm_mpc.ids import EpochHash
from hsm_mpc.tags import Tag, tagged_hash
from hsm_mpc.taproot.derivation import ExtendedKey, Path, chain_code_of
from hsm_mpc.taproot.output import SpendingKey

Q = SECP256K1.order
MESSAGE = b"any message"


def point(scalar: int) -> bytes:
    encoded = SECP256K1.base_multiple(scalar)
    assert encoded is not None
    return encoded


def drawn(label: str, number: int) -> int:
    return int.from_bytes(tagged_hash(Tag.RNG, f"{label} {number}".encode()), "big") % Q


def sign(of: int) -> int:
    """−1 where the point of this scalar has odd y."""
    return -1 if point(of)[0] == 3 else 1


def signed_in_case(number: int) -> tuple[int, int, int, int]:
    """One threshold signature 2-of-3, checked at every step; the parities of R, Qout, K', P."""
    x, slope, nonce = (drawn(label, number) for label in ("x", "slope", "nonce"))
    root = ExtendedKey(point(x), chain_code_of(EpochHash(bytes(32))))
    spending = SpendingKey.derive(root, Path(number % 2, number))
    change, index, last = (int.from_bytes(tweak.value, "big") for tweak in spending.tweaks)

    leaf = (x + change + index) % Q  # the secret of K'
    by_hand = (sign(leaf) * leaf + last) % Q  # the secret of Qout
    assert point(by_hand)[1:] == spending.output_key

    gacc, tacc = 1, 0  # step 3.1.2
    key = root.key
    for tweak in spending.tweaks:
        g = -1 if tweak.x_only and key[0] == 3 else 1
        tau = int.from_bytes(tweak.value, "big")
        moved = SECP256K1.linear_combination([(g, key), (tau, point(1))])
        assert moved is not None
        key, gacc, tacc = moved, g * gacc, (tau + g * tacc) % Q
    assert key[1:] == spending.output_key  # step 5.2.2
    assert (gacc * x + tacc) % Q == by_hand

    g_q, g_r = sign(by_hand), sign(nonce)
    r = point(nonce)[1:]
    e = int.from_bytes(tagged_hash(Tag.BIP340_CHALLENGE, r + key[1:] + MESSAGE), "big") % Q
    signers = (1, 3)
    partial = sum(e * lagrange(i, signers, Q) * g_q * gacc * (x + slope * i) for i in signers)
    s = (g_r * nonce + partial + e * g_q * tacc) % Q
    assert s == (g_r * nonce + e * g_q * by_hand) % Q
    verify_bip340(spending.output_key, MESSAGE, r + s.to_bytes(32, "big"))
    return g_r, g_q, sign(leaf), sign(x)


def test_all_sixteen_parities_sign_and_verify() -> None:
    seen: set[tuple[int, int, int, int]] = set()
    for number in count():
        seen.add(signed_in_case(number))
        if len(seen) == 16:
            break
    assert number < 1000
