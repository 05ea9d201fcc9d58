"""A client prints nothing on a coordinator's word: every lie is found before it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path as File

import pytest

from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.errors import (
    BadEncoding,
    BadInput,
    HoldersBlamed,
    HsmMpcError,
    NotReady,
    ProtocolAbort,
    Tampered,
)
from hsm_mpc.ids import Scheme
from hsm_mpc.requests import RequestType
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.calls import CoordinatorMethod
from hsm_mpc.wire.envelope import bundle, unbundled
from hsm_mpc.wire.wallet_calls import indices_to_bytes
from tests.agent.simulate import LAB_POLICY, World
from tests.coordinator.office import Office

Parts = tuple[bytes, ...]


def lies(office: Office, change: Callable[[Parts], Parts]) -> None:
    """The coordinator changes each of its answers."""
    office.coordinator.lie = lambda method, parts, honest: change(honest())


def shown(office: Office, name: str = "treasury") -> VerifiedWallet:
    return office.client.show(name)


# Certificates


def test_a_flipped_bit_anywhere_in_a_certificate_is_found(shared_office: Office) -> None:
    parts = shared_office.coordinator.call(CoordinatorMethod.SHOW, [b"treasury"], 1)
    for at in range(0, len(parts[0]), 37):
        forged = bytearray(parts[0])
        forged[at] ^= 1
        lies(shared_office, lambda _, forged=bytes(forged): (forged, *parts[1:]))  # type: ignore[misc]
        with pytest.raises(Tampered, match="does not verify"):
            shown(shared_office)


def test_the_certificate_of_another_wallet_is_refused(shared_office: Office) -> None:
    """Step 1.6.5: certificate_of_another_wallet_under_the_asked_name."""
    other = shared_office.made("other")
    assert other.name == "other"
    parts = shared_office.coordinator.call(CoordinatorMethod.SHOW, [b"other"], 1)
    lies(shared_office, lambda _: parts)
    with pytest.raises(Tampered, match="another wallet's"):
        shown(shared_office)


def test_another_wallet_than_was_asked_for_is_refused(shared_office: Office) -> None:
    """Made with another policy, by a coordinator that hopes that nobody compares."""
    parts = shared_office.coordinator.call(CoordinatorMethod.SHOW, [b"treasury"], 1)
    shared_office.coordinator.lie = lambda method, given, honest: parts
    with pytest.raises(Tampered, match="not of the wallet"):
        shared_office.client.create("treasury", Scheme.TAPROOT, 2, b"version: 1\n")
    with pytest.raises(Tampered, match="not of the wallet"):
        shared_office.client.create("treasury", Scheme.TAPROOT, 3, LAB_POLICY)
    with pytest.raises(Tampered, match="not of the wallet"):
        shared_office.client.create("treasure", Scheme.TAPROOT, 2, LAB_POLICY)
    assert shared_office.client.create("treasury", Scheme.TAPROOT, 2, LAB_POLICY)


def test_a_certificate_under_another_roster_is_refused(
    shared_world: tuple[World, File],
) -> None:
    world, folder = shared_world
    elsewhere = replace(world, roster=replace(world.roster, lab=False))
    with (
        Office.opened(elsewhere, folder) as other,
        pytest.raises(Tampered, match="of another roster"),
    ):
        other.client.show("treasury")


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_wallet_that_not_all_have_confirmed_is_not_shown(
    shared_office: Office, kept: int
) -> None:
    """Step 2.6.8: certificate_without_n_done_is_not_shown."""
    lies(shared_office, lambda parts: (parts[0], bundle(unbundled(parts[1])[:kept]), b"", b""))
    with pytest.raises(NotReady if kept == 0 else Tampered):
        shown(shared_office)


def test_confirmations_of_the_wrong_holders_are_refused(shared_office: Office) -> None:
    def twice_the_first(parts: Parts) -> Parts:
        first, _, third = unbundled(parts[1])
        return parts[0], bundle([first, first, third]), b"", b""

    lies(shared_office, twice_the_first)
    with pytest.raises(Tampered):
        shown(shared_office)


def test_an_empty_answer_is_none(shared_office: Office) -> None:
    lies(shared_office, lambda parts: ())
    with pytest.raises(BadEncoding):
        shown(shared_office)


def test_names_that_are_none_are_not_listed(shared_office: Office) -> None:
    lies(shared_office, lambda parts: (b"\x1b[31mred", b"\xff"))
    with pytest.raises(BadInput, match="a name is 1 to 64"):
        shared_office.client.names()


# What is asked


@pytest.mark.parametrize(
    ("name", "scheme", "threshold"),
    [
        ("Treasury", Scheme.TAPROOT, 2),
        ("", Scheme.TAPROOT, 2),
        ("w", Scheme.TAPROOT, 1),
        ("w", Scheme.TAPROOT, 4),
        ("w", Scheme.ECDSA, 2),
    ],
)
def test_what_cannot_be_is_refused_before_anybody_is_asked(
    shared_office: Office, name: str, scheme: Scheme, threshold: int
) -> None:
    shared_office.coordinator.lie = lambda method, parts, honest: pytest.fail("asked")
    with pytest.raises(BadInput):
        shared_office.client.create(name, scheme, threshold, LAB_POLICY)


def test_a_name_that_is_none_is_not_asked_for(shared_office: Office) -> None:
    with pytest.raises(BadInput, match="wallet 'No'"):
        shown(shared_office, "No")


def test_too_few_signers_are_refused_before_anybody_is_asked(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    with pytest.raises(BadInput, match="1 signers: wallet treasury wants 2"):
        shared_office.signed(treasury, signers=[2, 2])


# Signatures


def test_a_signature_that_does_not_verify_is_not_shown(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    for forged in (bytes(64), b"", b"\xff" * 64, b"x" * 65):
        lies(shared_office, lambda parts, forged=forged: (forged, *parts[1:]))  # type: ignore[misc]
        with pytest.raises(Tampered, match="does not verify"):
            shared_office.signed(treasury)


def test_the_signature_of_another_message_is_not_shown(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    other = shared_office.signed(treasury, b"pay all to me")
    lies(shared_office, lambda parts: (other.signature, *parts[1:]))
    with pytest.raises(Tampered):
        shared_office.signed(treasury, b"pay")


def test_the_signature_of_another_path_is_not_shown(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    other = shared_office.client.sign(treasury, RequestType.MESSAGE, b"pay", Path(0, 1), ())
    lies(shared_office, lambda parts: (other.signature, *parts[1:]))
    with pytest.raises(Tampered):
        shared_office.signed(treasury, b"pay")


@pytest.mark.parametrize("signers", [[], [1], [1, 1], [1, 4], [0, 1]])
def test_signers_that_are_no_quorum_are_not_shown(
    shared_office: Office, treasury: VerifiedWallet, signers: Sequence[int]
) -> None:
    lies(shared_office, lambda parts: (parts[0], indices_to_bytes(signers), parts[2]))
    with pytest.raises(Tampered, match="no quorum"):
        shared_office.signed(treasury)


def test_an_answer_of_other_parts_is_none(shared_office: Office, treasury: VerifiedWallet) -> None:
    lies(shared_office, lambda parts: parts[:2])
    with pytest.raises(BadEncoding, match="2 parts"):
        shared_office.signed(treasury)


# Failures


def test_culprits_are_told_by_name_and_strangers_are_not(shared_office: Office) -> None:
    def abort(method: int, parts: object, honest: object) -> Parts:
        raise ProtocolAbort("h2 and a stranger", [2, 9])

    shared_office.coordinator.lie = abort
    with pytest.raises(HoldersBlamed) as blamed:
        shown(shared_office)
    assert blamed.value.facts() == {"culprits": ["h2"]}
    assert blamed.value.exit_code == 5


def test_an_abort_without_culprits_names_nobody() -> None:
    error: HsmMpcError = HoldersBlamed("the relay did it", [])
    assert error.facts() == {}
