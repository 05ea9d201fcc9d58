from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import wallet_id_of
from hsm_mpc.encoding import lv16, lv32, u8, u16be, u64be
from hsm_mpc.errors import BadEncoding, BadInput, Refused
from hsm_mpc.ids import Scheme, WalletId
from hsm_mpc.roster import FIRST_PREDECESSOR, Member
from hsm_mpc.tags import Tag, tagged_hash
from tests.certificates.ceremony import Ceremony
from tests.software_identity import ed25519_key, p256_key

CEREMONY = Ceremony()
PROPOSAL = CEREMONY.proposal()


class OfThirtyThree(Ceremony):
    n = 33


def test_the_bytes_of_a_proposal_are_those_of_the_specification() -> None:
    """Step 2.6.1, written out."""
    nonce = b"\x0a" * 32
    wallet_id = tagged_hash(Tag.WALLET, lv16(b"treasury") + nonce)[:16]
    expected = (
        u8(1)
        + nonce
        + lv16(b"treasury")
        + wallet_id
        + u8(1)
        + u16be(2)
        + u16be(2)
        + u16be(3)
        + lv32(CEREMONY.roster.to_bytes())
        + hashlib.sha256(b"version: 1\n").digest()
        + lv32(PROPOSAL.clients.to_bytes())
        + u64be(1_800_000_000)
    )
    assert PROPOSAL.to_bytes() == expected
    assert PROPOSAL.hash == tagged_hash(Tag.PROPOSAL, expected)
    assert PROPOSAL.terms.wallet_id == wallet_id


@given(
    st.binary(min_size=32, max_size=32),
    st.from_regex(r"[a-z0-9._-]{1,64}", fullmatch=True),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**64 - 1),
)
def test_any_proposal_is_read_back_as_it_was_written(
    nonce: bytes, name: str, policy_hash: bytes, deadline: int
) -> None:
    clients = replace(PROPOSAL.clients, wallet_id=wallet_id_of(name, nonce))
    proposal = Proposal(
        nonce,
        name,
        Scheme.TAPROOT,
        PROPOSAL.sizes,
        CEREMONY.roster,
        policy_hash,
        clients,
        deadline,
    )
    assert Proposal.from_bytes(proposal.to_bytes()) == proposal


def test_its_holders_are_some_of_the_pinned_roster_and_this_one_is_among_them() -> None:
    """Step 2.6.1."""
    for index in CEREMONY.indices:
        PROPOSAL.check_roster(CEREMONY.identity(index).public, CEREMONY.roster)
    some = CEREMONY.roster.among(["h1", "h3"])
    assert [member.name for member in some.members] == ["h1", "h3"]
    smaller = replace(
        PROPOSAL, roster=some, sizes=QuorumSizes.default(2, 2), clients=PROPOSAL.clients
    )
    smaller.check_roster(CEREMONY.identity(3).public, CEREMONY.roster)
    with pytest.raises(Refused) as refusal:
        smaller.check_roster(CEREMONY.identity(2).public, CEREMONY.roster)
    assert refusal.value.rule == "not-a-member"


def test_a_roster_of_others_than_the_pinned_one_is_refused() -> None:
    members = CEREMONY.roster.members
    stranger = Member("h3", p256_key(77).public)
    for wrong in ((*members[:2], stranger), (members[1], members[0], members[2])):
        roster = replace(CEREMONY.roster, members=wrong)
        with pytest.raises(Refused) as refusal:
            replace(PROPOSAL, roster=roster).check_roster(members[0].key, CEREMONY.roster)
        assert refusal.value.rule == "roster-not-pinned"


def test_a_lab_holder_knows_all_clients_of_the_list() -> None:
    """Step 2.6.1."""
    known = ed25519_key(b"\x0c" * 32).public
    PROPOSAL.check_lab_clients([known, p256_key(5).public])
    with pytest.raises(Refused) as refusal:
        PROPOSAL.check_lab_clients([p256_key(5).public])
    assert refusal.value.rule == "unknown-client"


def test_a_wallet_id_that_does_not_follow_from_name_and_nonce_is_refused() -> None:
    """Step 1.6.5: neither can be kept while the other changes."""
    source = PROPOSAL.to_bytes()
    wallet_id = PROPOSAL.terms.wallet_id
    foreign = source.replace(wallet_id, bytes(16))
    renamed = source.replace(lv16(b"treasury"), lv16(b"pleasure"))
    other_nonce = source.replace(b"\x0a" * 32, b"\x0b" * 32)
    for changed in (foreign, renamed, other_nonce):
        with pytest.raises(BadEncoding, match="wallet_id is not that"):
            Proposal.from_bytes(changed)


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"sizes": QuorumSizes.default(4, 2)}, "4 of 3 holders"),
        ({"nonce": bytes(31)}, "nonce of a proposal"),
        ({"name": "Treasury"}, "a name is"),
        ({"policy_hash": bytes(31)}, "hashes of 32"),
        ({"scheme": Scheme.ECDSA}, "not built"),
        (
            {"clients": replace(PROPOSAL.clients, wallet_id=WalletId(bytes(16)))},
            "version 1 of this wallet",
        ),
        (
            {"clients": replace(PROPOSAL.clients, version=2, predecessor=b"\x01" * 32)},
            "version 1 of this wallet",
        ),
    ],
)
def test_a_proposal_that_contradicts_itself_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(BadInput, match=text):
        replace(PROPOSAL, **changes)


def test_a_larger_roster_than_policy_allows_is_refused_at_creation() -> None:
    """Step 1.2.3."""
    with pytest.raises(BadInput, match="at most 32"):
        OfThirtyThree().proposal()


@pytest.mark.parametrize(
    "old, new, text",
    [
        (b"\x01" + b"\x0a" * 32, b"\x02" + b"\x0a" * 32, "protocol version 2"),
        (u8(1) + u16be(2) * 2 + u16be(3), u8(1) + u16be(2) + u16be(1) + u16be(3), "join size 1"),
        (u8(1) + u16be(2) * 2 + u16be(3), u8(7) + u16be(2) * 2 + u16be(3), "scheme 7"),
    ],
)
def test_bytes_of_a_proposal_that_breaks_a_rule_are_a_bad_encoding(
    old: bytes, new: bytes, text: str
) -> None:
    """Steps 1.7.10, 6.1.3 and 1.6.4."""
    source = PROPOSAL.to_bytes()
    assert source.count(old) == 1
    with pytest.raises(BadEncoding, match=text):
        Proposal.from_bytes(source.replace(old, new))


def test_an_empty_client_list_can_be_proposed() -> None:
    """A wallet that nobody may use yet."""
    empty = ClientList(PROPOSAL.terms.wallet_id, 1, FIRST_PREDECESSOR, ())
    proposal = replace(PROPOSAL, clients=empty)
    assert Proposal.from_bytes(proposal.to_bytes()) == proposal
