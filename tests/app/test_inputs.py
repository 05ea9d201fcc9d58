from __future__ import annotations

from pathlib import Path

import pytest

from hsm_mpc.app import inputs
from hsm_mpc.errors import BadInput


def test_hexadecimal_is_read_strictly() -> None:
    assert inputs.digest_of("AB" * 32) == b"\xab" * 32
    assert inputs.signature_of("") == b""
    for text in ("", "ab" * 31, "xy" * 32):
        with pytest.raises(BadInput, match="digest"):
            inputs.digest_of(text)
    with pytest.raises(BadInput, match="signature 'x' is not hexadecimal"):
        inputs.signature_of("x")


def test_a_message_is_a_files_bytes_up_to_a_size(tmp_path: Path) -> None:
    file = tmp_path / "message"
    file.write_bytes(b"x" * (1 << 20))
    assert len(inputs.message_in(file)) == 1 << 20
    file.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(BadInput, match="larger than"):
        inputs.message_in(file)
    with pytest.raises(BadInput, match="No such file"):
        inputs.message_in(tmp_path / "nowhere")
