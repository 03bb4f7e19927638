"""`python leash.py PARENT PROGRAM ARGUMENT…` becomes PROGRAM that dies with process PARENT, however that ends.

The kernel's setting outlives execve (prctl(2), PR_SET_PDEATHSIG); a parent that is gone already is noticed by its number.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""


def main() -> None:
    """Tie this process to its parent, then become the program."""
    parent, program, *arguments = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit("the daemon is gone")
    try:
        os.execv(program, [program, *arguments])  # noqa: S606 (no shell is wanted)
    except OSError as error:
        sys.exit(f"{program}: {error.strerror}")


if __name__ == "__main__":
    main()
