"""RSA-3072 pairs that anybody may read, brought into a token: making one there takes a second."""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Final

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)
from pkcs11 import Attribute, MechanismFlag
from pkcs11.util.rsa import decode_rsa_private_key, decode_rsa_public_key

from hsm_mpc.hsm import generation
from hsm_mpc.hsm.cryptoki import ObjectClass
from hsm_mpc.hsm.keys import IDENTITY, Key, KeyPair

_PAIRS: Final = (
    (
        "MIIG4wIBAAKCAYEAseSHvhBi/HwVXwZeDRiFo820XVUewU4bSNyXjphQ79QnRhNxZoT78m3f6qt1mB5gHG6YcgKR"
        "WLlTvmA02gFyCUFZJFMu57U18rhhCjPuNOsfPuQcMiqeM/jg797ph2Q5oB62ZUrKYw6rtUSol9CWJaA0VX48Kzqk"
        "E4ci1Unvt6opKHlnDWCXauebcvJbjX9DhBFZCdfLlXSuteyS2iHnyNHwIBywUcrl4IIcIosGDAYXX3Cr0DmoGh+f"
        "QibtEyeEkyNiuH5x7ekv67tPZs76gJku71TF6xU8AFZ84FZ6KulmLGFq43BbzQ1w9BYA+wk2KYYkDro09RldYxrS"
        "jDU1VQr1YEyzvRO+8kqdEvQte56WhKWJY9NQ6zaTd2kSS2cSZifp+CB5ogzlleizd1/6oe9oYSaHwGkvxczRqTgo"
        "9sKhYsqDFZCwmteHT92U6X0PRPFEAWOHJcLv3qbTIO5EiZr9YAyK770CNlOdvnU40l5nbWUT96PpzFyjBHwHIdRx"
        "AgMBAAECggGAOpBxTdWoONYC1SNMAESz7l7Qw687rkjv+5c/v96OOr5d5ZiOC0G5jjC0+FVVI+zQGFwijNoijpKI"
        "qtKSY7j5GWntlmNaPEbwiUVBETJSeBJ12WcQj0Vvis2jA+UffYa13+xsgMFUCrNwPP9q/3vYim+I+yJRXavzC0jA"
        "Y3ZxWEZJQX1iO0my36t7Bicak+UzTX3GkdJ8v+nHgLXvDKf/3iGbS38WXv8MmdJLv+WD6p5wwGdf8O+iU2NYs1cM"
        "UnN+CaCnoU5X18lirfYfu4rHdw2ezTBCgxO1YdKLyYl+b5hbPsIHc2rdb85MefQcoqDnCiknJbAewPAcoGySr2UZ"
        "LPZbJhSmlKFwPqcWJbW0rZBVnI3EwBkc1kxcXXYgKJ9JgNxRiqLj5FYjt+12jPV3xHd0SDmvh5Wrug+JW/EYnmSb"
        "Gw5JSeb3wBCtUVko02UosRSQwC9f4svijUqk06eoN9+90DlpK/pUdNDIcb+manJ/5LezwmW74OoY281K/TlnAoHB"
        "AOBgEApNSEfwmkYYywF6KvSz3P5o0XxYj14ZYxn6FWIgOmSc72US3KHhR8TLzYAjMUENui9onI/b7+s4SBk34NWC"
        "jp2mxGp9cD2bHXvLb147jcgYO9CmzmHITqvlJMSPVbtJ0ndkuz7E+ExpUYqedD74aauZwTYPwe7X2BHSHMLTrS8N"
        "toSpAaNRE0iX0oVkRHKa8p672bKcYlG9VPRZQwABSxe6Xos0q/4xEJuXIylg71JeitWS5SiySYYdzyuVkwKBwQDK"
        "90cx/gJzIaORHDSbBxGyk1/BLMpZJsGzQqP2lATB3u2Oqxsfy4H5BuN6naACW76qKdBohqhcC8I3QhW+C9EYVv+1"
        "+/32CBRW2cnqzKnJTBitzIMJH2M8uZ+VopSX4ceL0vabWRtnOc542xb6gG9i7rpSQuk1KPMbq/f6XJ0w70xLTyjX"
        "HvHAGmvFFQbFJ79Z2QvExIuE2DC20u99gO/1a8H0/P5bS59utOUcdYmTvYdluneqiRFsJFn1I1PecGsCgcEAr0ic"
        "f0/MjdbazrQDs427DRuOI3nDXb7ZkYuHrf1+wv+mXn9zTaSklBooNQd57QaRLd8Jeovg80nAbiOzv2+1x1aND3/+"
        "paqFCrupFtLgl98ybgTwhZoqVJ1lSEhkpuHK+ds7/mXFGc5Ko3cLap1K9v6dnp8pH5DD0lDwzUs1iMZQ3xd5ZL2b"
        "N/jYdbeVkPu5tUZzD6p08WHWNUERoyowe0qHXWwM+/cT/ipabRJvN54wmEqfbyWovFg7s/iJpeTdAoHADucRJy6L"
        "Z4C0zdbQVgGy3vXLNhff06Pw3QSrnVNI9iM0NiGCIFeE94/16+7e7M1ntn7TeplIi1mhrQUBK68abzsUE3ypLQNy"
        "2t2q4b6dSNZ5iWlWxbi0RKUsfoQtfOlrCW04BjgItw+bhWwwx7vecdktfRTEos6a6xE5Z/yc3hbz9yOc0A7JmV1X"
        "RGVC1f8RIbu6DXyQ8fQdv47FXuW0uMRsvVxGINXwouRNXkWTEHH+Gw4R80eVK+ePY1xwsAh5AoHAGysEG4HOF12l"
        "jmzI6tWUa9f52o5swBeLJQfxP8OktIf7oQ9Y+zqKRLN+4dESMn74Vcln6GY+WjyCsj60G+4rIJdh2XbInGAFJUuz"
        "vMJFSJoWdNrI8VgXFGgJFDgruzxrwX8vsPLBT+4Ams/oW2l7R9YRcaUCZaoR261c7diP90YvR373UlXvluEw4Fsr"
        "YjjSP0MEp6MT/SDPrzen3ovjtlkR6aTs10IDgUrimPaP6j79s6xdSci0XyZD+UU6Xz0P"
    ),
    (
        "MIIG4gIBAAKCAYEAkBM51mfVCEMiGqEQTz8gVIcOJl66HJohxvE+jJfSZIVOZea9qpZ4tMVsql/PKiPyuYtUQi+o"
        "VQyUqrtH7rXle4MN1sOmJUG3SKN5HCdRgMml3iGsgGxtFw5NXKvhCcCHAWmAwW6BUKy7MamUC0p+32Fw6Cm4S0zD"
        "ErWzpujiyLz1DbJrJlWSUS1EIpxa07Fc4/rof38r8fLoqPgpjIhMXgIYeMbfsRlABTVVD6NGMKidyhsgy5Y9EfgK"
        "p9dLXWDwxtGTpLcvbGUfC1ZUXoZ7kOShoGN6okvxoQhKVqldf+1G2odrHJ3ed4mhXDcszJGPqN8iPbvgiRZYFOTx"
        "v5KakN5E932Nyc7VZn+YEmBFvbL45+WuSq+Mnr8n+DO4y5httvr0sQyW4LaDZcDrSyBf+uU/M8vTv52xhtYB8jtp"
        "QtAL2HevUMGAorrPzyhM17O3u0VxM9Lwna/2wAbm+o3978E06n8AEb7FgxVdxAswG2T6KNaSOJbmZjdznjZAJGVX"
        "AgMBAAECggGADmkN4OcTxLbKQ3WWpwZ+WlYD0UyqOtAjzr00b2WEEq/OrpyMnfJc8l/IxaW9l85uqaZI8DHKGW+f"
        "sw/2WubwpBDwommBRbqz9Vz8cRdxrHr+zx/5HAM8ShERJdK/OHV8S2TdDvvZjVMpigcXGqYB2J/rZh0+JLHx1P49"
        "kNU8Ua2sqQkOdJAciWgIp5mR8BiOXPMsrAvxPkr4gGYJ6dd8I+77uaDSoOkQoTS7ZEwFajqDRcK+3f4R76kqj60W"
        "Can3ZM/hryT87ueqHdYPoVFbN9IOlSjMgdFV+xxoS2nRhAtaAwpR9Fkwxn5Xd+PAlxjodtUs8qlKGvhneQ6PfJHq"
        "AueTZkhQMVRU7uMmddLp4olAaCX1SKyfVoWDDAgn3UFAYYOHjhHAeT3CdIyX0ijinSdgqc3LW8rDJC4XZQb/ifjR"
        "ShOJYtM/TozIVatzTK4ULt4uQvbIpn35r9+w02urErDbaPAvt1VxQwnOBMv7rlsSPsiZ4TRPXVpIMSJdWkN5AoHB"
        "AMICB3Wc4zZB3k70j8V4C7o4mguhl98XOIvkbDzvaMZ7vqlBHfRP3EMcTi7daYEnOwHaZZ5ConGA9fKHuc5d5W4+"
        "ZzhG5+N2/GO4DxdKz3dt/XtVh9Uk8LYWRncNIgZFi02HvHefpIpY/C/pcAdvXnZf2M8EsQfhw2jvwycfn9BXNvZB"
        "GevxQFFiJY8quTGXIOSsD5gW6Hr6pz8PFJKTeIk/xy0ry6jASSWUxZetwpdptzuTdoKg7To7AoQ59R5SCwKBwQC+"
        "HKkBRBUmOCVg3v8WEbxMuNLZelADEM0PlEnln6zevtFnWgYhgO4urnf/BhcSVngfq72vDARmI/3nPB5RTXH4HFHm"
        "R2I7nfCNTSAzEqlW+rQOd6V6RUmTuQbvqoSYNjGfdylSQIVWZTHTbGFrk8Nhh2Yc+nxI+Md0ly1e38cQ5ppEevMI"
        "Ev1ZCVm93tejFviDykWj0SLWfTjHuCzj6s1S+zISopOGl0gNjkzad+NKJuaHxDIEr8VSMeK7m+NtdWUCgcA9Y+r8"
        "WpLDXoB8N4MvF1eOq86DE7U9ENoB2lwtxAxBknK4mDRkVMj8K37J8aIrDkDryzIQrEE+7XHmNvCizq+E/RYohrdm"
        "EQa4f0u3MSMJRbLKTjxXRAMve0j87xjvJx53gBYxPEESzimu941NrP4VMysmBvQF7HirQgNc4/LsOEzaC6uqL4MM"
        "vaPo87n6aTotYgzlMYqLL7mwiJMX9rZTp+zc7Fjbo00CKVuFLaS/yOIEZhtAJrAqlvWq5bQczhUCgcBbCi6ExK28"
        "F7cOpLtTPjsGIpwWOVSHo0wP4dthcw29vXNaIuo8sRlekX41Sh1SUsZDpGK5qO+SWjoEue1q0cN6JVWzCQwpsIC5"
        "qe15h75AQN5o7zL3UqbhbwG7U9UbbxhkXRQUp4Ey1lL+BDDC64fs9IIZ7noGF9ysIJlBjbguh7/oe1hWzYE1Whz3"
        "p/drylxIAF1JDaW5QU4nljMpEhAxZMmd0u0Czv9aPoLfO/pEUEylR3cMd3/u1KTXYteOW2ECgcA6e0LzLFRc7BCU"
        "dAtkUinHSh5AZwSsGrOZYTtlpvlQQhD1pUSF0m03v88iRtSqz1cGrR+BCVabKI/IPleveALhfc+NZmJ3WbkXAnP5"
        "ZdpVPm4/lsvhZSL5m7P4ff/ZvuO1Gjt5E05pS2w+YBPm2o5W5CyOPUjt9atX0u6S7c58oK4KK5ZhHawW2C2oBGzc"
        "sHhGhExHW+Jtt9LGC/AXNGes9t0VVKkDHwDndO+SK6a1XQdEf51lQScSedPvGd33TEo="
    ),
)
"""PKCS #1 in Base64."""


def private_key(number: int) -> RSAPrivateKey:
    """The pair in software. There are two, 0 and 1."""
    encoded = b64decode(_PAIRS[number])
    loaded = load_der_private_key(encoded, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(loaded, RSAPrivateKey)
    return loaded


def brought_in(
    session: pkcs11.Session, number: int, key_id: bytes, label: str, *, stored: bool = True
) -> Key:
    """The private half, as `generation.rsa_wrapping_key` makes one, but not born here."""
    return _private(session, number, key_id, label, MechanismFlag.DECRYPT, stored)


def identity_brought_in(session: pkcs11.Session, *, stored: bool = True) -> KeyPair:
    """Both halves, as `generation.rsa_key_pair` makes them, but not born here."""
    name = IDENTITY.encode()
    private = _private(session, 0, name, IDENTITY, MechanismFlag.SIGN, stored)
    encoded = private_key(0).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    public = {
        **decode_rsa_public_key(encoded, MechanismFlag.VERIFY),
        Attribute.TOKEN: stored,
        Attribute.ID: name,
        Attribute.LABEL: IDENTITY,
    }
    handle = session.create_object(public).handle
    assert handle is not None
    return KeyPair(private, Key(handle, ObjectClass.PUBLIC_KEY, name, IDENTITY))


def _private(
    session: pkcs11.Session,
    number: int,
    key_id: bytes,
    label: str,
    use: MechanismFlag,
    stored: bool,
) -> Key:
    attributes = {
        **decode_rsa_private_key(b64decode(_PAIRS[number]), use),
        Attribute.TOKEN: stored,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.MODIFIABLE: False,
        Attribute.ID: key_id,
        Attribute.LABEL: label,
    }
    handle = session.create_object(attributes).handle
    assert handle is not None
    return Key(handle, ObjectClass.PRIVATE_KEY, key_id, label)


def bring_in_what_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Session keys of the self-test are no longer made, which takes a second each."""
    honest = {name: getattr(generation, name) for name in ("rsa_wrapping_key", "rsa_key_pair")}

    def wrapping_key(
        session: pkcs11.Session, key_id: bytes, label: str, *, stored: bool = True, **more: Any
    ) -> int:
        if stored:
            made: int = honest["rsa_wrapping_key"](session, key_id, label, **more)
            return made
        return brought_in(session, 0, key_id, label, stored=False).handle

    def key_pair(
        session: pkcs11.Session, key_id: bytes, label: str, *, stored: bool = True, **more: Any
    ) -> tuple[int, int]:
        if stored:
            made: tuple[int, int] = honest["rsa_key_pair"](session, key_id, label, **more)
            return made
        pair = identity_brought_in(session, stored=False)
        return pair.private.handle, pair.public.handle

    monkeypatch.setattr(generation, "rsa_wrapping_key", wrapping_key)
    monkeypatch.setattr(generation, "rsa_key_pair", key_pair)
