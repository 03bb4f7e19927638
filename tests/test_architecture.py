"""Rules of the house that no single module can see."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bosd import errors

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    """Return every module written by hand, as paths below the root."""
    found = (path.relative_to(ROOT) for package in ("bosd", "clients") for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in found if path.parts[:2] != ("bosd", "v1") and "pb" not in path.parts)


def functions(path: Path) -> Iterator[Function]:
    """Yield every function of the module, nested ones and methods too."""
    tree = ast.parse((ROOT / path).read_text(), filename=str(path))
    yield from (node for node in ast.walk(tree) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    """Count the lines from the first statement after the docstring to the last."""
    has_docstring = ast.get_docstring(function, clean=False) is not None
    body = function.body[1:] if has_docstring else function.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def leaves(root: type[errors.BosError]) -> Iterator[type[errors.BosError]]:
    """Yield the classes of the error tree that nothing derives from."""
    children = [child for child in root.__subclasses__() if child.__module__ == errors.__name__]
    if not children:
        yield root
    for child in children:
        yield from leaves(child)


def test_imports_only_go_down() -> None:
    """The layers and bans of pyproject.toml (import-linter) hold."""
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_stay_small() -> None:
    """No module has more than 400 lines."""
    sizes = {str(path): len((ROOT / path).read_text().splitlines()) for path in sources()}
    assert {path: size for path, size in sizes.items() if size > MAX_MODULE_LINES} == {}


def test_functions_stay_short() -> None:
    """No function has more than 50 lines of body, docstring not counted."""
    sizes = {f"{path}:{f.lineno} {f.name}": body_lines(f) for path in sources() for f in functions(path)}
    assert {place: size for place, size in sizes.items() if size > MAX_FUNCTION_LINES} == {}


def test_each_error_has_a_reason_of_its_own() -> None:
    """Every leaf of the error tree names its reason in capitals, and no two share one."""
    reasons = [leaf.reason for leaf in leaves(errors.BosError)]
    assert all(re.fullmatch(r"[A-Z]+(_[A-Z]+)*", reason) for reason in reasons)
    assert sorted(reasons) == sorted(set(reasons))


def test_errors_are_declared_in_one_module() -> None:
    """No other module adds a branch to the error tree."""
    known = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.BosError)}
    strays = [
        f"{path}:{node.lineno} {node.name}"
        for path in sources()
        if path != Path("bosd/errors.py")
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).rpartition(".")[2] in known for base in node.bases)
    ]
    assert strays == []


def test_generated_stubs_are_current() -> None:
    """What protoc makes of proto/ today is what is committed."""
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    done = subprocess.run([sys.executable, "tools/proto.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_left_open() -> None:
    """No marker of unfinished work stands in the code: an issue holds it, or a decision in ARCHITECTURE.md."""
    marker = re.compile(r"\b(TODO|FIXME|XXX)\b")
    assert [str(path) for path in sources() if marker.search((ROOT / path).read_text())] == []


@pytest.mark.parametrize("module", ["bosd.bal.status", "bosd.errors", "bosd.policy"])
def test_the_core_costs_no_library(module: str) -> None:
    """A fresh interpreter that imports a module of the core has loaded no third-party library and no event loop."""
    program = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"asyncio", "grpc", "structlog", "sqlalchemy", "serial", "rich", "typer"} & set(done.stdout.split()) == set()
