"""A repair, byte for byte as a reference makes it from docs/protocols alone (section 8.3), and the
published sums of the ZF FROST crates (step 4.8.4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from hsm_mpc.protocols import repair
from hsm_mpc.protocols.repair_checks import Splits, verify
from hsm_mpc.protocols.repair_complaint import (
    accuse_of_delta,
    accuse_of_sum,
    judge_delta,
    judge_sum,
)
from hsm_mpc.protocols.repair_messages import RepairSetup, Split, Summed
from hsm_mpc.protocols.rounds import advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.protocols.suite_ed25519 import CocktailEd25519
from hsm_mpc.protocols.suite_secp256k1 import CocktailSecp256k1
from hsm_mpc.secure.arena import Arena, Secret, Take, publish
from hsm_mpc.secure.xaes import Xaes256Gcm
from tests.protocols.keygen import decoded, encoded, scripted
from tests.protocols.refreshing import epoch_of, random_epoch
from tests.protocols.repair_vectors import CASES, FILE, made
from tests.protocols.repairing import opened, repairing
from tests.secure.bytes_of import filled


def name_of(suite: Suite) -> str:
    return "ed25519" if b"Ed25519" in suite.suite_id else "secp256k1"


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-of-{case[1]}")
def vector(request: pytest.FixtureRequest, any_suite: Suite) -> dict[str, Any]:
    t, n, *_ = request.param
    wanted = (name_of(any_suite), t, n)
    cases = json.loads(FILE.read_text("ascii"))
    (found,) = [case for case in cases if (case["suite"], case["t"], case["n"]) == wanted]
    chosen: dict[str, Any] = found
    return chosen


def parsed(encoded: list[str]) -> list[bytes]:
    return [bytes.fromhex(each) for each in encoded]


def setup_of(suite: Suite, vector: dict[str, Any]) -> RepairSetup:
    secrets = [decoded(suite, each) for each in parsed(vector["delivery_secrets"])]
    keys = [suite.group.base_multiple(v) or b"" for v in secrets]
    session, points = bytes.fromhex(vector["session"]), parsed(vector["commitments"])
    return RepairSetup.of(suite, session, vector["lost"], vector["helpers"], keys, points)


def secret(take: Take, vector: dict[str, Any], name: str, index: int) -> Secret:
    return filled(take(32), bytes.fromhex(vector[name][index - 1]))


def splits_of(suite: Suite, vector: dict[str, Any]) -> Splits:
    messages = [bytes.fromhex(each["message"]) for each in vector["splits"]]
    return verify(setup_of(suite, vector), dict(zip(vector["helpers"], messages, strict=True)))


def test_the_file_of_repairs_is_what_its_reference_makes() -> None:
    assert made() == FILE.read_text("ascii")


def test_every_message_of_a_repair_and_the_share(
    any_suite: Suite, take: Take, vector: dict[str, Any]
) -> None:
    """Steps 6.7.2 to 6.7.5."""
    setup, keeps, messages, sums = setup_of(any_suite, vector), {}, {}, {}
    for helper, drawn in zip(vector["helpers"], vector["splits"], strict=True):
        scalars = parsed([*drawn["deltas"], drawn["ephemeral_secret"]])
        draws = scripted(any_suite, *(decoded(any_suite, each) for each in scalars))
        own = [secret(take, vector, name, helper) for name in ("delivery_secrets", "shares")]
        keeps[helper], outbox = repair.split(setup, helper, own[0], own[1], draws)
        assert outbox.to_all.hex() == drawn["message"]
        messages[helper] = outbox.to_all
    for helper, drawn in zip(vector["helpers"], vector["sums"], strict=True):
        ephemeral = decoded(any_suite, bytes.fromhex(drawn["ephemeral_secret"]))
        delivery = secret(take, vector, "delivery_secrets", helper)
        draws = scripted(any_suite, ephemeral)
        summed = advance(repair.collect, keeps[helper], delivery, messages, draws)
        assert summed.to_bytes().hex() == drawn["message"]
        sums[helper] = summed.to_bytes()
    delivery = secret(take, vector, "delivery_secrets", vector["lost"])
    share = repair.recover(verify(setup, messages), delivery, sums)
    assert publish(share).hex() == vector["shares"][vector["lost"] - 1]
    share.release()


def test_every_complaint_of_a_repair(
    any_suite: Suite, take: Take, protocol_arena: Arena, vector: dict[str, Any]
) -> None:
    """Steps 6.7.4 to 6.7.6."""
    setup, splits = setup_of(any_suite, vector), splits_of(any_suite, vector)
    liar = vector["helpers"][0]
    for kind in ("complaint_of_a_delta", "complaint_of_a_sum"):
        wanted = vector[kind]
        false = bytes.fromhex(wanted["false_message"])
        draws = scripted(any_suite, decoded(any_suite, bytes.fromhex(wanted["nonce"])))
        accuser = wanted["accuser"]
        delivery = secret(take, vector, "delivery_secrets", accuser)
        if kind == "complaint_of_a_delta":
            split = Split.from_bytes(false, setup)
            complaint = accuse_of_delta(setup, accuser, delivery, liar, split, draws)
            guilty = judge_delta(setup, accuser, complaint, split, protocol_arena)
        else:
            summed = Summed.from_bytes(false, setup)
            complaint = accuse_of_sum(splits, delivery, liar, summed, draws)
            guilty = judge_sum(splits, complaint, summed, protocol_arena)
        assert complaint.to_bytes().hex() == wanted["complaint"]
        assert guilty == liar


# --- ZF FROST -------------------------------------------------------------------------------------

SECP256K1: Final = CocktailSecp256k1(Xaes256Gcm())
PUBLISHED: Final[dict[str, Suite]] = {
    "frost-ed25519": CocktailEd25519(),
    "frost-secp256k1": SECP256K1,
    "frost-secp256k1-tr": SECP256K1,
}


def published(vectors: Path, folder: str, what: str) -> tuple[list[int], int]:
    """The scalars in their order, and their sum."""
    suite = PUBLISHED[folder]
    text = (vectors / "zf-frost" / folder / "repair-share.json").read_text("utf-8")
    values = json.loads(text)[what]
    read = {name: decoded(suite, bytes.fromhex(value)) for name, value in values.items()}
    (total,) = [read.pop(name) for name in list(read) if name.endswith("_sum")]
    return list(read.values()), total


@pytest.mark.parametrize("folder", PUBLISHED)
def test_a_helper_adds_deltas_up_as_published(take: Take, vectors: Path, folder: str) -> None:
    """Steps 4.8.4 and 6.7.5: the deltas for helper 3 are the published ones."""
    suite = PUBLISHED[folder]
    deltas, total = published(vectors, folder, "scalar_generation")
    at_work = repairing(random_epoch(suite, 3, 4), take, 4, (1, 2, 3))
    for helper, delta in enumerate(deltas, 1):
        row = [5, at_work.owed(helper) - 5 - delta, delta]
        at_work.messages[helper] = at_work.reference.split(helper, row, 70 + helper)
    delivery = at_work.delivery(3)
    at_work.keeps[3] = repair.resume(at_work.setup, 3, delivery, at_work.messages[3])
    assert at_work.opened_sum(3, at_work.collect(3)) == total


@pytest.mark.parametrize("folder", PUBLISHED)
def test_a_holder_adds_sums_up_as_published(take: Take, vectors: Path, folder: str) -> None:
    """Steps 4.8.4 and 6.7.5: the σ of helpers 1 to 4 are the published ones, x_5 is their sum."""
    suite = PUBLISHED[folder]
    sigmas, total = published(vectors, folder, "sigma_generation")
    key = total - (2 * 5 + 3 * 25 + 4 * 125)
    epoch = epoch_of(suite, (key, 2, 3, 4), (21, 22, 23, 24, 25))
    at_work = repairing(epoch, take, 5, (1, 2, 3, 4))
    rows = [[11 * helper + place for place in range(3)] for helper in (1, 2, 3)]
    for helper, row in enumerate(rows, 1):
        row.append(at_work.owed(helper) - sum(row))
    rows.append([sigma - sum(row[k] for row in rows) for k, sigma in enumerate(sigmas)])
    for helper, row in enumerate(rows, 1):
        at_work.messages[helper] = at_work.reference.split(helper, row, 70 + helper)
    digest = at_work.splits().digest
    sums = {
        helper: at_work.reference.summed(helper, encoded(suite, sigma), 80 + helper, digest)
        for helper, sigma in enumerate(sigmas, 1)
    }
    assert opened(suite, at_work.recover(sums)) == total
