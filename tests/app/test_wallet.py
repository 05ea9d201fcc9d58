"""What the client's verbs take and tell; that nothing unverified is told, tests/client shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hsm_mpc.app import signing, wallet
from hsm_mpc.app.client import known_wallets
from hsm_mpc.client.known import KnownWallets, Meaning, NotKnown
from hsm_mpc.client.wallets import WalletClient
from hsm_mpc.config import load_client
from hsm_mpc.errors import BadConfig, BadInput, InvalidSignature, NotReady
from hsm_mpc.ids import Scheme
from hsm_mpc.policy.rules import Permission
from hsm_mpc.policy_file import policy
from tests.coordinator.office import Office

NOWHERE = Path("/nowhere")


@pytest.fixture
def office(shared_office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Whatever client.yaml says, this office's client is connected."""

    @contextmanager
    def connected(_: Path) -> Iterator[WalletClient]:
        yield shared_office.client

    for verbs in (wallet, signing):
        monkeypatch.setattr(verbs, "connected", connected)
    return shared_office


def test_a_wallet_is_told_with_hashes_of_certificate_and_policy(office: Office) -> None:
    shown = wallet.show(NOWHERE, "treasury")
    certificate = office.client.show("treasury").certificate.to_bytes()
    assert shown.certificate_sha256 == hashlib.sha256(certificate).digest()
    assert shown.policy_sha256 == hashlib.sha256(wallet.LAB_POLICY).digest()
    assert (shown.holders, shown.threshold, shown.retired) == (("h1", "h2", "h3"), 2, None)


def test_without_a_policy_a_lab_signs_digests_and_messages(office: Office) -> None:
    allowed = policy(wallet.LAB_POLICY).permissions
    assert allowed == {Permission.RAW, Permission.MESSAGE, Permission.MESSAGE_PREFIXED}
    made = wallet.create(NOWHERE, "in-lab", "taproot", 2, None, None)
    assert made.policy_sha256 == hashlib.sha256(wallet.LAB_POLICY).digest()


def test_without_a_policy_others_sign_nothing_that_hides_its_content() -> None:
    """architecture.md section 1: raw digests and messages are off outside of a lab."""
    allowed = policy(wallet.DEFAULT_POLICY).permissions
    assert Permission.RAW not in allowed
    assert Permission.MESSAGE not in allowed
    assert wallet._policy_file(None, Scheme.TAPROOT, in_lab=False) == wallet.DEFAULT_POLICY
    with pytest.raises(BadInput, match="wants a --policy"):
        wallet._policy_file(None, Scheme.ED25519, in_lab=False)
    assert wallet._policy_file(None, Scheme.ED25519, in_lab=True) == wallet.LAB_POLICY


def test_a_policy_that_is_none_is_refused_before_anybody_is_asked(
    office: Office, tmp_path: Path
) -> None:
    file = tmp_path / "policy"
    file.write_text("version: 1\npermissions: [everything]\n")
    with pytest.raises(BadConfig, match="everything"):
        wallet.create(NOWHERE, "w", "taproot", 2, None, file)
    file.write_bytes(b" " * (64 * 1024 + 1))
    with pytest.raises(BadInput, match="larger than"):
        wallet.create(NOWHERE, "w", "taproot", 2, None, file)
    with pytest.raises(BadInput, match="No such file"):
        wallet.create(NOWHERE, "w", "taproot", 2, None, tmp_path / "nowhere")
    assert all(link.asked == [] for link in office.links.values())


@pytest.mark.parametrize(
    ("holders", "reason"),
    [([], "nobody is named"), (["h1", "h4"], "called 'h4'"), (["h1"] * 3, "named twice")],
)
def test_who_gets_a_share_is_named_once_and_known(
    office: Office, holders: list[str], reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        wallet.create(NOWHERE, "w", "taproot", 2, holders, None)
    with pytest.raises(BadInput, match=reason):
        wallet.reshare(NOWHERE, "treasury", 2, holders)


@pytest.mark.parametrize(
    ("scheme", "reason"),
    [
        ("rsa", "scheme 'rsa': taproot or ed25519$"),
        ("ecdsa", "this version makes taproot and ed25519"),
    ],
)
def test_a_scheme_that_is_not_built_is_refused(office: Office, scheme: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        wallet.create(NOWHERE, "w", scheme, 2, None, None)


def test_a_wallet_that_is_not_active_is_listed_without_a_key(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_ready(_: str) -> None:
        raise NotReady("not yet")

    (treasury, *_) = (each for each in wallet.every(NOWHERE).wallets if each.name == "treasury")
    assert treasury.active
    assert treasury.public_key == wallet.show(NOWHERE, "treasury").public_key
    monkeypatch.setattr(office.client, "show", not_ready)
    for each in wallet.every(NOWHERE).wallets:
        assert replace(each, name="") == wallet.ListedWallet("", active=False)


def test_a_wallet_that_is_not_known_is_listed_without_a_key_until_it_is_trusted(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = office.client.create("of-two", Scheme.TAPROOT, 2, wallet.LAB_POLICY, ("h1", "h2"))
    known = listed("of-two")
    assert (known.known, known.active, known.holders) == (True, True, ("h1", "h2"))
    monkeypatch.setattr(office.client._answers, "known", KnownWallets(tmp_path / "other.wallets"))
    assert listed("of-two") == wallet.ListedWallet("of-two", active=False, known=False)
    assert listed("treasury").active
    for use in (
        partial(wallet.show, NOWHERE, "of-two"),
        partial(signing.verify, NOWHERE, "of-two", b"pay", b"", "m/0/0"),
        partial(signing.sign, NOWHERE, "of-two", b"", digest=False, signers=(), path="m/0/0"),
    ):
        with pytest.raises(NotKnown):
            use()
    with pytest.raises(BadInput, match="32 bytes"):
        wallet.trust(NOWHERE, "of-two", "ab")
    trusted = wallet.trust(NOWHERE, "of-two", made.body.hash.hex())
    assert trusted == wallet.show(NOWHERE, "of-two")
    assert listed("of-two") == known


def listed(name: str) -> wallet.ListedWallet:
    (found,) = (each for each in wallet.every(NOWHERE).wallets if each.name == name)
    return found


def test_what_a_client_knows_stands_beside_its_key(tmp_path: Path) -> None:
    text = {"version": 1, "name": "me", "key": "me.key", "roster": "r", "coordinator": "c"}
    file = tmp_path / "client.yaml"
    file.write_text("".join(f"{key}: {value}\n" for key, value in text.items()))
    known_wallets(load_client(file)).remember("treasury", Meaning("epoch", bytes(32)))
    assert (tmp_path / "me.wallets").read_text() == f"treasury epoch {'00' * 32}\n"


def test_a_signature_is_verified_under_its_path(office: Office) -> None:
    signed = signing.sign(
        NOWHERE, "treasury", b"pay", digest=False, signers=("h3", "h1"), path="m/0/3"
    )
    assert signed.signers == ("h1", "h3")
    assert signed.digest is None
    assert signing.verify(NOWHERE, "treasury", b"pay", signed.signature, "m/0/3").valid
    for path, content in (("m/0/0", b"pay"), ("m/0/3", b"pay me")):
        with pytest.raises(InvalidSignature):
            signing.verify(NOWHERE, "treasury", content, signed.signature, path)
    with pytest.raises(InvalidSignature):
        signing.verify(NOWHERE, "treasury", b"pay", b"short", "m/0/3")


@pytest.mark.parametrize("digest", [True, False])
def test_what_could_be_a_digest_is_told_as_one(office: Office, digest: bool) -> None:
    signed = signing.sign(NOWHERE, "treasury", b"d" * 32, digest=digest, signers=(), path="m/0/0")
    assert signed.digest == b"d" * 32
