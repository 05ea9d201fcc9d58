"""A holder in a process of its own that is killed (-9) at any step, and started again.

Its token and its store stay where they are. What is called on it runs there; `Party` looks like the
one of tests/agent/simulate.py, so that whoever drives a key generation or a signature notices
nothing but that it dies.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import socket
import struct
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hsm_mpc import steps
from hsm_mpc.agent.reservations import ROUND_SECONDS
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.hsm import canary, keys
from hsm_mpc.hsm.identity import Identity
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import shield_this_thread
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.wire.calls import failure_of, parts_of
from tests.agent.simulate import Party as LivingParty
from tests.agent.simulate import World
from tests.crash.deaths import killing_at
from tests.crash.invariants import Remains
from tests.crash.phoenix import clear
from tests.softhsm import USER_PIN, create_token, secret_of, softhsm_environment
from tests.software_identity import ed25519_key

_LABEL = "mortal"


Place = tuple[World, list["Mortal"]]
"""A world whose parties are these."""


class DiedError(Exception):
    """The process was killed while it worked."""


class TimelyWorld(World):
    """Its clock runs: who is killed again and again has channels younger than the others' start."""

    def clock(self) -> int:
        return int(time.time())


class Mortal:
    """One holder. `place` holds its token, its store and its own copy of the PKCS#11 module."""

    def __init__(self, place: Path, index: int, module: str) -> None:
        self.place = place
        self.index = index
        place.mkdir()
        self._module = place / "module.so"
        shutil.copy(module, self._module)
        self._roster = b""
        self._pid = 0
        self._link: socket.socket

    def start(self) -> None:
        """A new process; if there is a roster, its holder acts at once."""
        ours, theirs = socket.socketpair()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a test runner may have threads
            self._pid = os.fork()
        if self._pid == 0:
            try:
                ours.close()
                _Servant(self.place, self.index, str(self._module), theirs).serve()
            finally:
                os._exit(1)
        theirs.close()
        self._link = ours
        if self._roster:
            self.call("act", self._roster)

    def act(self, roster: Roster) -> None:
        """From now on it is a holder of this roster, after every start."""
        self._roster = roster.to_bytes()
        self.call("act", self._roster)

    def call(self, name: str, *arguments: Any) -> Any:
        """What `name` of the party there gives for these arguments.

        Raises:
            DiedError: it was killed meanwhile.
        """
        _send(self._link, (name, arguments))
        try:
            form, result = _receive(self._link)
        except EOFError:
            self.bury()
            raise DiedError(f"holder {self.index} was killed") from None
        if form == "failure":
            parts_of(result)
        return result

    def remains(self) -> Remains:
        """What is on its disk and in its HSM now, which must be whole."""
        remains: Remains = self.call("remains")
        remains.require_whole()
        return remains

    def kill(self) -> None:
        """As somebody may do at any time."""
        os.kill(self._pid, signal.SIGKILL)
        self.bury()

    @property
    def lives(self) -> bool:
        """As far as anybody knows here."""
        return self._pid != 0

    def bury(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "it ended by itself"
        self._pid = 0
        self._link.close()

    @property
    def party(self) -> Any:
        """Everything that `call` can reach, as attributes."""
        return _Remote(self, "")


@dataclass
class _Remote:
    mortal: Mortal
    name: str

    def __getattr__(self, name: str) -> _Remote:
        return _Remote(self.mortal, f"{self.name}.{name}" if self.name else name)

    def __call__(self, *arguments: Any) -> Any:
        return self.mortal.call(self.name, *arguments)


@contextmanager
def mortals(folder: Path, module: str, n: int) -> Iterator[tuple[World, list[Mortal]]]:
    """n holders of one lab roster, and a world of which they are the parties."""
    living = [Mortal(folder / f"h{index}", index, module) for index in range(1, n + 1)]
    try:
        members = []
        for mortal in living:
            mortal.start()
            key = VerifyingKey.read(Reader(mortal.call("key"), "key"))
            members.append(Member(f"h{mortal.index}", key))
        roster = Roster(True, 1, FIRST_PREDECESSOR, tuple(members))
        for mortal in living:
            mortal.act(roster)
        world = TimelyWorld(
            {mortal.index: mortal.party for mortal in living},
            roster,
            ed25519_key(b"1" * 32),
            ed25519_key(b"2" * 32),
        )
        yield world, living
    finally:
        for mortal in living:
            if mortal._pid:
                mortal.kill()


@dataclass
class _Servant:
    """The other side of a link, in the child."""

    place: Path
    index: int
    module: str
    link: socket.socket
    arena: Arena = field(default_factory=lambda: Arena(256 * 1024))
    party: LivingParty | None = None
    world: TimelyWorld = field(init=False)

    def serve(self) -> None:
        shield_this_thread()
        token, identity = self._token()
        while True:
            name, arguments = _receive(self.link)
            if name == "key":
                _send(self.link, ("result", identity.key.to_bytes()))
            elif name == "act":
                self.party = self._party(Roster.from_bytes(arguments[0]), token, identity)
                _send(self.link, ("result", None))
            elif name == "die_at":
                steps.observe(killing_at(*arguments))
                _send(self.link, ("result", None))
            elif name == "wait":
                self.world.later[0] += arguments[0]
                _send(self.link, ("result", None))
            elif name == "give_up":
                self._give_up()
                _send(self.link, ("result", None))
            elif name == "clear":
                assert self.party is not None
                clear(self.party)
                _send(self.link, ("result", None))
            elif name == "remains":
                assert self.party is not None
                _send(self.link, ("result", Remains.of(self.party)))
            else:
                _send(self.link, self._answer(name, arguments))

    def _answer(self, name: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
        target: Any = self.party
        for part in name.split("."):
            target = getattr(target, part)
        try:
            return "result", target(*arguments)
        except HsmMpcError as error:
            return "failure", failure_of(error)

    def _token(self) -> tuple[Token, Identity]:
        fresh = not (self.place / "tokens").exists()
        module = Module.load(self.module, softhsm_environment(self.place))
        token = create_token(module, self.arena, _LABEL) if fresh else module.token(_LABEL)
        pin = secret_of(self.arena, USER_PIN)
        token.login(pin)
        pin.release()
        if fresh:
            keys.generate_canary_key(token)
            keys.generate_identity_key(token)
        canary.arm(token)
        pair = keys.find_identity_key(token)
        assert pair is not None
        return token, Identity(token, pair)

    def _party(self, roster: Roster, token: Token, identity: Identity) -> LivingParty:
        store = HolderStore.create(self.place / "store")
        self.world = TimelyWorld({}, roster, ed25519_key(b"1" * 32), ed25519_key(b"2" * 32))
        return self.world.party(self.index, token, identity, store, self.arena)

    def _give_up(self) -> None:
        """Time passes, and nobody goes on with what was begun."""
        assert self.party is not None
        self.world.later[0] += ROUND_SECONDS + 1
        self.party.ceremonies.expire()


def _send(link: socket.socket, content: object) -> None:
    body = pickle.dumps(content)
    try:
        link.sendall(struct.pack(">I", len(body)) + body)
    except OSError:
        return  # who was killed does not listen; the answer will tell


def _receive(link: socket.socket) -> tuple[Any, Any]:
    (length,) = struct.unpack(">I", _exactly(link, 4))
    received: tuple[Any, Any] = pickle.loads(_exactly(link, length))
    return received


def _exactly(link: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        try:
            part = link.recv(length - len(parts))
        except OSError:
            part = b""
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
