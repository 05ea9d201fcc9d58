"""`hsm-mpc ARGUMENTS`, killed at one of its steps.

    python -m tests.crash.dying MOMENT NUMBER ARGUMENTS...

MOMENT is `before` or `after`, NUMBER counts the steps that change disk or token, from 0.
"""

from __future__ import annotations

import sys

from hsm_mpc import steps
from hsm_mpc.cli.main import main
from tests.crash.deaths import killing_at

if __name__ == "__main__":
    moment, number, *arguments = sys.argv[1:]
    assert moment in ("before", "after")
    steps.observe(killing_at("before" if moment == "before" else "after", int(number)))
    sys.argv[1:] = arguments
    main()
