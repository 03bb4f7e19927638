"""The command line: global options and the commands."""

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from bosd import __version__
from clients.bosctl.commands import (
    audit,
    clock,
    command,
    device,
    doctor,
    edit,
    errors,
    explain,
    ledger,
    read,
    schedule,
    shell,
    shell_completion,
    topology,
    watch,
)
from clients.bosctl.commands.ca import app as ca_app
from clients.bosctl.commands.fleet import app as fleet_app
from clients.bosctl.commands.limits import app as limits_app
from clients.bosctl.connection import DEFAULT_TARGET
from clients.bosctl.session import Session
from clients.bosctl.trust import Trust
from clients.bosctl.values import guard_negative, parse_address, parse_duration_s

_GLOBAL_FLAGS = ("--json",)
_GLOBAL_OPTIONS = ("--target", "--timeout", "--ca", "--certificate", "--key")


class NumbersAllowed(TyperCommand):
    """A command whose arguments may be negative numbers."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the arguments."""
        return super().parse_args(ctx, [guard_negative(argument) for argument in args])


class GlobalsAnywhere(TyperGroup):
    """A group whose global options may also follow the command."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the arguments."""
        return super().parse_args(ctx, hoist_globals(args))


def hoist_globals(arguments: list[str]) -> list[str]:
    """Return the arguments with the global options first, up to a `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    front: list[str] = []
    rest: list[str] = []
    index = 0
    while index < end:
        word = arguments[index]
        if word in _GLOBAL_FLAGS or word.startswith(tuple(f"{option}=" for option in _GLOBAL_OPTIONS)):
            front.append(word)
        elif word in _GLOBAL_OPTIONS:
            front += arguments[index : min(index + 2, end)]
            index += 1
        else:
            rest.append(word)
        index += 1
    return [*front, *rest, *arguments[end:]]


def _print_version(asked: bool) -> None:
    if asked:
        print(f"bosctl {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="bosctl",
    cls=GlobalsAnywhere,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def globals_(
    context: typer.Context,
    target: Annotated[
        str, typer.Option(envvar="BOSD_TARGET", metavar="ADDR", parser=parse_address, help="The node: host:port or unix:PATH.")
    ] = DEFAULT_TARGET,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout; errors as JSON on stderr.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="TIME", parser=parse_duration_s, help="Deadline of each call, such as 5s or 250ms.")
    ] = None,
    ca: Annotated[Path | None, typer.Option(envvar="BOSD_CA", metavar="FILE", help="The CA's certificate.")] = None,
    certificate: Annotated[Path | None, typer.Option(envvar="BOSD_CERTIFICATE", metavar="FILE", help="Your certificate.")] = None,
    key: Annotated[Path | None, typer.Option(envvar="BOSD_KEY", metavar="FILE", help="Its key.")] = None,
) -> None:
    """Read, watch and command the batteries of a node. Current is positive when a battery discharges."""
    context.obj = Session(target=target, as_json=as_json, timeout_s=timeout, trust=Trust(ca, certificate, key))


read.register(app)
explain.register(app)
device.register(app)
watch.register(app)
command.register(app, NumbersAllowed)
schedule.register(app, NumbersAllowed)
clock.register(app)
edit.register(app)
app.add_typer(topology.app, name="topology")
app.add_typer(ca_app, name="ca")
app.add_typer(fleet_app, name="fleet")
app.add_typer(limits_app, name="limits")
audit.register(app)
errors.register(app)
ledger.register(app)
shell.register(app)
doctor.register(app)
shell_completion.register(app)
