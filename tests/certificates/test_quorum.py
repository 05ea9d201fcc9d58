from __future__ import annotations

from itertools import product

import pytest

from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.encoding import Reader, u16be
from hsm_mpc.errors import BadInput
from hsm_mpc.ids import Scheme

TABLE = {
    (2, 2): (2, 2),
    (2, 3): (2, 3),
    (3, 3): (3, 3),
    (2, 4): (3, 3),
    (3, 4): (3, 4),
    (3, 5): (3, 5),
    (2, 5): (4, 3),
    (4, 7): (4, 7),
    (3, 7): (5, 5),
    (7, 10): (7, 10),
}


@pytest.mark.parametrize("t, n", TABLE)
def test_the_default_sizes_are_those_of_the_table(t: int, n: int) -> None:
    """Step 6.1.3."""
    sizes = QuorumSizes.default(n, t)
    assert (sizes.join, sizes.adopt) == TABLE[t, n]


def test_the_default_sizes_keep_the_rule_for_every_threshold() -> None:
    for n in range(2, 256):
        for t in range(2, n + 1):
            QuorumSizes.default(n, t)


def test_exactly_the_sizes_of_the_rule_are_accepted() -> None:
    """Step 6.1.3, every combination up to five holders, one beyond each end."""
    for n, t, join, adopt in product(range(7), repeat=4):
        allowed = (
            2 <= t <= n
            and max(t, n - t + 1) <= join <= n
            and t <= adopt <= n
            and join + adopt >= n + t
        )
        if allowed:
            QuorumSizes(n, t, join, adopt)
        else:
            with pytest.raises(BadInput):
                QuorumSizes(n, t, join, adopt)


@pytest.mark.parametrize(
    "sizes, text",
    [
        ((3, 2, 1, 3), "join size 1"),
        ((3, 2, 4, 3), "join size 4"),
        ((4, 2, 2, 4), "join size 2"),
        ((3, 2, 3, 1), "adoption size 1 of 2-of-3 is against"),
        ((3, 2, 3, 4), "adoption size 4"),
        ((3, 2, 2, 2), "less than n \\+ t"),
    ],
)
def test_quorum_size_rule_is_enforced_at_creation(
    sizes: tuple[int, int, int, int], text: str
) -> None:
    """Step 6.1.3: the text names the size that is wrong."""
    with pytest.raises(BadInput, match=text):
        QuorumSizes(*sizes)


@pytest.mark.parametrize("t, n", [(0, 3), (1, 3), (4, 3), (2, 256), (1, 1), (0, 0)])
def test_a_threshold_outside_of_2_to_n_is_refused(t: int, n: int) -> None:
    """Step 1.2.3."""
    with pytest.raises(BadInput, match="threshold"):
        QuorumSizes.default(n, t)
    with pytest.raises(BadInput, match="threshold"):
        QuorumSizes(n, t, n, n)


@pytest.mark.parametrize(
    "scheme, largest", [(Scheme.TAPROOT, 32), (Scheme.ED25519, 32), (Scheme.ECDSA, 16)]
)
def test_a_new_wallet_has_at_most_so_many_holders(scheme: Scheme, largest: int) -> None:
    """Step 1.2.3."""
    QuorumSizes.default(largest, 2).check_policy(scheme)
    with pytest.raises(BadInput, match=f"at most {largest}"):
        QuorumSizes.default(largest + 1, 2).check_policy(scheme)


def test_sizes_are_read_back_as_they_were_written() -> None:
    sizes = QuorumSizes(4, 2, 3, 3)
    assert sizes.to_bytes() == u16be(4) + u16be(2) + u16be(3) + u16be(3)
    assert sizes.without_n() == sizes.to_bytes()[2:]
    assert QuorumSizes.read(Reader(sizes.to_bytes(), "sizes")) == sizes
