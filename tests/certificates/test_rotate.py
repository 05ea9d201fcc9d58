"""ROTATE: which key takes the place of which, and who has signed it (step 6.7.9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from hsm_mpc.certificates.plan import Plan, PlanKind
from hsm_mpc.certificates.rotate import Rotate, Rotation
from hsm_mpc.encoding import lv16, lv32
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.tags import Tag
from tests.software_identity import SoftwareKey, p256_key

OLD, NEW = p256_key(1), p256_key(2)


def rotate(old: SoftwareKey = OLD, new: SoftwareKey = NEW, wallet: bytes = b"w" * 16) -> Rotate:
    wanted = Rotate(
        WalletId(wallet), EpochHash(b"h" * 32), 3, OLD.public, NEW.public, 1_800_000_000
    )
    return replace(
        wanted,
        old_signature=old.sign(Tag.ROTATE, wanted.terms),
        new_signature=new.sign(Tag.ROTATE, wanted.terms),
    )


def test_the_bytes_are_those_of_the_specification() -> None:
    made = rotate()
    terms = (
        b"w" * 16
        + b"h" * 32
        + b"\0\3"
        + b"\1"
        + lv16(OLD.public.encoded)
        + b"\1"
        + lv16(NEW.public.encoded)
        + (1_800_000_000).to_bytes(8, "big")
    )
    assert made.terms == terms
    assert made.to_bytes() == terms + lv16(made.old_signature) + lv16(made.new_signature)
    assert Rotate.from_bytes(made.to_bytes()) == made
    assert Rotate.from_terms(terms) == replace(made, old_signature=b"", new_signature=b"")


@pytest.mark.parametrize("change", [lambda e: e[:-1], lambda e: e + b"x", lambda e: b""])
def test_anything_else_is_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadEncoding):
        Rotate.from_bytes(change(rotate().to_bytes()))
    with pytest.raises(BadEncoding):
        Rotate.from_terms(change(rotate().terms))


def test_both_keys_sign_it() -> None:
    rotate().check_signatures()
    with pytest.raises(InvalidSignature):
        rotate(old=NEW).check_signatures()
    with pytest.raises(InvalidSignature):
        rotate(new=OLD).check_signatures()


def test_it_is_a_plan_whoever_has_signed_it() -> None:
    plan = Plan.of(rotate())
    assert plan.kind is PlanKind.ROTATE
    assert plan.to_bytes() == b"\x08" + rotate().terms
    assert Plan.from_bytes(plan.to_bytes()).asked == Rotate.from_terms(rotate().terms)
    assert Plan.of(rotate(OLD, OLD)).digest == plan.digest


def test_a_rotation_is_kept_with_both_keys() -> None:
    rotates = (rotate(), rotate(wallet=b"x" * 16))
    rotation = Rotation(OLD.public, NEW.public, rotates)
    encoded = rotation.to_bytes()
    keys = OLD.public.to_bytes() + NEW.public.to_bytes()
    assert encoded == keys + b"".join(lv32(each.to_bytes()) for each in rotates)
    assert Rotation.from_bytes(encoded) == rotation
    assert Rotation.from_bytes(keys) == Rotation(OLD.public, NEW.public, ())
    with pytest.raises(BadInput, match="other keys"):
        Rotation.from_bytes(replace(rotation, identity_key=OLD.public).to_bytes())
    with pytest.raises(BadInput, match="other keys"):
        Rotation.from_bytes(replace(rotation, known_key=NEW.public).to_bytes())
    with pytest.raises(BadEncoding):
        Rotation.from_bytes(encoded[:-1])
