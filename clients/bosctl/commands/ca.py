"""`ca`: the own authority, and the certificates of nodes and people."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bosd.errors import BosError
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.session import session_of
from clients.bosctl.trust import directory
from clients.bosctl.values import parse_duration_s

if TYPE_CHECKING:
    from rich.console import Console

    from bosd.pki.authority import Authority
    from bosd.pki.bundle import Bundle
    from bosd.pki.identity import Role

YEAR_S = 365 * 86400.0
app = typer.Typer(help="The own authority: certificates of nodes and people.", no_args_is_help=True)

Dir = Annotated[
    Path | None, typer.Option("--dir", envvar="BOSD_CA_DIR", metavar="DIR", help="The CA's directory.", show_default=False)
]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="The bundle to write.", show_default=False)]
Life = Annotated[
    float | None,
    typer.Option(
        "--for", metavar="TIME", parser=parse_duration_s, help="How long it is good; a year by default.", show_default=False
    ),
]
Who = Annotated[str, typer.Argument(metavar="ROLE:NAME", help="Such as node:hut.", show_default=False)]


@app.command("init")
def init(context: typer.Context, directory_: Dir = None, name: Annotated[str, typer.Option(help="Its name.")] = "bosd") -> None:
    """Make the authority; keep its directory off the nodes, and a copy of it in a safe place."""
    from bosd.pki.authority import Authority  # noqa: PLC0415 (these commands only)

    place = directory_ or _default()
    try:
        Authority.create(place, name, _now())
    except (BosError, OSError) as error:
        _fail(error)
    _answer(context, {"directory": str(place)}, f"{place}: a new CA; ca.key in it is every right there is")


@app.command("issue")
def issue(  # noqa: PLR0917 (one parameter per role)
    context: typer.Context,
    node: Annotated[str | None, typer.Option(metavar="NAME", help="For a node, by the name in its configuration.")] = None,
    viewer: Annotated[str | None, typer.Option(metavar="NAME", help="For one who reads.")] = None,
    operator: Annotated[str | None, typer.Option(metavar="NAME", help="For one who sets, books and stops.")] = None,
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="For one who has batteries of its own.")] = None,
    admin: Annotated[str | None, typer.Option(metavar="NAME", help="For one who may do everything.")] = None,
    out: Out = None,
    life: Life = None,
    directory_: Dir = None,
) -> None:
    """Issue a certificate as one file, to be carried to its bearer and installed there."""
    from bosd.pki.identity import Role  # noqa: PLC0415 (these commands only)

    given = {Role.NODE: node, Role.VIEWER: viewer, Role.OPERATOR: operator, Role.TENANT: tenant, Role.ADMIN: admin}
    named = [(role, name) for role, name in given.items() if name is not None]
    if len(named) != 1:
        raise typer.BadParameter("Name one: --node, --viewer, --operator, --tenant or --admin.")
    _issue(context, named[0][0], named[0][1], out, life, directory_, again=False)


@app.command("renew")
def renew(
    context: typer.Context,
    who: Who,
    out: Out = None,
    life: Life = None,
    directory_: Dir = None,
) -> None:
    """Issue the next certificate of an identity; the one in use stays good until it ends."""
    from bosd.pki.identity import parse_holder  # noqa: PLC0415 (these commands only)

    found = parse_holder(who)
    if found is None:
        raise typer.BadParameter(f"{who!r} is no ROLE:NAME.")
    _issue(context, *found, out, life, directory_, again=True)


def _issue(
    context: typer.Context, role: "Role", name: str, out: Path | None, life_s: float | None, place: Path | None, *, again: bool
) -> None:
    path = out or Path(f"{role}-{name}.bundle")
    try:
        if path.exists():
            raise Failure(ExitStatus.REFUSED, "NAME_TAKEN", f"{path} exists; name another file with --out")
        bundle: Bundle = _open(place).issue(role, name, _now(), life_s=life_s or YEAR_S, again=again)
        bundle.write(path)
    except (BosError, OSError) as error:
        _fail(error)
    text = f"{path}: key and certificate of {role}:{name}; bring it there, and `bosctl ca install {path.name}`"
    _answer(context, {"who": f"{role}:{name}", "bundle": str(path)}, text)


@app.command("install")
def install(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What `ca issue` wrote.", show_default=False)],
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to; default is your own.", show_default=False)] = None,
) -> None:
    """Put a bundle's parts in place and remove it; print what a node's configuration needs."""
    from bosd.pki.bundle import read_bundle  # noqa: PLC0415 (these commands only)

    try:
        places = read_bundle(bundle).install(to or directory())
        bundle.unlink()
    except (BosError, OSError) as error:
        _fail(error)
    section = {key: str(getattr(places, key).absolute()) for key in ("ca", "certificate", "key", "revoked")}
    lines = ["[security]", *(f'{key} = "{value}"' for key, value in section.items())]
    _answer(context, section, "\n".join(lines))


@app.command("revoke")
def revoke(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="ROLE:NAME|SERIAL", help="Whose, or which one.", show_default=False)],
    directory_: Dir = None,
) -> None:
    """Revoke; nodes that get the new list refuse the bearer and end its streams within 5 s."""
    try:
        authority = _open(directory_)
        revoked = authority.revoke(what, _now())
    except (BosError, OSError) as error:
        _fail(error)
    path = authority.directory / "revoked.crl"
    text = f"revoked {len(revoked)} of {revoked[0].holder}; copy {path} to the `revoked` file of every node"
    _answer(context, {"revoked": [f"{each.serial:x}" for each in revoked], "list": str(path)}, text)


@app.command("ls")
def ls(context: typer.Context, directory_: Dir = None) -> None:
    """Show what was issued, with the days left."""
    try:
        utc_s = _now()
        issued = _open(directory_).issued(utc_s)
    except (BosError, OSError) as error:
        _fail(error)
    rows = [
        {
            "who": each.identity.holder,
            "serial": f"{each.identity.serial:x}",
            "days_left": round(each.identity.days_left(utc_s), 1),
            "state": each.state,
        }
        for each in issued
    ]
    lines = [f"{row['who']:<24} {row['state']:<8} {row['days_left']:>8} days  {row['serial']}" for row in rows]
    _answer(context, rows, "\n".join(lines) or "nothing was issued")


def _default() -> Path:
    return directory() / "ca"


def _open(place: Path | None) -> "Authority":
    from bosd.pki.authority import Authority  # noqa: PLC0415 (these commands only)

    return Authority(place or _default())


def _now() -> float:
    from bosd.clock import SystemClock  # noqa: PLC0415 (these commands only)

    return SystemClock().utc_s()


def _fail(error: BosError | OSError) -> NoReturn:
    if isinstance(error, BosError):
        raise Failure(ExitStatus.REFUSED, error.reason, error.message, error.metadata) from None
    raise Failure(ExitStatus.REFUSED, "INVALID_ARGUMENT", f"{error.filename}: {error.strerror}") from None


def _answer(context: typer.Context, document: object, text: str) -> None:
    def draw(console: "Console") -> None:
        console.print(text, markup=False, soft_wrap=True)

    session_of(context).answer(document, draw)
