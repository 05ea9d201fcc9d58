"""A wallet of some of the pinned holders is believed only where a client knows it (step 5.4.1)."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hsm_mpc.client.known import KnownWallets, Meaning, NotKnown
from hsm_mpc.client.ordering import AskedOrder
from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.client.wallets import WalletClient
from hsm_mpc.errors import BackendError, NameTaken, NotReady, Refused, Tampered
from hsm_mpc.ids import EpochHash, Scheme
from hsm_mpc.wire.calls import CoordinatorMethod, HolderMethod
from tests.agent.simulate import LAB_POLICY
from tests.coordinator.office import Office, Parts, Tamper

ONE, OTHER = Meaning("epoch", b"1" * 32), Meaning("epoch", b"2" * 32)
TWO_OF_THEM = ("h1", "h2")


def some(office: Office) -> VerifiedWallet:
    """A wallet of two of the three holders."""
    return office.client.create("treasury", Scheme.TAPROOT, 2, LAB_POLICY, TWO_OF_THEM)


def silent_at(method: HolderMethod) -> Tamper:
    def tamper(
        asked: HolderMethod, parts: Parts, honest: Callable[[Parts], tuple[bytes, ...]]
    ) -> tuple[bytes, ...]:
        if asked is method:
            raise BackendError("nobody answers")
        return honest(parts)

    return tamper


def second_client(office: Office) -> WalletClient:
    """The same key at another desk."""
    world = office.world
    return WalletClient(
        office.coordinator,
        world.roster,
        "me",
        world.client.public,
        world.client.sign,
        world.clock,
        KnownWallets(office.folder / "second.wallets"),
    )


# The file


def test_what_is_remembered_is_there_for_the_next_process(tmp_path: Path) -> None:
    file = tmp_path / "client.wallets"
    assert KnownWallets(file).meaning("treasury") is None
    KnownWallets(file).remember("treasury", ONE)
    KnownWallets(file).remember("savings", OTHER)
    assert KnownWallets(file).meaning("treasury") == ONE
    assert file.read_text() == f"savings epoch {'32' * 32}\ntreasury epoch {'31' * 32}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    KnownWallets(file).remember("treasury", OTHER)
    assert KnownWallets(file).meaning("treasury") == OTHER


def test_nothing_is_written_twice(tmp_path: Path) -> None:
    file = tmp_path / "client.wallets"
    KnownWallets(file).remember("treasury", ONE)
    before = file.stat().st_ino
    KnownWallets(file).remember("treasury", ONE)
    assert file.stat().st_ino == before


def test_several_at_once_lose_nothing(tmp_path: Path) -> None:
    file, names = tmp_path / "client.wallets", [f"w{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: KnownWallets(file).remember(name, ONE), names))
    assert [name for name in names if KnownWallets(file).meaning(name) != ONE] == []


@pytest.mark.parametrize(
    "content",
    [
        b"treasury",
        b"treasury " + b"1" * 64,
        b"treasury epoch " + b"1" * 63,
        b"treasury epoch " + b"1" * 65,
        b"treasury epoch  " + b"1" * 64,
        b"treasury epoch " + b"A" * 64,
        b"treasury number " + b"1" * 64,
        b"Treasury epoch " + b"1" * 64,
        b"\xfftreasury epoch " + b"1" * 64,
        b"\n",
        (b"treasury epoch " + b"1" * 64 + b"\n") * 2,
        b"savings epoch " + b"1" * 64 + b"\ntreasury epoch " + b"1" * 10,
    ],
)
def test_a_damaged_file_is_said_to_be(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "client.wallets"
    file.write_bytes(content)
    with pytest.raises(Tampered, match=r"client.wallets is damaged: .*mend"):
        KnownWallets(file).meaning("other")
    with pytest.raises(Tampered, match=r"client.wallets is damaged: .*mend"):
        KnownWallets(file).remember("other", ONE)
    assert file.read_bytes() == content


def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "client.wallets"
    KnownWallets(file).remember("treasury", ONE)
    file.chmod(0o620)
    with pytest.raises(Tampered, match="chmod 600"):
        KnownWallets(file).meaning("treasury")


def test_what_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(BackendError, match="not a regular file"):
        KnownWallets(tmp_path / "folder").meaning("treasury")
    with pytest.raises(BackendError, match="No such file"):
        KnownWallets(tmp_path / "none" / "client.wallets").remember("treasury", ONE)


# Who knows a wallet


def test_a_wallet_of_all_holders_needs_nothing(office: Office) -> None:
    file = office.folder / "client.wallets"
    office.made()
    assert not file.exists()
    file.write_bytes(b"not even a file that parses")
    assert office.client.show("treasury")
    assert second_client(office).refresh("treasury", []).body.epoch == 1


def test_whoever_made_a_wallet_knows_it(office: Office) -> None:
    made = some(office)
    first = Meaning("epoch", made.certificate.body.hash)
    assert KnownWallets(office.folder / "client.wallets").meaning("treasury") == first
    assert office.client.show("treasury") == made
    assert office.signed(made, signers=(1, 2)).signers == (1, 2)
    assert office.client.refresh("treasury", []).body.epoch == 1
    assert office.client.known.meaning("treasury") == first


def lost(method: int, _parts: object, honest: Callable[[], tuple[bytes, ...]]) -> tuple[bytes, ...]:
    """The coordinator does it, and its answer never comes."""
    honest()
    raise BackendError("the link broke")


def test_whoever_asked_for_it_knows_it_though_the_answer_is_lost(office: Office) -> None:
    office.coordinator.lie = lost
    with pytest.raises(BackendError):
        some(office)
    office.coordinator.lie = None
    client = second_client(office)
    with pytest.raises(NotKnown):
        client.show("treasury")
    shown = office.client.show("treasury")
    expected = Meaning("epoch", shown.certificate.body.hash)
    assert office.client.known.meaning("treasury") == expected


def test_a_wallet_that_was_certified_first_and_active_later_is_known(office: Office) -> None:
    """Exit 7 of `create`, then `show`."""
    office.links[2].tamper = silent_at(HolderMethod.CERTIFY)
    with pytest.raises(NotReady, match="certified, not active"):
        some(office)
    office.links[2].tamper = None
    shown = office.client.show("treasury")
    assert office.client.show("treasury") == shown


def test_a_wallet_for_which_consents_were_missing_is_known(office: Office) -> None:
    """Exit 7 of `create`, then the same again."""

    def waits(_method: int, _parts: object, _honest: object) -> tuple[bytes, ...]:
        raise NotReady("h1 has not consented", ["h1"])

    office.coordinator.lie = waits
    with pytest.raises(NotReady):
        some(office)
    office.coordinator.lie = None
    made = some(office)
    assert office.client.show("treasury") == made


def asks_in_vain(client: WalletClient, office: Office, holders: Sequence[str]) -> None:
    def unreachable(_method: int, _parts: object, _honest: object) -> tuple[bytes, ...]:
        raise BackendError("the link broke")

    office.coordinator.lie = unreachable
    with pytest.raises(BackendError):
        client.create("treasury", Scheme.TAPROOT, 2, LAB_POLICY, holders)
    office.coordinator.lie = None


def test_other_holders_than_were_asked_are_not_believed(office: Office) -> None:
    """A name means those who were asked the last time, as long as none of them is shown."""
    some(office)
    client = second_client(office)
    for holders in (("h1", "h3"), ("h2", "h3")):
        asks_in_vain(client, office, holders)
        roster = Meaning("roster", client.roster.among(holders).hash)
        assert client.known.meaning("treasury") == roster
        with pytest.raises(NotKnown, match="another one"):
            client.show("treasury")


def test_a_name_that_was_taken_means_what_it_did(office: Office) -> None:
    """Nothing, or whom its client has asked before: the same is asked again after a lost answer."""
    some(office)
    client = second_client(office)
    with pytest.raises(NameTaken):
        client.create("treasury", Scheme.TAPROOT, 2, LAB_POLICY, ("h1", "h3"))
    assert client.known.meaning("treasury") is None
    asks_in_vain(client, office, TWO_OF_THEM)
    with pytest.raises(NameTaken):
        client.create("treasury", Scheme.TAPROOT, 2, LAB_POLICY, TWO_OF_THEM)
    assert client.show("treasury") == office.client.show("treasury")
    known = client.known.meaning("treasury")
    with pytest.raises(NameTaken):
        client.create("treasury", Scheme.TAPROOT, 2, LAB_POLICY)
    assert client.known.meaning("treasury") == known


def test_what_was_not_asked_for_is_not_known_by_being_made(office: Office) -> None:
    some(office)
    parts = office.coordinator.call(CoordinatorMethod.SHOW, [b"treasury"], 1)
    office.coordinator.lie = lambda _, __, ___: parts
    client = second_client(office)
    with pytest.raises(Tampered, match="not of the wallet"):
        client.create("treasury", Scheme.TAPROOT, 2, b"version: 1\n", TWO_OF_THEM)
    meant = client.known.meaning("treasury")
    assert meant is not None
    assert meant.by == "roster"


def test_nothing_is_asked_for_that_cannot_be_remembered(office: Office) -> None:
    (office.folder / "client.wallets").write_bytes(b"damaged")
    office.coordinator.lie = lambda _, __, ___: pytest.fail("asked")
    with pytest.raises(Tampered, match="damaged"):
        some(office)


def shows(client: WalletClient) -> object:
    return client.show("treasury")


def plans_an_order(client: WalletClient) -> object:
    return client.plan_order("treasury", AskedOrder(EpochHash(OTHER.hash), (2,), "h2 burnt", True))


USES: dict[str, Callable[[WalletClient], object]] = {
    "show": shows,
    "refresh": lambda client: client.refresh("treasury", []),
    "reshare": lambda client: client.reshare("treasury", 2, ("h1", "h3")),
    "repair": lambda client: client.repair("treasury", 2),
    "order": plans_an_order,
    "destroy": lambda client: client.destroy("treasury", "no more"),
}


@pytest.mark.parametrize("known", [None, OTHER], ids=["not known", "known under another id"])
def test_nothing_is_done_with_a_wallet_that_is_not_known(
    office: Office, known: Meaning | None
) -> None:
    made = some(office)
    client = second_client(office)
    if known is not None:
        client.known.remember("treasury", known)
    asked = list[int]()

    def listening(
        method: int, _: object, honest: Callable[[], tuple[bytes, ...]]
    ) -> tuple[bytes, ...]:
        asked.append(method)
        return honest()

    office.coordinator.lie = listening
    for name, use in USES.items():
        with pytest.raises(NotKnown) as refused:
            use(client)
        assert (name, refused.value.rule, refused.value.exit_code) == (name, "wallet-not-known", 3)
    assert set(asked) == {CoordinatorMethod.SHOW}
    office.coordinator.lie = None
    assert office.client.show("treasury") == made


def test_the_end_of_a_wallet_that_is_not_known_is_not_believed(office: Office) -> None:
    """It is shown by a coordinator that has told of no such wallet before."""
    some(office)
    end = office.client.destroy("treasury", "no more")
    assert end.is_final
    parts = office.coordinator.call(CoordinatorMethod.SHOW, [b"treasury"], 1)

    def not_before(method: int, _: object, __: object) -> tuple[bytes, ...]:
        if method == CoordinatorMethod.SHOW:
            raise NotReady("not yet")
        return parts

    office.coordinator.lie = not_before
    with pytest.raises(NotKnown):
        second_client(office).destroy("treasury", "no more")
    assert office.client.destroy("treasury", "no more") == end


def test_the_refusal_says_who_made_it_and_what_to_compare(office: Office) -> None:
    made = some(office)
    client = second_client(office)
    with pytest.raises(NotKnown) as refused:
        client.show("treasury")
    said = str(refused.value)
    wallet_id = made.certificate.body.terms.wallet_id.hex()
    assert f"the wallet treasury that is shown (id {wallet_id}) was made by h1, h2 without" in said
    assert "this client does not know it by that name" in said
    assert "`hsm-mpc share inspect treasury`" in said
    assert "`hsm-mpc wallet trust treasury --epoch-hash HEX`" in said
    client.known.remember("treasury", OTHER)
    with pytest.raises(NotKnown, match="this client knows another one by that name"):
        client.show("treasury")


def test_a_known_name_is_not_made_anew(office: Office) -> None:
    """Not by asking for it again either, whoever lies."""
    office.client.known.remember("treasury", OTHER)
    with pytest.raises(NotKnown, match="another one"):
        some(office)
    assert office.client.known.meaning("treasury") == OTHER


# Trust


def test_what_its_user_has_compared_is_known(office: Office) -> None:
    """By the hash that a holder has for the epoch of its share; said twice it is the same."""
    made = some(office)
    client = second_client(office)
    for _ in range(2):
        assert client.trust("treasury", made.body.hash) == made
        assert client.show("treasury") == made
    assert client.known.meaning("treasury") == Meaning("epoch", made.certificate.body.hash)


def test_a_wallet_is_trusted_by_its_newest_epoch_or_its_first(office: Office) -> None:
    first = some(office).body.hash
    newest = office.client.refresh("treasury", []).body.hash
    held = office.world.parties[1].acting.registers.read(
        office.client.show("treasury").body.terms.wallet_id
    )
    assert held is not None
    assert held.epoch_hash == newest
    for number, each in enumerate((first, newest)):
        client = second_client(office)
        (office.folder / "second.wallets").unlink(missing_ok=True)
        assert client.trust("treasury", each).body.epoch == 1, number
        assert client.known.meaning("treasury") == Meaning("epoch", first)


def test_what_no_holder_has_said_is_not_trusted(office: Office) -> None:
    wallet_id = some(office).certificate.body.terms.wallet_id
    client = second_client(office)
    for wrong in (EpochHash(OTHER.hash), EpochHash(bytes(32)), EpochHash(wallet_id)):
        with pytest.raises(Refused, match="has no such epoch") as refused:
            client.trust("treasury", wrong)
        assert refused.value.rule == "other-epoch"
    assert client.known.meaning("treasury") is None


def test_what_only_its_makers_say_of_epochs_before_is_not_trusted(office: Office) -> None:
    some(office)
    between = office.client.refresh("treasury", []).body.hash
    office.client.refresh("treasury", [])
    with pytest.raises(Refused, match="has no such epoch"):
        second_client(office).trust("treasury", between)


def test_another_wallet_is_not_trusted_under_the_name(office: Office) -> None:
    made = some(office)
    parts = office.coordinator.call(CoordinatorMethod.SHOW, [b"treasury"], 1)
    office.coordinator.lie = lambda _, __, ___: parts
    client = second_client(office)
    with pytest.raises(Tampered, match="another wallet's"):
        client.trust("savings", made.body.hash)
    assert client.known.meaning("savings") is None


def test_a_wallet_of_all_is_known_before_the_roster_grows(office: Office) -> None:
    made = office.made()
    office.client.trust("treasury", made.body.hash)
    assert office.client.known.meaning("treasury") == Meaning("epoch", made.certificate.body.hash)
