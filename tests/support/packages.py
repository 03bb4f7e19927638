"""Python packages in a directory: installed with pip, or made of their metadata and one module as pip leaves them."""

import subprocess
import sys
from pathlib import Path
from shutil import copytree

from tests.support.processes import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "bosd-driver-example"


def install_example(directory: Path) -> Path:
    """Build and install the example of a driver with pip, from this machine alone; return where it is."""
    source, site = directory / "source", directory / "site"
    copytree(EXAMPLE, source)  # a build leaves its traces beside the sources
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*command, "--no-build-isolation", "--target", str(site), str(source)], check=True, timeout=120)
    return site


def write_package(site: Path, name: str, kinds: dict[str, str], code: str, group: str = "bosd.drivers") -> Path:
    """Write a package `name` whose module holds `code` and whose entry points are `kinds`; return its directory."""
    metadata = site / f"{name}-2.0.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
    points = "".join(f"{kind} = {target}\n" for kind, target in kinds.items())
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{points}")
    (site / f"{name}.py").write_text(code)
    return site
