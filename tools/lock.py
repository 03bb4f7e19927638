"""Resolve all dependencies anew, ignoring what is installed, and pin the outcome in constraints.txt."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# The versions everything is tested with, made by `make lock`: pip install -c constraints.txt .\n"


def resolve() -> dict[str, str]:
    """Return name and version of every distribution that `.[dev]` needs, itself left out."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-", ".[dev]"]
    report = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    found = (item["metadata"] for item in report["install"])
    return {item["name"].lower().replace("_", "-"): item["version"] for item in found if item["name"] != "bosd"}


def main() -> None:
    """Write constraints.txt."""
    pins = [f"{name}=={version}\n" for name, version in sorted(resolve().items())]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(pins))
    print(f"constraints.txt: {len(pins)} distributions")


if __name__ == "__main__":
    main()
