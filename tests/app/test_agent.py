"""What keeps `agent run` from starting, before it touches the HSM."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsm_mpc.app import agent
from hsm_mpc.config import FrontConfig, HolderConfig
from hsm_mpc.errors import BadConfig, PinRefused

MINIMAL = """\
version: 1
name: h1
store: store
hsm: {module: m.so, token: h1, pin_source: "file:pin"}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "holder.yaml"
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    return path


def started(config: Path) -> None:
    agent.run(config, prompt=False, ready=lambda _: None)


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("", "no front is configured"),
        ("front: {socket: run/front, group: no such group}", "no group"),
        ("front: {socket: run/front, user: no such user}", "no user"),
        ("front: {socket: holder.yaml/front}", "front.socket"),
    ],
)
def test_a_front_that_cannot_be_is_refused(tmp_path: Path, front: str, said: str) -> None:
    with pytest.raises(BadConfig, match=said):
        started(written(tmp_path, f"{MINIMAL}{front}\n"))


def test_a_users_own_group_goes_with_it() -> None:
    config = FrontConfig(socket=Path("s"), user="nobody", group="root")
    place = agent._place(HolderConfig.model_construct(front=config))
    assert place.user is not None
    assert (place.user.uid, place.group) == (65534, 0)
    assert place.user.gid > 0


@pytest.mark.parametrize("source", ["fd:999", "prompt"])
def test_a_pin_that_is_not_there_any_more_is_lost(tmp_path: Path, source: str) -> None:
    text = MINIMAL.replace("file:pin", source) + "front: {socket: run/front}\n"
    with pytest.raises(PinRefused, match="by hand"):
        started(written(tmp_path, text))
