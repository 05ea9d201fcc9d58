"""Plans that wait for an operator, and what he has agreed to."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hsm_mpc.errors import BackendError, Tampered
from hsm_mpc.store.plans import Plans
from tests.named_steps import observed

PLAN = b"a plan"
DIGEST = hashlib.sha256(PLAN).digest()


@pytest.fixture
def plans(folder: Path) -> Plans:
    return Plans(folder / "plans")


def test_a_plan_waits_with_what_it_names_until_it_is_forgotten(plans: Plans) -> None:
    assert plans.digests() == ()
    plans.forget(DIGEST)
    plans.offer(PLAN, b"named")
    assert plans.digests() == (DIGEST,)
    assert (plans.plan(DIGEST), plans.named(DIGEST)) == (PLAN, b"named")
    assert plans.consent(DIGEST) is None
    plans.agree(DIGEST, b"consent")
    assert plans.consent(DIGEST) == b"consent"
    plans.offer(PLAN, b"named")
    assert plans.consent(DIGEST) == b"consent"
    plans.forget(DIGEST)
    assert (plans.digests(), plans.consent(DIGEST)) == ((), None)


def test_a_folder_without_its_plan_is_none(plans: Plans, folder: Path) -> None:
    plans.offer(PLAN, b"named")
    (folder / "plans" / DIGEST.hex() / "plan").unlink()
    assert plans.digests() == ()
    plans.clean()
    assert list((folder / "plans").iterdir()) == []


def test_another_plan_under_that_name_is_damage(plans: Plans, folder: Path) -> None:
    plans.offer(PLAN, b"named")
    (folder / "plans" / DIGEST.hex() / "plan").write_bytes(b"another")
    with pytest.raises(Tampered, match="not the plan"):
        plans.plan(DIGEST)


def test_nothing_is_agreed_to_that_does_not_wait(plans: Plans) -> None:
    with pytest.raises(Tampered):
        plans.agree(DIGEST, b"consent")
    with pytest.raises(Tampered):
        plans.decline(DIGEST)


def test_a_plan_that_is_declined_is_kept_with_that_and_without_a_consent(plans: Plans) -> None:
    plans.offer(PLAN, b"named")
    plans.agree(DIGEST, b"consent")
    assert not plans.is_declined(DIGEST)
    plans.decline(DIGEST)
    assert plans.is_declined(DIGEST)
    assert plans.consent(DIGEST) is None
    assert plans.digests() == (DIGEST,)
    plans.forget(DIGEST)
    assert not plans.is_declined(DIGEST)


@pytest.mark.parametrize("name", ["plan-named.write", "plan.write", "plan.link"])
def test_a_plan_that_cannot_be_kept_leaves_nothing(plans: Plans, folder: Path, name: str) -> None:
    def observer(when: str, step: str) -> None:
        if (when, step) == ("before", name):
            raise BackendError("disk full")

    with observed(observer), pytest.raises(BackendError):
        plans.offer(PLAN, b"named")
    assert plans.digests() == ()
    assert list((folder / "plans").iterdir()) == []


def test_declining_what_nobody_has_agreed_to_removes_nothing(plans: Plans) -> None:
    plans.offer(PLAN, b"named")
    steps: list[str] = []
    with observed(lambda when, name: steps.append(name)):
        plans.decline(DIGEST)
    assert "consent.unlink" not in steps
