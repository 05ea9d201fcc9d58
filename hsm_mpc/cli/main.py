"""`hsm-mpc`: the tree of verbs, and the one place where errors become exit codes.

Results go to stdout, all else to stderr. With `--json` stdout holds exactly one JSON document, also
on failure.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import click
import typer

from hsm_mpc.cli import (
    admin,
    agent,
    audit,
    bench,
    client,
    coordinator,
    demo,
    holder,
    host,
    lab,
    share,
    sign,
    token,
    wallet,
)
from hsm_mpc.cli.output import Output
from hsm_mpc.errors import BadInput, HsmMpcError

JSON = "--json"
INTERRUPTED = 130
UNEXPECTED = 1

app = typer.Typer(
    name="hsm-mpc",
    help="Holds a share of a threshold-signature wallet's key, sealed under a key inside an HSM.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _global_options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(envvar="HSM_MPC_CONFIG", help="holder.yaml, client.yaml or coordinator.yaml."),
    ] = None,
    json: Annotated[
        bool, typer.Option(JSON, help="Print one JSON document; may stand anywhere.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask for no confirmation.")] = False,
    no_input: Annotated[
        bool, typer.Option("--no-input", help="Never prompt: fail instead.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say on stderr what is being done.")
    ] = False,
) -> None:
    """Options that every verb understands; they stand before the verb."""
    output: Output = context.obj
    output.json |= json
    output.config = config
    output.yes, output.no_input, output.verbose = yes, no_input, verbose


app.add_typer(wallet.verbs, name="wallet")
app.command()(sign.sign)
app.command()(sign.verify)
app.add_typer(holder.verbs, name="holder")
app.add_typer(token.verbs, name="token")
app.add_typer(agent.verbs, name="agent")
app.add_typer(share.verbs, name="share")
app.add_typer(audit.verbs, name="audit")
app.add_typer(coordinator.verbs, name="coordinator")
app.add_typer(client.verbs, name="client")
app.add_typer(admin.verbs, name="admin")
app.add_typer(lab.verbs, name="lab")
for verb in (host.doctor, host.inventory, host.status, demo.demo, bench.bench):
    app.command()(verb)


def main() -> None:
    """Entry point of the console script."""
    arguments = [argument for argument in sys.argv[1:] if argument != JSON]
    output = Output(json=JSON in sys.argv)
    try:
        sys.exit(_run(arguments, output))
    except BrokenPipeError:
        sys.exit(UNEXPECTED)


def _run(arguments: list[str], output: Output) -> int:
    try:
        code = app(arguments, obj=output, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Abort:
        return output.failure("interrupted", INTERRUPTED, "interrupted")
    except click.ClickException as wrong:
        return output.failure(BadInput.kind, BadInput.exit_code, wrong.format_message())
    except KeyboardInterrupt:
        return output.failure("interrupted", INTERRUPTED, "interrupted")
    except HsmMpcError as error:
        return output.failure(
            error.kind, error.exit_code, str(error), retryable=error.retryable, **error.facts()
        )
    except Exception as unexpected:
        return output.bug(unexpected)


if __name__ == "__main__":
    main()
