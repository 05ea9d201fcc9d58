"""`hsm-mpc sign` and `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsm_mpc.cli.output import Output, exactly_one, list_of

if TYPE_CHECKING:
    from hsm_mpc.app import signing

_FIRST = "m/0/0"
_Name = Annotated[str, typer.Argument(help="The wallet.")]
_Message = Annotated[Path | None, typer.Option(help="A file: its bytes are what is signed.")]
_Digest = Annotated[str | None, typer.Option(help="32 bytes in hex: a raw signature hash.")]
_Path = Annotated[str, typer.Option(help="Which key of a taproot wallet: m/CHANGE/INDEX.")]


def sign(
    context: typer.Context,
    name: _Name,
    message: _Message = None,
    digest: _Digest = None,
    signers: Annotated[str | None, typer.Option(help="h1,h2,…: only these may sign.")] = None,
    path: _Path = _FIRST,
    out: Annotated[
        Path | None, typer.Option(help="Write the signature's 64 bytes to this file, too.")
    ] = None,
) -> None:
    """Have a quorum of holders sign; the signature is verified before it is printed."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import inputs, signing

    output: Output = context.obj
    config = output.wanted_config()
    exactly_one({"--message": message, "--digest": digest})
    content = inputs.message_in(message) if message else inputs.digest_of(digest or "")
    signed = signing.sign(
        config,
        name,
        content,
        digest=digest is not None,
        signers=list_of(signers) or (),
        path=path,
    )
    if out is not None:
        output.write(out, signed.signature)
    output.answer(signed, _signed)


def verify(
    context: typer.Context,
    name: _Name,
    signature: Annotated[str, typer.Option(help="In hex.")],
    message: _Message = None,
    digest: _Digest = None,
    path: _Path = _FIRST,
) -> None:
    """Check a signature under a wallet's key: exit 0 if it is valid, 8 if not."""
    from hsm_mpc.app.protection import protect

    protect()
    from hsm_mpc.app import inputs, signing

    output: Output = context.obj
    config = output.wanted_config()
    exactly_one({"--message": message, "--digest": digest})
    content = inputs.message_in(message) if message else inputs.digest_of(digest or "")
    verified = signing.verify(config, name, content, inputs.signature_of(signature), path)
    key = verified.public_key.hex()
    output.answer(verified, lambda shown: f"valid: wallet {shown.wallet}, key {key}")


def _signed(signed: signing.Signature) -> str:
    return (
        f"signature   {signed.signature.hex()}\n"
        f"public key  {signed.public_key.hex()}\n"
        f"signed by   {', '.join(signed.signers)}, in {signed.elapsed_ms} ms"
    )
