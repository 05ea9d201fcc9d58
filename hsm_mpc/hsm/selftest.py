"""What the token can do, found by doing it, with keys and objects that are thrown away.

A module's list of mechanisms cannot be relied on: some list what they cannot do (measured). Of two
ways to the same end the second is tried only where the module says that it lacks the first: one
that is away for a moment, or that answers wrongly, is not worked around. Nor is one that lacks what
its canary shows that it does: nobody gets weaker wrapping out of a module that says no once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, NoReturn, TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from hsm_mpc.errors import BackendError, HsmMpcError, Refused, Tampered
from hsm_mpc.hsm import generation
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.capabilities import Capabilities, Wrapping
from hsm_mpc.hsm.cryptoki import Hash, ObjectClass, address_of, ffi
from hsm_mpc.hsm.direct import AmbiguousAnswer, CiphertextRefused, decrypt_once
from hsm_mpc.hsm.failures import Lacking
from hsm_mpc.hsm.gcm import encrypt_gcm_afresh
from hsm_mpc.hsm.identity import Identity
from hsm_mpc.hsm.keys import Key, KeyPair, MissingKey
from hsm_mpc.hsm.register import Register, Registers
from hsm_mpc.hsm.register_objects import Form
from hsm_mpc.hsm.rsa import decrypt_oaep_once, encrypt_oaep, public_numbers
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import Algorithm
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.tags import Tag

RULE: Final = "hsm-capability"

_NAME: Final = "hsm-mpc/self-test"
_PLAINTEXT: Final = bytes(range(32))
_IN_SOFTWARE: Final = {Hash.SHA1: hashes.SHA1(), Hash.SHA256: hashes.SHA256()}

_Way = TypeVar("_Way")


@dataclass(frozen=True, slots=True)
class Finding:
    """One capability that a holder needs."""

    capability: str
    failure: str
    """Why it cannot be used; empty if it works."""
    instead_of: tuple[str, ...] = ()
    """What would be used first and does not work, with the reasons; it works without them."""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What came of trying everything."""

    findings: tuple[Finding, ...]
    capabilities: Capabilities | None
    """None where one is lacking."""
    register_form: Form | None
    """What its registers are; None where it keeps none."""


@dataclass(frozen=True, slots=True)
class _Tried(Generic[_Way]):
    """A need, and the first way that serves it; without one, the error that was the last."""

    finding: Finding
    way: _Way | None
    error: HsmMpcError | None = None


@dataclass(frozen=True, slots=True)
class _Attempt(Generic[_Way]):
    """One way: its name, and what finds out whether it works."""

    capability: str
    run: Callable[[Token], _Way]


def self_test(token: Token) -> SelfTest:
    """Try everything a holder needs. Leaves nothing in the token.

    Never raises for what the token cannot do: that is the finding.
    """
    return _judged(_wraps(token), _signs(token), _keeps(token))


def _judged(wraps: _Tried[Wrapping], signs: _Tried[Algorithm], keeps: _Tried[Form]) -> SelfTest:
    findings = (wraps.finding, signs.finding, keeps.finding)
    if wraps.way is None or signs.way is None or keeps.way is None:
        return SelfTest(findings, None, keeps.way)
    return SelfTest(findings, Capabilities(wraps.way, signs.way), keeps.way)


def require_capabilities(token: Token) -> Capabilities:
    """Refuse a token that lacks something; what new keys of any other are.

    Raises:
        Refused: with rule `hsm-capability`, naming what failed and how.
        BackendError: the token is away; retryable.
    """
    wraps, signs, keeps = _wraps(token), _signs(token), _keeps(token)
    judged = _judged(wraps, signs, keeps)
    if judged.capabilities is None:
        _refuse(token, wraps, signs, keeps)
    return judged.capabilities


def require_wrapping(token: Token) -> Wrapping:
    """How the next wrapping key of this token wraps, tried at each start.

    Raises:
        Refused: with rule `hsm-capability`: it cannot wrap at all.
        BackendError: the token is away; retryable.
    """
    tried = _wraps(token)
    if tried.way is None:
        _refuse(token, tried)
    return tried.way


def _refuse(token: Token, *tried: _Tried[Any]) -> NoReturn:
    failed = [each.finding for each in tried if each.error is not None]
    reasons = "; ".join(f"{finding.capability}: {finding.failure}" for finding in failed)
    profile = token.profile
    text = f"{token.where}: {reasons} (profile {profile}: docs/hsm/{profile.page})"
    if any(each.error is not None and each.error.retryable for each in tried):
        raise BackendError(text)
    raise Refused(RULE, text)


def _wraps(token: Token) -> _Tried[Wrapping]:
    by_rsa = (_BY_RSA[hash_] for hash_ in token.profile.oaep_hashes)
    tried = _first_that_works(token, _Attempt("AES-256-GCM in the token", _wraps_by_aes), *by_rsa)
    shown = None if token.canary is None else token.canary.wrapping
    if tried.way is None or shown is None or not tried.way.is_weaker_than(shown):
        return tried
    reasons = "; ".join(tried.finding.instead_of)
    doubt = BackendError(f"its canary is under {shown}, and still it says: {reasons}")
    return _Tried(Finding(tried.finding.capability, str(doubt)), None, doubt)


def _signs(token: Token) -> _Tried[Algorithm]:
    return _first_that_works(
        token,
        _Attempt("ECDSA P-256 in the token", _signs_by_p256),
        _Attempt("RSA-3072 PSS with SHA-256 in the token", _signs_by_rsa),
    )


def _keeps(token: Token) -> _Tried[Form]:
    return _first_that_works(token, _Attempt("registers in the token", _keeps_registers))


def _first_that_works(token: Token, *attempts: _Attempt[_Way]) -> _Tried[_Way]:
    reasons: list[str] = []
    last: HsmMpcError | None = None
    for attempt in attempts:
        try:
            way = attempt.run(token)
        except HsmMpcError as error:
            reasons.append(f"{attempt.capability}: {error}")
            last = error
            if not isinstance(error, Lacking):
                break
        else:
            return _Tried(Finding(attempt.capability, "", tuple(reasons)), way)
    first, *others = reasons
    failure = "; ".join((first.removeprefix(f"{attempts[0].capability}: "), *others))
    return _Tried(Finding(attempts[0].capability, failure), None, last)


def _wraps_by_aes(token: Token) -> Wrapping:
    name = _NAME.encode()
    with administration(token) as session:
        handle = generation.aes_key(
            session, name, _NAME, stored=False, leaves_out=token.profile.leaves_out
        )
        key = Key(handle, ObjectClass.SECRET_KEY, name, _NAME)
        plaintext = ffi.from_buffer(_PLAINTEXT)
        once, again = (
            encrypt_gcm_afresh(token, key, name, address_of(plaintext), len(_PLAINTEXT))
            for _ in range(2)
        )
        if once.iv == again.iv:
            raise Tampered("it uses an IV twice")
        iv, sealed = once

        def opened(nonce: bytes, associated: bytes, ciphertext: bytes) -> bytes:
            out, room = ffi.new("CK_BYTE[]", len(ciphertext)), len(ciphertext)
            length = decrypt_once(token, key, nonce, associated, ciphertext, address_of(out), room)
            return bytes(out[0:length])

        _must_give_back(lambda: opened(iv, name, sealed))
        _must_refuse(lambda: opened(iv, name, _flipped(sealed)))
        _must_refuse(lambda: opened(iv, b"other", sealed))
        _must_refuse(lambda: opened(_flipped(iv), name, sealed))
    return Wrapping.AES_GCM


def _wraps_by_rsa_sha256(token: Token) -> Wrapping:
    _wraps_by_rsa(token, Hash.SHA256)
    return Wrapping.RSA_OAEP_SHA256


def _wraps_by_rsa_sha1(token: Token) -> Wrapping:
    _wraps_by_rsa(token, Hash.SHA1)
    return Wrapping.RSA_OAEP_SHA1


_BY_RSA: Final = {
    Hash.SHA256: _Attempt("RSA-3072 OAEP with SHA-256 in the token", _wraps_by_rsa_sha256),
    Hash.SHA1: _Attempt("RSA-3072 OAEP with SHA-1 in the token", _wraps_by_rsa_sha1),
}


def _wraps_by_rsa(token: Token, hash_: Hash) -> None:
    name = _NAME.encode()
    with administration(token) as session:
        handle = generation.rsa_wrapping_key(
            session, name, _NAME, stored=False, leaves_out=token.profile.leaves_out
        )
        key = Key(handle, ObjectClass.PRIVATE_KEY, name, _NAME)
        plaintext = ffi.from_buffer(_PLAINTEXT)
        sealed = encrypt_oaep(token, key, hash_, address_of(plaintext), len(_PLAINTEXT))

        def opened(ciphertext: bytes) -> bytes:
            out = ffi.new("CK_BYTE[]", len(ciphertext))
            length = decrypt_oaep_once(token, key, hash_, ciphertext, address_of(out), len(out))
            return bytes(out[0:length])

        _must_give_back(lambda: opened(sealed))
        try:
            _must_give_back(lambda: opened(_sealed_in_software(token, key, hash_)))
        except (AmbiguousAnswer, CiphertextRefused) as error:
            raise Tampered("its OAEP is not what others call so") from error
        _must_refuse(lambda: opened(_flipped(sealed)))


def _sealed_in_software(token: Token, key: Key, hash_: Hash) -> bytes:
    """By another's OAEP: a module that takes one hash for another agrees with itself."""
    by = _IN_SOFTWARE[hash_]
    public = public_numbers(token, key).in_software()
    return public.encrypt(_PLAINTEXT, padding.OAEP(padding.MGF1(by), by, None))


def _flipped(sealed: bytes) -> bytes:
    return sealed[:-1] + bytes((sealed[-1] ^ 1,))


def _must_give_back(opened: Callable[[], bytes]) -> None:
    if opened() != _PLAINTEXT:
        raise Tampered("it does not give back what it encrypted")


def _must_refuse(opened: Callable[[], bytes]) -> None:
    try:
        opened()
    except (AmbiguousAnswer, CiphertextRefused):
        return
    raise Tampered("it decrypts what was tampered with")


def _signs_by_p256(token: Token) -> Algorithm:
    _sign_once(token, generation.p256_key_pair)
    return Algorithm.P256


def _signs_by_rsa(token: Token) -> Algorithm:
    _sign_once(token, generation.rsa_key_pair)
    return Algorithm.RSA3072


def _sign_once(token: Token, generate: Callable[..., tuple[int, int]]) -> None:
    name = _NAME.encode()
    with administration(token) as session:
        private, public = generate(
            session, name, _NAME, stored=False, leaves_out=token.profile.leaves_out
        )
        pair = KeyPair(
            Key(private, ObjectClass.PRIVATE_KEY, name, _NAME),
            Key(public, ObjectClass.PUBLIC_KEY, name, _NAME),
        )
        try:
            Identity(token, pair).sign(Tag.CARD, name)
        except MissingKey as forgotten:  # a throw-away key is not found again: it may be a fault
            raise BackendError(str(forgotten)) from forgotten


def _keeps_registers(token: Token) -> Form:
    """In which form the token keeps a wallet's register (step 6.2.1a)."""
    wallet_id, registers = WalletId(os.urandom(16)), Registers(token)
    try:
        for number in (1, 2):
            wanted = Register(EpochHash(bytes(32)), promised=bytes((number,)) * 10)
            registers.write(wallet_id, wanted)
            if Registers(token).read(wallet_id) != wanted:
                raise BackendError("it does not give back what it stored", retryable=False)
        return registers.form_of(wallet_id)
    finally:
        registers.destroy(wallet_id)
