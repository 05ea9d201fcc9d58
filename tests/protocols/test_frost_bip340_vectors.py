"""BIP 445: all 250 cases of its vectors run on the product's functions (docs section 3.1)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from hsm_mpc.groups.secp256k1 import verify_bip340
from hsm_mpc.protocols.frost_bip340.nonces import InvalidContribution
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.secure.arena import Arena, Take
from tests.protocols import bip445_api as api

Case = dict[str, Any]

EXPECTED: Final = {
    ("sign_verify", "valid_tests"): 25,
    ("sign_verify", "sign_error_tests"): 48,
    ("sign_verify", "verify_fail_tests"): 12,
    ("sign_verify", "verify_error_tests"): 8,
    ("nonce_gen", "valid_tests"): 5,
    ("nonce_agg", "valid_tests"): 2,
    ("nonce_agg", "error_tests"): 3,
    ("tweak", "valid_tests"): 28,
    ("tweak", "error_tests"): 16,
    ("sig_agg", "valid_tests"): 14,
    ("sig_agg", "error_tests"): 8,
    ("det_sign", "valid_tests"): 33,
    ("det_sign", "error_tests"): 48,
}


def groups(vectors: Path, name: str) -> list[dict[str, Any]]:
    document = json.loads((vectors / "bip445-frost-signing" / f"{name}_vectors.json").read_text())
    return list(document.get("test_groups", [document]))


def cases(vectors: Path, name: str, kind: str) -> Iterator[tuple[dict[str, Any], Case]]:
    for group in groups(vectors, name):
        for case in group[kind]:
            yield group, case


def run_all(
    vectors: Path, name: str, kind: str, run: Callable[[dict[str, Any], Case], None]
) -> None:
    """Run every case of one kind, none fewer than there are."""
    count = 0
    for group, case in cases(vectors, name, kind):
        run(group, case)
        count += 1
    assert count == EXPECTED[name, kind]


def optional(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def picked(group: Mapping[str, Any], case: Case, what: str) -> list[bytes]:
    """The group's shared inputs that a case points to."""
    return [bytes.fromhex(group[f"{what}s"][at]) for at in case[f"{what}_indices"]]


def context_of(group: dict[str, Any], case: Case) -> api.Context:
    shares = picked(group, case, "pubshare")
    key = bytes.fromhex(group["thresh_pk"])
    signers = api.Signers(group["n"], group["t"], case["ids"], shares, key)
    if "tweak_indices" in case:
        tweaks = picked(group, case, "tweak")
    else:
        tweaks = [bytes.fromhex(tweak) for tweak in case.get("tweaks", [])]
    return api.Context(signers, tweaks, case.get("is_xonly", []), bytes.fromhex(case["msg"]))


def signed(take: Take, group: dict[str, Any], case: Case) -> bytes:
    return api.sign(
        take,
        bytes.fromhex(group["secnonces"][case["secnonce_index"]]),
        bytes.fromhex(group["secshares"][case["secshare_index"]]),
        case["my_id"],
        context_of(group, case),
        bytes.fromhex(case["aggnonce"]),
    )


def deterministically_signed(take: Take, group: dict[str, Any], case: Case) -> tuple[bytes, bytes]:
    return api.deterministic_sign(
        take,
        bytes.fromhex(group["secshares"][case["secshare_index"]]),
        case["my_id"],
        optional(case["aggothernonce"]),
        context_of(group, case),
        optional(case["rand"]),
    )


def require_error(case: Case, call: Callable[[], object]) -> None:
    """The call raises what the case says: the type, and whose contribution."""
    error = case["error"]
    if error["type"] == "ValueError":
        with pytest.raises(ValueError):
            call()
        return
    assert error["type"] == "InvalidContributionError"
    with pytest.raises(InvalidContribution) as raised:
        call()
    assert raised.value.position == error["signer_index"]
    assert raised.value.contribution == error["contrib"]


@pytest.fixture
def fresh(protocol_arena: Arena) -> Callable[[Callable[[Take], object]], None]:
    """Runs something with slots that end with it."""

    def run(body: Callable[[Take], object]) -> None:
        with protocol_arena.scope() as take:
            body(take)

    return run


Fresh = Callable[[Callable[[Take], object]], None]


def test_the_files_hold_250_cases(vectors: Path) -> None:
    counted = Counter(
        {
            (name, kind): sum(len(group[kind]) for group in groups(vectors, name))
            for name, kind in EXPECTED
        }
    )
    assert counted == EXPECTED
    assert sum(EXPECTED.values()) == 250


def test_nonce_gen(vectors: Path, fresh: Fresh) -> None:
    """Step 3.1.3, by the in-place function of 3.3.2."""

    def run(_: dict[str, Any], case: Case) -> None:
        def body(take: Take) -> None:
            made = api.nonce_gen(
                take,
                bytes.fromhex(case["rand_"]),
                optional(case["secshare"]),
                optional(case["pubshare"]),
                optional(case["thresh_pk"]),
                optional(case["msg"]),
                optional(case["extra_in"]),
            )
            assert [half.hex().upper() for half in made] == case["expected"]

        fresh(body)

    run_all(vectors, "nonce_gen", "valid_tests", run)


def test_nonce_agg(vectors: Path) -> None:
    """Step 3.1.4."""

    def run(group: dict[str, Any], case: Case) -> None:
        assert api.nonce_agg(picked(group, case, "pubnonce")).hex().upper() == case["expected"]

    run_all(vectors, "nonce_agg", "valid_tests", run)


def test_nonce_agg_errors_name_the_position(vectors: Path) -> None:
    def run(group: dict[str, Any], case: Case) -> None:
        require_error(case, lambda: api.nonce_agg(picked(group, case, "pubnonce")))

    run_all(vectors, "nonce_agg", "error_tests", run)


@pytest.mark.parametrize("name", ["sign_verify", "tweak"])
def test_sign_and_verify(vectors: Path, fresh: Fresh, name: str) -> None:
    """Steps 3.1.6 and 3.1.7: the partial signature of 3.4.11, and it verifies by position."""

    def run(group: dict[str, Any], case: Case) -> None:
        def body(take: Take) -> None:
            signature = signed(take, group, case)
            assert signature.hex().upper() == case["expected"]
            nonces = picked(group, case, "pubnonce")
            position = case["ids"].index(case["my_id"])
            assert api.partial_sig_verify(signature, nonces, context_of(group, case), position)

        fresh(body)

    run_all(vectors, name, "valid_tests", run)


@pytest.mark.parametrize(
    ("name", "kind"), [("sign_verify", "sign_error_tests"), ("tweak", "error_tests")]
)
def test_sign_errors(vectors: Path, fresh: Fresh, name: str, kind: str) -> None:
    def run(group: dict[str, Any], case: Case) -> None:
        fresh(lambda take: require_error(case, lambda: signed(take, group, case)))

    run_all(vectors, name, kind, run)


def verified(group: dict[str, Any], case: Case) -> bool:
    return api.partial_sig_verify(
        bytes.fromhex(case["psig"]),
        picked(group, case, "pubnonce"),
        context_of(group, case),
        case["signer_index"],
    )


def test_wrong_partial_signatures_do_not_verify(vectors: Path) -> None:
    def run(group: dict[str, Any], case: Case) -> None:
        assert not verified(group, case)

    run_all(vectors, "sign_verify", "verify_fail_tests", run)


def test_verify_errors(vectors: Path) -> None:
    def run(group: dict[str, Any], case: Case) -> None:
        require_error(case, lambda: verified(group, case))

    run_all(vectors, "sign_verify", "verify_error_tests", run)


def aggregated(group: dict[str, Any], case: Case) -> bytes:
    signatures = [bytes.fromhex(signature) for signature in case["psigs"]]
    context = context_of(group, case)
    return api.partial_sig_agg(signatures, context, bytes.fromhex(case["aggnonce"]))


def test_sig_agg(vectors: Path) -> None:
    """Step 3.1.8; each signature verifies by BIP 340."""

    def run(group: dict[str, Any], case: Case) -> None:
        signature = aggregated(group, case)
        assert signature.hex().upper() == case["expected"]
        context = context_of(group, case)
        tweaks = zip(context.tweaks, context.x_only, strict=True)
        key = TweakedKey.of(context.signers.threshold_key, tweaks)
        verify_bip340(key.x_only, context.message, signature)

    run_all(vectors, "sig_agg", "valid_tests", run)


def test_sig_agg_errors(vectors: Path) -> None:
    def run(group: dict[str, Any], case: Case) -> None:
        require_error(case, lambda: aggregated(group, case))

    run_all(vectors, "sig_agg", "error_tests", run)


def test_deterministic_sign(vectors: Path, fresh: Fresh) -> None:
    """Step 3.1.9, which lives in the tests alone."""

    def run(group: dict[str, Any], case: Case) -> None:
        def body(take: Take) -> None:
            made = deterministically_signed(take, group, case)
            assert [part.hex().upper() for part in made] == case["expected"]

        fresh(body)

    run_all(vectors, "det_sign", "valid_tests", run)


def test_deterministic_sign_errors(vectors: Path, fresh: Fresh) -> None:
    def run(group: dict[str, Any], case: Case) -> None:
        fresh(lambda take: require_error(case, lambda: deterministically_signed(take, group, case)))

    run_all(vectors, "det_sign", "error_tests", run)
