"""What a token gives away is found by trying, and refused unless it is accepted by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, get_args

import pkcs11
import pytest

from hsm_mpc.config import AcceptedFinding
from hsm_mpc.errors import BackendError, Refused
from hsm_mpc.hsm import giveaways as giveaways_module
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import Attribute
from hsm_mpc.hsm.giveaways import NOT_LOCAL, TOLD, WRAPPED, Giveaway, giveaways, require_accepted
from hsm_mpc.hsm.token import Token
from tests.hsm.lying import Answer, lie

Accepting = Callable[[Giveaway], Token]


@pytest.fixture
def accepting(token: Token, monkeypatch: pytest.MonkeyPatch) -> Accepting:
    """The token of a configuration that accepts one finding."""

    def accept(finding: Giveaway) -> Token:
        monkeypatch.setattr(token, "accepted_findings", frozenset({finding.name}))
        return token

    return accept


def wrap_all(_session: int, _way: Any, _by: int, _key: int, _out: Any, length: Any) -> int:
    length[0] = 40
    return 0


def test_softhsm_gives_nothing_away(token: Token) -> None:
    assert giveaways(token) == ()
    require_accepted(token)


def test_trying_leaves_nothing_in_the_token(token: Token) -> None:
    before = objects.matching(token, {})
    giveaways(token)
    assert objects.matching(token, {}) == before


def test_the_configuration_knows_the_names() -> None:
    assert set(get_args(AcceptedFinding)) == {NOT_LOCAL.name, WRAPPED.name, TOLD.name}


def test_a_key_that_must_stay_and_is_wrapped_is_found(
    token: Token, answer: Answer, accepting: Accepting
) -> None:
    answer("C_WrapKey", wrap_all)
    assert giveaways(token) == (WRAPPED,)
    with pytest.raises(Refused, match=r"accept_findings: \[non-extractable-is-wrapped\]") as caught:
        require_accepted(accepting(NOT_LOCAL))
    assert caught.value.rule == "hsm-gives-keys-away"
    assert WRAPPED.meaning in str(caught.value)
    require_accepted(accepting(WRAPPED))


def test_one_way_out_is_enough(token: Token, answer: Answer) -> None:
    def by_the_last(session: int, way: Any, by: int, key: int, out: Any, length: Any) -> int:
        if way.mechanism != list(giveaways_module._WAYS_OUT)[-1]:
            return 0x70
        return wrap_all(session, way, by, key, out, length)

    answer("C_WrapKey", by_the_last)
    assert giveaways(token) == (WRAPPED,)


def test_a_key_that_does_not_count_as_made_here_is_found(
    token: Token, answer: Answer, accepting: Accepting
) -> None:
    lie(answer, token, Attribute.LOCAL, objects.FALSE)
    assert giveaways(token) == (NOT_LOCAL,)
    with pytest.raises(Refused, match="key-not-local"):
        require_accepted(accepting(WRAPPED))
    require_accepted(accepting(NOT_LOCAL))


def test_a_key_whose_bytes_are_told_is_found(token: Token, answer: Answer) -> None:
    lie(answer, token, Attribute.VALUE, bytes(32))
    assert giveaways(token) == (TOLD,)
    with pytest.raises(Refused, match="sensitive-is-told"):
        require_accepted(token)


def test_all_that_is_found_is_named_at_once(token: Token, answer: Answer) -> None:
    lie(answer, token, Attribute.LOCAL, objects.FALSE)
    answer("C_WrapKey", wrap_all)
    with pytest.raises(Refused, match=r"\[key-not-local, non-extractable-is-wrapped\]"):
        require_accepted(token)


def test_a_token_that_makes_no_wrapping_key_lets_none_out_this_way(
    token: Token, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    class NoKeys:
        def generate_key(self, *_: object, **__: object) -> None:
            raise pkcs11.TemplateInconsistent

    honest = giveaways_module._wrapping_key
    monkeypatch.setattr(
        giveaways_module, "_wrapping_key", lambda _: honest(cast(pkcs11.Session, NoKeys()))
    )
    answer("C_WrapKey", wrap_all)
    assert giveaways(token) == ()


def test_a_token_that_does_not_answer_is_unavailable(token: Token, answer: Answer) -> None:
    answer("C_GetTokenInfo", 0x30)
    with pytest.raises(BackendError, match="CKR_DEVICE_ERROR"):
        giveaways(token)
