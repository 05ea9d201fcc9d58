"""The product as it is run: a signer of a lab dies at one of its steps while a user goes on.

The user creates a wallet and signs, by the command line; then the signer is started again, and the
user does what the manual says: asks for the wallet, creates it again, and where that is refused
discards what is left and takes another name. After that everything signs, no HSM lacks a key, every
audit log is whole, and in the end the names are free again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import coincurve
import pytest

from hsm_mpc.agent.reservations import ROUND_SECONDS
from hsm_mpc.lab.processes import environment
from tests.conftest import ROOT
from tests.crash.deaths import MOMENTS, Moment
from tests.lab.labs import Lab, temporary_lab

pytestmark = [pytest.mark.serial, pytest.mark.long]

STRIDE = 12
"""Every so many steps of one signer's life: start, key generation, signature."""
MADE_BY_INIT = 3
"""Both halves of the identity key, and the canary key."""
MESSAGE = b"pay the baker"


@pytest.fixture(scope="module")
def lab(softhsm_module: str) -> Iterator[Lab]:
    with temporary_lab(softhsm_module) as lab:
        (lab.folder / "message").write_bytes(MESSAGE)
        yield lab


@dataclass
class User:
    """Somebody with a command line, and the wallet that it wants."""

    lab: Lab
    wallet: str

    def creates(self) -> bool:
        """Whether the wallet could be made; an error says that it was not."""
        create = ("wallet", "create", self.wallet, "--scheme", "taproot", "--threshold", "2")
        return self.lab.client(*create).code == 0

    def sees(self) -> bool:
        """Whether it can be shown: what is certified is finished by asking."""
        return self.lab.client("wallet", "show", self.wallet).code == 0

    def signs(self, signers: str) -> bool:
        """Whether these signed, as an independent verifier says."""
        message = str(self.lab.folder / "message")
        told = self.lab.client("sign", self.wallet, "--message", message, "--signers", signers)
        if told.code != 0:
            return False
        key = coincurve.PublicKeyXOnly(bytes.fromhex(told.document["public_key"]))
        return key.verify(bytes.fromhex(told.document["signature"]), MESSAGE)

    def of_holder(self, name: str, *verb: str) -> Any:
        """A verb of a holder's operator, which must go well."""
        told = self.lab.ran("--config", str(self.lab.folder / name / "holder.yaml"), *verb)
        assert told.code == 0, told.document
        return told.document

    def discards_what_is_left(self) -> None:
        for name in self.lab.holders():
            states = {
                share["wallet"]: share["state"]
                for share in self.of_holder(name, "share", "list")["shares"]
            }
            if states.get(self.wallet) == "prepared":
                self.of_holder(name, "share", "discard", self.wallet)


def dying_signer(lab: Lab, moment: Moment, number: int) -> subprocess.Popen[bytes]:
    """`agent run` of h1, up or dead."""
    config = str(lab.folder / "h1" / "holder.yaml")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.crash.dying", moment, str(number)),
            *("--json", "--no-input", "--config", config, "agent", "run"),
        ],
        cwd=ROOT,
        env=environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process.stdout as told:  # type: ignore[union-attr]
        told.read(1)  # of its ready line; or nothing, if it died before that
    return process


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signer_that_dies_while_its_wallets_are_used(
    lab: Lab, moment: Moment, report_line: Callable[[str], None]
) -> None:
    number, deaths, given_up = 0, 0, []
    while True:
        user = User(lab, f"{moment}-{number}")
        lab.lab("stop-holder", "h1")
        signer = dying_signer(lab, moment, number)
        created = user.creates()
        signed = created and user.signs("h1,h2")
        died = signer.poll() is not None
        signer.kill()
        signer.wait()
        lab.lab("start-holder", "h1")
        if not created and not user.sees() and not user.creates():
            user.discards_what_is_left()
            given_up.append(user.wallet)
            user.wallet += "-again"  # the other name is free only after a while
            assert user.creates(), number
        assert all(user.signs(signers) for signers in ("h1,h2", "h1,h3", "h2,h3")), number
        for name in lab.holders():
            assert user.of_holder(name, "inventory")["missing"] == []
            assert user.of_holder(name, "audit", "verify")["lines"] > 0
        if not died:
            assert signed
            break
        number, deaths = number + STRIDE, deaths + 1
    assert deaths > 10
    time.sleep(ROUND_SECONDS)
    assert User(lab, given_up[0]).creates()
    for name in lab.holders():
        shares = user.of_holder(name, "share", "list")["shares"]
        assert {share["state"] for share in shares} == {"active"}
        keys = user.of_holder(name, "inventory")["keys"]
        assert {key["verdict"] for key in keys} == {"ok"}
        assert len(keys) == len(shares) + MADE_BY_INIT
    report_line(f"lab: a signer died {moment} {deaths} of its {number} changes, {STRIDE} apart")
