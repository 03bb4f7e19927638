"""Generate the committed stubs from proto/, or with --check say which of them are not current."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
STUBS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def generate(target: Path) -> dict[Path, bytes]:
    """Run protoc into `target`; return what it made, by path relative to it."""
    sources = sorted(str(path.relative_to(ROOT)) for path in PROTO.rglob("*.proto"))
    outputs = [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", "proto", *outputs, *sources], cwd=ROOT, check=True)
    return read(target, Path())


def read(root: Path, folder: Path) -> dict[Path, bytes]:
    """Return the stubs below `folder` of `root`, by path relative to `root`."""
    found = (path for pattern in STUBS for path in (root / folder).rglob(pattern))
    return {path.relative_to(root): path.read_bytes() for path in found}


def main() -> int:
    """Write the stubs, or compare; return the exit status."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = generate(Path(scratch))
    committed = read(ROOT, Path("bosd"))
    stale = sorted(path for path in fresh.keys() | committed.keys() if fresh.get(path) != committed.get(path))
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path} is not what proto/ says: run `make proto`")
        return 1 if stale else 0
    for path in stale:
        if path in fresh:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_bytes(fresh[path])
        else:
            (ROOT / path).unlink()
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
