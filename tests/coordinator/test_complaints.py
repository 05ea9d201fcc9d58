"""What a client is told where a holder says that another one cheated (steps 6.4.8 and 6.4.9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from hsm_mpc.agent.succession.shown import Shown
from hsm_mpc.coordinator import evidence, patience
from hsm_mpc.encoding import Reader, u16be
from hsm_mpc.errors import BackendError, BadInput, HoldersBlamed, ProtocolAbort, Refused
from hsm_mpc.ids import Scheme
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import COMPLAINT, FIRST_NEW_HOLDER, REPAIR_COMPLAINT
from tests.agent.complaining import (
    false_complaint,
    false_complaint_anew,
    false_deal,
    false_split,
)
from tests.agent.making import events, resigned
from tests.agent.simulate import LAB_POLICY
from tests.agent.test_succession import SEALED_BYTES
from tests.coordinator.office import Office, Tamper
from tests.coordinator.test_repair import lose_store

Parts = Sequence[bytes]
Honest = Callable[[Parts], tuple[bytes, ...]]


def deals_falsely(office: Office, *receivers: int) -> Tamper:
    """A dealer whose deltas for these holders are false."""

    def tamper(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if asked is not HolderMethod.DEAL:
            return answer
        return (run_shielded(lambda: false_deal(office.world, parts[0], answer[0], *receivers)),)

    return tamper


def cuts_its_dealing(office: Office) -> Tamper:
    """A dealer that signs what is no dealing."""

    def tamper(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if asked is not HolderMethod.DEAL:
            return answer
        return (resigned(office.world, answer[0], parse_envelope(answer[0]).payload[:-1]),)

    return tamper


def accuses(
    accused: Sequence[int],
    complaint: Callable[[Parts, Honest], tuple[bytes, ...]] | None = None,
    at: HolderMethod = HolderMethod.STAGE,
) -> Tamper:
    """A holder that says of sound dealers that they cheated, and may complain as it likes."""

    def tamper(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if asked is at:
            raise ProtocolAbort("they cheated", accused)
        if asked is HolderMethod.COMPLAIN and complaint is not None:
            return complaint(parts, honest)
        return honest(parts)

    return tamper


def answers(method: HolderMethod, said: Callable[[], tuple[bytes, ...]]) -> Tamper:
    """A holder that answers one question in its own way."""

    def tamper(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        return said() if asked is method else honest(parts)

    return tamper


def refused(office: Office, wallet: str = "treasury") -> HoldersBlamed:
    """What the client hears of the refresh."""
    with pytest.raises(HoldersBlamed) as blamed:
        office.client.refresh(wallet, [])
    return blamed.value


def kept(office: Office) -> list[list[str]]:
    """The names of the messages of each case."""
    cases = []
    for path in office.evidence():
        reader, messages = Reader(path.read_bytes(), "case"), list[bytes]()
        while reader.consumed < path.stat().st_size:
            messages.append(reader.lv32())
        cases.append([parse_envelope(each).kind.name for each in messages])
    return cases


def unreachable() -> tuple[bytes, ...]:
    raise BackendError("nobody answers")


def test_a_false_dealer_is_convicted_by_a_complaint(office: Office) -> None:
    """Proven, said so, kept; and nobody is excluded by it."""
    office.made()
    office.links[2].tamper = deals_falsely(office, 1)
    blamed = refused(office)
    assert blamed.names == ("h2",)
    assert "proven: h2 is convicted by the complaint of h1: h3 finds that h2 lied" in str(blamed)
    assert kept(office) == [["PROPOSE", *["CHANNEL", "DEAL"] * 3, "COMPLAINT"]]
    assert "dealer-convicted" in events(office.world.parties[3])
    office.links[2].tamper = None
    assert office.client.refresh("treasury", []).body.epoch == 1


def test_a_long_story_leaves_room_for_what_is_proven(four: Office) -> None:
    """An answer's text is cut at 2000 bytes, and holders say what they like."""

    def tells(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if asked is HolderMethod.STAGE:
            raise ProtocolAbort("h1 is convicted; " * 200, [1])
        return honest(parts)

    four.links[2].tamper = deals_falsely(four, 1)
    four.links[4].tamper = tells
    blamed = refused(four)
    assert str(blamed).startswith("proven: h2 is convicted by the complaint of h1: h3 finds")
    assert "h2" in blamed.names


def test_a_dealer_that_cheats_two_is_convicted_by_both(four: Office) -> None:
    four.links[2].tamper = deals_falsely(four, 1, 3)
    blamed = refused(four)
    assert blamed.names == ("h2",)
    for accuser, other in (("h1", "h3"), ("h3", "h1")):
        found = f"{other} finds that h2 lied, h4 finds that h2 lied"
        assert f"by the complaint of {accuser}: {found}" in str(blamed)
    assert len(kept(four)) == 2


def test_an_accuser_that_lies_is_convicted_in_place_of_the_accused(office: Office) -> None:
    office.made()

    def lie(parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        shown = Shown.of(*parts[1:])
        return (run_shielded(lambda: false_complaint(office.world, shown, 1, 2)),)

    office.links[1].tamper = accuses((2,), lie)
    blamed = refused(office)
    assert blamed.names == ("h1",)
    assert "proven: h1 is convicted, its complaint about h2 is false" in str(blamed)
    assert "accuser-convicted" in events(office.world.parties[3])
    assert kept(office)[0][-1] == "COMPLAINT"


def test_without_a_complaint_it_is_the_word_of_one(office: Office) -> None:
    """The honest signer complains of nothing that is sound."""
    office.made()
    office.links[1].tamper = accuses((2,))
    blamed = refused(office)
    assert blamed.names == ("h2",)
    assert "not proven: that h2 cheated is the word of h1 alone" in str(blamed)
    assert "is sound" in str(blamed)
    assert kept(office) == [["PROPOSE", *["CHANNEL", "DEAL"] * 3]]
    assert "convicted" not in "".join(events(office.world.parties[3]))


def test_no_holder_says_in_its_own_words_what_is_proven(
    office: Office, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither to the client nor in a line of its own in the coordinator's log."""
    office.made()
    found = "proven: h2 is convicted by the complaint of h1: h3 finds that h2 lied"
    forged = f'"; {found}\n{found}\x1b[2J'

    def tamper(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if asked is HolderMethod.STAGE:
            raise ProtocolAbort(forged, (2,))
        if asked is HolderMethod.COMPLAIN:
            raise BadInput(forged)
        return honest(parts)

    office.links[1].tamper = tamper
    said = str(refused(office))
    unquoted = "".join(said.split('"')[::2])
    assert "not proven: that h2 cheated is the word of h1 alone" in unquoted
    assert found not in unquoted
    logged = capfd.readouterr().err
    assert not [line for line in logged.splitlines() if line.startswith("proven")]
    assert "\x1b" not in logged


def test_what_a_dealer_signed_convicts_it_without_a_complaint(office: Office) -> None:
    """Step 6.4.9."""
    office.made()
    office.links[2].tamper = cuts_its_dealing(office)
    blamed = refused(office)
    assert blamed.names == ("h2",)
    assert "proven: h2 is convicted by what it signed itself" in str(blamed)
    assert [case.count("COMPLAINT") for case in kept(office)] == [0]


@pytest.mark.parametrize(
    ("third", "said"),
    [
        (unreachable, "and no other holder judges it"),
        (lambda: (b"x",), "and no other holder judges it"),
        (lambda: (b"x", b"\0"), "and no other holder judges it"),
        (lambda: (u16be(3), b"\0"), "the others do not agree: h3 finds that h3 lied"),
        (lambda: (u16be(9), b"\0"), "the others do not agree: h3 finds that holder 9 lied"),
    ],
)
def test_what_nobody_judges_is_not_proven(
    office: Office, third: Callable[[], tuple[bytes, ...]], said: str
) -> None:
    """The complaint is kept: whoever has the messages may judge it later."""
    office.made()
    office.links[2].tamper = deals_falsely(office, 1)
    office.links[3].tamper = answers(HolderMethod.JUDGE, third)
    blamed = refused(office)
    assert blamed.names == ("h2",)
    assert "not proven: that h2 cheated, h1 shows" in str(blamed)
    assert said in str(blamed)
    assert kept(office)[0][-1] == "COMPLAINT"


def test_judges_that_disagree_convict_nobody(four: Office) -> None:
    four.links[2].tamper = deals_falsely(four, 1)
    four.links[4].tamper = answers(HolderMethod.JUDGE, lambda: (u16be(1), b"\0"))
    blamed = refused(four)
    assert "the others do not agree: h3 finds that h2 lied, h4 finds that h1 lied" in str(blamed)


def test_operators_are_told_of_each_accusation_of_an_attempt(
    four: Office, capfd: pytest.CaptureFixture[str]
) -> None:
    """The messages are the same: a word that nothing proves hides nobody's conviction."""
    four.links[1].tamper = accuses((2,))
    four.links[3].tamper = cuts_its_dealing(four)
    blamed = refused(four)
    said = capfd.readouterr().err
    for found in (
        "not proven: that h2 cheated is the word of h1 alone",
        "proven: h3 is convicted by what it signed itself",
    ):
        assert found in str(blamed)
        assert found in said
    assert len(kept(four)) == 1


def test_where_no_case_is_kept_any_more_all_goes_on(
    office: Office, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client and the log are told all the same."""
    monkeypatch.setattr(evidence, "MOST_CASES", 0)
    office.made()
    (office.folder / "evidence").mkdir()
    office.links[2].tamper = deals_falsely(office, 1)
    found = "proven: h2 is convicted by the complaint of h1"
    assert found in str(refused(office))
    said = capfd.readouterr().err
    assert found in said
    assert "evidence is lost" in said
    assert kept(office) == []
    office.links[2].tamper = None
    assert office.client.refresh("treasury", []).body.epoch == 1


def test_who_does_not_answer_is_not_asked_about_others(four: Office) -> None:
    """Each answer that is waited for holds up the next attempt."""
    silent = answers(HolderMethod.JUDGE, unreachable)
    four.links[1].tamper = accuses((2, 3, 4), lambda *_: unreachable())
    refused(four)
    assert four.links[1].asked.count(HolderMethod.COMPLAIN) == 1
    four.world.now[0] += 1
    four.links[1].tamper = None
    four.links[2].tamper, four.links[4].tamper = deals_falsely(four, 1, 3), silent
    asked = four.links[4].asked.count(HolderMethod.JUDGE)
    assert "by the complaint of h3: h1 finds that h2 lied" in str(refused(four))
    assert four.links[4].asked.count(HolderMethod.JUDGE) == asked + 1


def test_who_answers_just_in_time_holds_an_attempt_up_once(
    four: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not once for each whom it accuses: all its answers together have one round's seconds."""
    clock = [0.0]
    monkeypatch.setattr(patience, "monotonic", lambda: clock[0])

    def just_in_time(*_: object) -> tuple[bytes, ...]:
        clock[0] += 0.9 * four.holders.seconds
        raise Refused("proof-enough", "it proves itself")

    four.links[1].tamper = accuses((2, 3, 4), just_in_time)
    blamed = refused(four)
    assert four.links[1].asked.count(HolderMethod.COMPLAIN) == 2
    assert 'that h4 cheated is the word of h1 alone: "it was too slow before' in str(blamed)


def test_who_accuses_many_uses_up_no_judge_before_the_others_are_heard(four: Office) -> None:
    """A judge that has time for two hears the first accusation of each."""
    judge = four.links[4]

    def for_two(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if judge.asked.count(HolderMethod.JUDGE) > 2:
            return unreachable()
        return honest(parts)

    def proof_enough(*_: object) -> tuple[bytes, ...]:
        raise Refused("proof-enough", "it proves itself")

    four.links[1].tamper = accuses((2, 3), proof_enough)
    four.links[2].tamper = deals_falsely(four, 3)
    judge.tamper = for_two
    found = "h1 finds that h2 lied, h4 finds that h2 lied"
    assert f"proven: h2 is convicted by the complaint of h3: {found}" in str(refused(four))


@pytest.mark.parametrize("accused", [3, 4])
def test_who_has_not_dealt_is_not_looked_at(four: Office, accused: int) -> None:
    """Of a resharing of 2-of-4 two deal: nobody is asked about the others, nor are they named."""
    four.links[1].tamper = accuses([accused], at=HolderMethod.RECEIVE)
    blamed = unshared(four)
    assert f"h1 accuses h{accused}, who has dealt nothing, which cannot be" in str(blamed)
    assert blamed.names == ()
    for link in four.links.values():
        assert not {HolderMethod.COMPLAIN, HolderMethod.JUDGE} & {*link.asked}


def test_who_helps_in_no_repair_is_not_looked_at(four: Office) -> None:
    lose_store(four, 4)
    four.links[1].tamper = accuses([3], at=HolderMethod.COLLECT)
    blamed = unrepaired(four)
    assert "h1 accuses h3, who has dealt nothing, which cannot be" in str(blamed)
    assert blamed.names == ()
    assert HolderMethod.COMPLAIN not in four.links[1].asked


def test_the_word_of_a_convicted_accuser_counts_for_nothing(four: Office) -> None:
    def lie(parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if parts[0] != u16be(2):
            return unreachable()
        shown = Shown.of(*parts[1:])
        return (run_shielded(lambda: false_complaint(four.world, shown, 1, 2)),)

    four.links[1].tamper = accuses((2, 3), lie)
    blamed = refused(four)
    assert blamed.names == ("h1",)
    assert "that h3 cheated is the word of h1 alone" in str(blamed)


def test_no_judge_alone_convicts_whom_the_others_do_not(four: Office) -> None:
    """Accuser and judge lie together: of what proves itself, and of another holder's complaint."""

    def proof_enough(parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        raise Refused("proof-enough", "it proves itself")

    def unsigned(parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        shown = Shown.of(*parts[1:])
        said = run_shielded(lambda: false_complaint(four.world, shown, 1, 2))
        return (said[:-1] + bytes([said[-1] ^ 1]),)

    def malformed(parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        shown = Shown.of(*parts[1:])
        address = parse_envelope(shown.deals[0]).address
        acting = four.world.parties[1].acting
        return (run_shielded(partial(acting.signed_by_identity, REPAIR_COMPLAINT, address, b"")),)

    four.links[4].tamper = answers(HolderMethod.JUDGE, lambda: (u16be(2), b"\1"))
    for lie in (proof_enough, unsigned, malformed):
        four.links[1].tamper = accuses((2,), lie)
        said = "h3 finds that nobody lied, h4 finds that h2 lied"
        assert f"the others do not agree: {said}" in str(refused(four))
        four.world.now[0] += 1


def test_judges_are_enough_only_if_one_of_them_must_be_honest(four: Office) -> None:
    """Of 3-of-4 two may lie together: the dealer and one judge, where the other one is away."""
    four.made("vault", t=3)
    four.links[2].tamper = deals_falsely(four, 1)
    four.links[3].tamper = answers(HolderMethod.JUDGE, lambda: (u16be(1), b"\0"))
    four.links[4].tamper = answers(HolderMethod.JUDGE, unreachable)
    blamed = refused(four, "vault")
    assert blamed.names == ("h2",)
    said = "not proven: that h2 cheated, h1 shows, and 2 judges are wanted: h3 finds that h1 lied"
    assert said in str(blamed)
    four.world.now[0] += 1
    four.links[3].tamper = four.links[4].tamper = None
    found = "h3 finds that h2 lied, h4 finds that h2 lied"
    assert f"proven: h2 is convicted by the complaint of h1: {found}" in str(refused(four, "vault"))


def test_an_accuser_answers_with_a_complaint_of_its_own(office: Office) -> None:
    office.made()

    def of_another(parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        shown = Shown.of(*parts[1:])
        return (run_shielded(lambda: false_complaint(office.world, shown, 3, 2)),)

    def of_another_kind(parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        return (Shown.of(*parts[1:]).deals[0],)

    lies: list[Callable[[Parts, Honest], tuple[bytes, ...]]] = [
        of_another,
        of_another_kind,
        lambda *_: (),
        lambda *_: (b"garbage",),
    ]
    for lie in lies:
        office.links[1].tamper = accuses((2,), lie)
        blamed = refused(office)
        assert "the word of h1 alone" in str(blamed)
        office.world.now[0] += 1


@pytest.mark.parametrize("accused", [1, 9])
def test_who_accuses_nobody_else_proves_nothing(office: Office, accused: int) -> None:
    office.made()
    office.links[1].tamper = accuses([accused])
    assert "which cannot be" in str(refused(office))
    assert HolderMethod.COMPLAIN not in office.links[1].asked


def test_complain_and_judge_take_what_they_are_called_with(office: Office) -> None:
    office.made()
    for method in (HolderMethod.COMPLAIN, HolderMethod.JUDGE):
        for parts in ((), (b"\0\2", b"", b"", b""), (b"\0", b"", b"", b"")):
            with pytest.raises(BadInput):
                office.holders.ask(1, method, parts)
    assert COMPLAINT.cap < 1 << 10


# In a repair


def unrepaired(office: Office) -> HoldersBlamed:
    """What the client hears of the repair of the share of h4."""
    with pytest.raises(HoldersBlamed) as blamed:
        office.client.repair("treasury", 4)
    return blamed.value


def test_a_helper_that_seals_a_false_delta_is_convicted(four: Office) -> None:
    lose_store(four, 4)

    def tamper(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if asked is not HolderMethod.SPLIT:
            return answer
        order, *dones = parts
        return (run_shielded(lambda: false_split(four.world, order, dones, answer[0], 1)),)

    four.links[2].tamper = tamper
    blamed = unrepaired(four)
    assert blamed.names == ("h2",)
    said = "by the complaint of h1: h3 finds that h2 lied, h4 finds that h2 lied"
    assert f"proven: h2 is convicted {said}" in str(blamed)
    assert kept(four) == [["ORDER-REPAIR", *["DONE"] * 3, "R1", "R1", "COMPLAINT"]]


def test_a_helper_that_seals_a_false_sum_is_convicted_and_others_repair(four: Office) -> None:
    """Nobody is excluded: others are the next helpers, as after any repair that failed."""
    lose_store(four, 4)

    def tamper(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if asked is not HolderMethod.COLLECT:
            return answer
        payload = parse_envelope(answer[0]).payload
        lie = payload[:-1] + bytes([payload[-1] ^ 1])
        return (resigned(four.world, answer[0], lie),)

    four.links[2].tamper = tamper
    blamed = unrepaired(four)
    assert blamed.names == ("h2",)
    said = "by the complaint of h4: h1 finds that h2 lied, h3 finds that h2 lied"
    assert f"proven: h2 is convicted {said}" in str(blamed)
    messages = ["ORDER-REPAIR", *["DONE"] * 3, "R1", "R1", "R2", "R2", "COMPLAINT"]
    assert kept(four) == [messages]
    four.links[2].tamper = None
    assert four.client.repair("treasury", 4).body.epoch == 1


def test_a_helper_whose_word_is_all_that_there_is(four: Office) -> None:
    lose_store(four, 4)
    four.links[1].tamper = accuses([2], at=HolderMethod.COLLECT)
    assert "that h2 cheated is the word of h1 alone" in str(unrepaired(four))


# In a resharing


def deals_another_byte(office: Office, place: int) -> Tamper:
    """A dealer that signs a dealing in which one byte is another, `place` from its end."""

    def tamper(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if asked is not HolderMethod.DEAL:
            return answer
        payload = bytearray(parse_envelope(answer[0]).payload)
        payload[-place] ^= 1
        return (resigned(office.world, answer[0], bytes(payload)),)

    return tamper


def unshared(office: Office) -> HoldersBlamed:
    """What the client hears of a resharing of 2-of-4 to three of the four."""
    with pytest.raises(HoldersBlamed) as blamed:
        office.client.reshare("treasury", 2, ["h1", "h2", "h3"])
    return blamed.value


def test_what_all_see_of_a_dealing_is_judged_in_a_resharing(four: Office) -> None:
    """Step 6.8.3: by the word of the first new holder; the others need not be heard for that."""
    four.links[2].tamper = deals_another_byte(four, 3 * SEALED_BYTES + 33 + 1)
    blamed = unshared(four)
    assert blamed.names == ("h2",)
    said = "proven: h2 is convicted by what it signed itself: h3 finds that h2 lied, h4 finds"
    assert str(blamed).count("proven:") == 1
    assert said in str(blamed)
    assert kept(four) == [["PROPOSE", *["CHANNEL", "DEAL"] * 2]]
    four.links[2].tamper = None
    assert four.client.reshare("treasury", 2, ["h1", "h2", "h3"]).body.epoch == 1


def test_what_is_sealed_for_a_new_holder_convicts_by_its_complaint(four: Office) -> None:
    four.links[2].tamper = deals_another_byte(four, SEALED_BYTES - 8)
    blamed = unshared(four)
    assert blamed.names == ("h2",)
    said = "proven: h2 is convicted by the complaint of h3: h1 finds that h2 lied, h4 finds that"
    assert said in str(blamed)
    assert kept(four) == [["PROPOSE", *["CHANNEL", "DEAL"] * 2, "COMPLAINT"]]
    four.links[4].tamper = answers(HolderMethod.JUDGE, lambda: (u16be(FIRST_NEW_HOLDER + 3), b"\0"))
    disagreed = "the others do not agree: h1 finds that h2 lied, h4 finds that h3 lied"
    assert disagreed in str(unshared(four))
    four.links[2].tamper = four.links[4].tamper = None
    assert four.client.reshare("treasury", 2, ["h1", "h2", "h3"]).body.epoch == 1


def test_a_new_holder_that_lies_is_convicted_in_place_of_the_dealer(four: Office) -> None:
    """It counts in another roster, and is named as any other; and nobody beside it."""

    def lie(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if asked is HolderMethod.RECEIVE:
            raise ProtocolAbort("they cheated", [2])
        if asked is not HolderMethod.COMPLAIN:
            return honest(parts)
        shown = Shown.of(*parts[1:])
        return (run_shielded(lambda: false_complaint_anew(four.world, four.world, shown, 3, 2)),)

    four.links[3].tamper = lie
    blamed = unshared(four)
    assert blamed.names == ("h3",)
    said = "proven: h3 is convicted, its complaint about h2 is false: h1 finds that h3 lied, h4"
    assert said in str(blamed)
    assert "accuser-convicted" in events(four.world.parties[4])


def test_of_the_judges_of_a_stranger_one_more_must_be_honest(four: Office) -> None:
    """New holders may be anybody: beside one that accuses, one of 2-of-3 old ones may lie."""
    four.client.create("vault", Scheme.TAPROOT, 2, LAB_POLICY, ("h1", "h2", "h3"))

    def accusing(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if asked is HolderMethod.RECEIVE:
            raise ProtocolAbort("it cheated", (2,))
        if asked is HolderMethod.COMPLAIN:
            raise Refused("proof-enough", "it proves itself")
        return honest(parts)

    four.links[4].tamper = accusing
    four.links[1].tamper = answers(HolderMethod.JUDGE, lambda: (u16be(2), b"\1"))
    four.links[3].tamper = answers(HolderMethod.JUDGE, unreachable)
    with pytest.raises(HoldersBlamed) as blamed:
        four.client.reshare("vault", 2, ["h1", "h2", "h4"])
    said = "not proven: that h2 cheated, h4 shows, and 2 judges are wanted: h1 finds that h2 lied"
    assert said in str(blamed.value)


@pytest.mark.parametrize(("named", "said"), [([], "they cheated"), ([9], "which cannot be")])
def test_a_new_holder_that_names_nobody_has_nobody_judged(
    four: Office, named: Sequence[int], said: str
) -> None:
    def tamper(asked: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if asked is HolderMethod.RECEIVE:
            raise ProtocolAbort("they cheated", named)
        return honest(parts)

    four.links[3].tamper = tamper
    assert said in str(unshared(four))
    assert all(HolderMethod.JUDGE not in link.asked for link in four.links.values())
