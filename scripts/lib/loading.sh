# shellcheck shell=bash
# Sourced by softhsm/find.sh, nss/fetch, p11kit/fetch and opencryptoki/fetch: whether a PKCS#11 module
# can be loaded. Needs PYTHON.

# What the loader says; empty when the module loads. A module of another architecture does not.
why_not_loadable() { # why_not_loadable PATH
    "$PYTHON" -I -c '
import ctypes, sys
try:
    ctypes.CDLL(sys.argv[1]).C_GetFunctionList
except (OSError, AttributeError) as error:
    print(error)
' "$1"
}
