"""Which programs have a device open, as far as this user may see."""

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PTS = "/dev/pts/"


@dataclass(frozen=True, slots=True)
class Holder:
    """A program that has the device open."""

    pid: int
    program: str

    def __str__(self) -> str:
        return f"{self.program} (process {self.pid})"


def holders_of(path: str, proc: Path = _PROC) -> tuple[Holder, ...]:
    """Return the other processes that have the device at `path` open; those of other users show to root alone.

    The process at the far end of a pseudo-terminal, a simulator, is the device itself and not one of them.
    """
    real = os.path.realpath(path)
    others = [entry for entry in proc.iterdir() if entry.name.isdecimal() and int(entry.name) != os.getpid()]
    holding = [entry for entry in others if _has_open(entry, real) and not _is_far_end(entry, real)]
    found = [Holder(int(entry.name), _program(entry)) for entry in holding]
    return tuple(sorted(found, key=lambda holder: holder.pid))


def _has_open(process: Path, real: str) -> bool:
    try:
        return any(str(descriptor.readlink()) == real for descriptor in (process / "fd").iterdir())
    except OSError:
        return False


def _is_far_end(process: Path, real: str) -> bool:
    """Return whether a process has the master of the pseudo-terminal `real` open (proc(5): its `fdinfo` has the `tty-index`)."""
    if not real.startswith(_PTS):
        return False
    index = ["tty-index:", real.removeprefix(_PTS)]
    try:
        masters = [entry.name for entry in (process / "fd").iterdir() if entry.readlink().name == "ptmx"]
        texts = [(process / "fdinfo" / name).read_text(encoding="ascii", errors="replace") for name in masters]
    except OSError:
        return False
    return any(line.split() == index for text in texts for line in text.splitlines())


def _program(process: Path) -> str:
    """Return the program's name: of an interpreter, the script's or module's; of bosd also which it is."""
    try:
        words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "a program"
    name = Path(words[0]).name
    if name.startswith("python") and len(words) > 1 and (words[1] == "-m" or not words[1].startswith("-")):
        words = words[2:] if words[1] == "-m" and len(words) > 2 else words[1:]
        name = Path(words[0]).name
    if name == "bosd" and len(words) > 1 and words[1].isalpha():
        name = f"bosd {words[1]}"  # a node, its guard and a simulator are different things to end
    return name or "a program"
