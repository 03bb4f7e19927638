"""`python -m bosd.demo.leash PARENT ARGUMENT…` becomes `python -m bosd ARGUMENT…` that dies with process PARENT.

The kernel sends SIGKILL when the parent ends, however it ends; the setting outlives execve (prctl(2), PR_SET_PDEATHSIG). A
parent that died before the setting was made is noticed by its number. What dies so is simulated: nothing real runs on.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""


def main() -> None:
    """Tie this process to its parent, then become the program."""
    parent, *arguments = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit("the demo is gone")
    os.execv(sys.executable, [sys.executable, "-m", "bosd", *arguments])  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    main()
