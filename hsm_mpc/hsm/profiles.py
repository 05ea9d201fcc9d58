"""How kinds of tokens depart from the standard, each under a name.

`hsm.profile` in holder.yaml names one; without it the token's manufacturer does. A profile holds
only what cannot be found by trying. What the self-test finds (mechanisms, the form of registers)
and what CK_TOKEN_INFO tells (how many sessions, how long PINs) is in none; id and label are set in
every key of ours, and every output has the room that the widest module wants. Where each fact is
from: the profile's page in docs/hsm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from hsm_mpc.hsm.cryptoki import Attribute, Hash


class IvMaker(Enum):
    """Who makes the IV when the token encrypts by AES-GCM, and where it is found afterwards."""

    HOLDER = "the holder"
    HSM_IN_PARAMETER = "the HSM, which writes it over twelve zeros in the parameter"
    HSM_BEHIND_TAG = "the HSM, which appends sixteen bytes to ciphertext and tag"


@dataclass(frozen=True, slots=True)
class Profile:
    """What is peculiar to one kind of token."""

    name: str
    """As `hsm.profile` has it."""
    page: str
    """The file in docs/hsm that says what to install and what to expect."""
    manufacturer: str | None = None
    """What its name in CK_TOKEN_INFO begins with; None: the profile is chosen by name alone."""
    untested: bool = False
    """Written from public documentation: it was never tried on the hardware."""
    factory_so_pin: bytes | None = None
    """The security officer's PIN of a new token, which everybody knows; None: he brings his own."""
    bears_its_label: bool = False
    """A new token has its label from the module's parameters: C_InitToken would only erase it."""
    changes_alone: bool = False
    """No other thread may be in the module while one makes or destroys objects."""
    iv_maker: IvMaker = IvMaker.HOLDER
    oaep_hash: Hash | None = None
    """The only hash that is tried with RSA-OAEP, so that a fault never ends in a weaker one; None:
    SHA-256, then SHA-1."""
    leaves_out: frozenset[Attribute] = frozenset()
    """Attributes that the module does not take in the template of a new key. What it says of them
    is not looked at either, so nothing may stand here that keeps a key inside."""

    @property
    def oaep_hashes(self) -> tuple[Hash, ...]:
        """What is tried, in this order."""
        return (Hash.SHA256, Hash.SHA1) if self.oaep_hash is None else (self.oaep_hash,)

    def __str__(self) -> str:
        return f"{self.name}, untested on hardware" if self.untested else self.name


STANDARD: Final = Profile("standard", page="README.md")
SOFTHSM: Final = Profile("softhsm", page="softhsm.md", manufacturer="SoftHSM", changes_alone=True)
"""Version 2.6.1 fails to make an object that another thread just finds (SoftHSMv2 issue 573)."""
NSS: Final = Profile(
    "nss",
    page="nss.md",
    manufacturer="Mozilla Foundation",
    factory_so_pin=b"",
    bears_its_label=True,
    leaves_out=frozenset({Attribute.COPYABLE}),
)
"""The officer's PIN of a new token is empty, and nobody is its officer once the user PIN is set."""
OPENCRYPTOKI: Final = Profile(
    "opencryptoki",
    page="opencryptoki.md",
    manufacturer="IBM",
    factory_so_pin=b"87654321",
    changes_alone=True,
    oaep_hash=Hash.SHA256,
    leaves_out=frozenset({Attribute.COPYABLE}),
)
"""Version 3.8.1 crashes where objects change while others look for some."""
AWS_CLOUDHSM: Final = Profile(
    "aws-cloudhsm",
    page="aws-cloudhsm.md",
    untested=True,
    iv_maker=IvMaker.HSM_IN_PARAMETER,
    leaves_out=frozenset({Attribute.COPYABLE, Attribute.MODIFIABLE}),
)
LUNA: Final = Profile("luna", page="luna.md", untested=True)
LUNA_FIPS: Final = Profile(
    "luna-fips",
    page="luna.md",
    untested=True,
    iv_maker=IvMaker.HSM_BEHIND_TAG,
)
NSHIELD: Final = Profile(
    "nshield", page="nshield.md", manufacturer="nCipher Corp. Ltd", untested=True
)
UTIMACO: Final = Profile(
    "utimaco", page="utimaco.md", manufacturer="Utimaco IS GmbH", untested=True
)
YUBIHSM2: Final = Profile("yubihsm2", page="yubihsm2.md", untested=True)

PROFILES: Final = (
    STANDARD,
    SOFTHSM,
    NSS,
    OPENCRYPTOKI,
    AWS_CLOUDHSM,
    LUNA,
    LUNA_FIPS,
    NSHIELD,
    UTIMACO,
    YUBIHSM2,
)


def named(name: str) -> Profile:
    """The profile of this name, one of `PROFILES`."""
    return {profile.name: profile for profile in PROFILES}[name]


def of_manufacturer(manufacturer: str) -> Profile:
    """By what a token says of its manufacturer."""
    for profile in PROFILES:
        if profile.manufacturer is not None and manufacturer.startswith(profile.manufacturer):
            return profile
    return STANDARD
