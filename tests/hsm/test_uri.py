from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.errors import BadEncoding
from hsm_mpc.hsm.capabilities import KEY_CLASSES
from hsm_mpc.hsm.cryptoki import ObjectClass
from hsm_mpc.hsm.uri import KeyUri, token_part

URI = "pkcs11:token=bank%20one;serial=0123456789abcdef;id=%00%FFA;type=secret-key"

labels = st.text(min_size=1).filter(
    lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text) and len(text.encode()) <= 32
)
uris = st.builds(
    KeyUri,
    token=labels,
    serial=st.binary(min_size=16, max_size=16),
    key_id=st.binary(min_size=1, max_size=20),
    object_class=st.sampled_from(KEY_CLASSES),
)


@given(uris)
def test_parsing_is_the_inverse_of_writing(uri: KeyUri) -> None:
    assert KeyUri.parse(str(uri)) == uri


@given(uris, st.data())
def test_a_changed_character_is_another_key_or_no_uri(uri: KeyUri, data: st.DataObject) -> None:
    text = str(uri)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters(max_codepoint=0x7F)) + text[at + 1 :]
    if changed == text:
        return
    with suppress(BadEncoding):
        assert KeyUri.parse(changed) != uri


def test_the_form_is_that_of_step_2_6_2() -> None:
    uri = KeyUri("bank one; 2 ä", b"0123456789abcd  ", bytes((0, 255, 65)))
    assert str(uri) == (
        "pkcs11:token=bank%20one%3B%202%20%C3%A4;serial=0123456789abcd%20%20"
        ";id=%00%FF%41;type=secret-key"
    )
    assert str(uri).startswith(token_part(uri.token, uri.serial))


def test_an_rsa_key_is_named_as_its_private_half() -> None:
    uri = KeyUri("a", b"0123456789abcdef", b"\0", ObjectClass.PRIVATE_KEY)
    assert str(uri) == "pkcs11:token=a;serial=0123456789abcdef;id=%00;type=private"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not of the form"),
        ("pkcs11:token=a;serial=0123456789abcdef;id=%00", "not of the form"),
        ("pkcs11:serial=0123456789abcdef;token=a;id=%00;type=secret-key", "not of the form"),
        ("pkcs11:token=a;serial=0123456789abcdef;id=%00;type=secret-key\n", "not of the form"),
        ("pkcs11:token=a;serial=0123456789abcdef;id=%00;type=public", "not of the form"),
        ("pkcs11:token=a;serial=0123456789abcdef;id=%00;type=", "not of the form"),
        ("pkcs11:token=;serial=0123456789abcdef;id=%00;type=secret-key", "wrong length"),
        ("pkcs11:token=a;serial=0123456789abcde;id=%00;type=secret-key", "wrong length"),
        ("pkcs11:token=a;serial=0123456789abcdef;id=;type=secret-key", "wrong length"),
        (f"pkcs11:token={33 * 'a'};serial=0123456789abcdef;id=%00;type=secret-key", "wrong length"),
        ("pkcs11:token=%FF;serial=0123456789abcdef;id=%00;type=secret-key", "not UTF-8"),
        ("pkcs11:token=a;serial=0123456789abcdef;id=A;type=secret-key", "canonical"),
        ("pkcs11:token=a;serial=0123456789abcdef;id=%ff;type=secret-key", "canonical"),
        ("pkcs11:token=%61;serial=0123456789abcdef;id=%00;type=secret-key", "canonical"),
        ("pkcs11:token=a;serial=0123456789abcdef;id=%0;type=secret-key", "canonical"),
        (URI, "canonical"),
    ],
)
def test_any_other_form_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadEncoding, match=reason):
        KeyUri.parse(text)
