"""`shell`: the earlier interpreter's language, against a node or one of its own."""

import contextlib
import json
import sys
from typing import Annotated

import typer

from clients.bosctl.errors import Failure
from clients.bosctl.session import Session, session_of

STDIN = "-"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shell", epilog="`help` in the shell shows its commands. A script ends at its first failure, with status 1.")(
        shell
    )


def shell(
    context: typer.Context,
    scripts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCRIPT...]", help="Files to run; - reads standard input; a prompt without any.", show_default=False
        ),
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="A node of its own, in this process, with a clock one can set.")] = False,
) -> None:
    """Speak the earlier interpreter's language, from scripts or at a prompt."""
    session = session_of(context)
    with contextlib.ExitStack() as stack:
        _run(session, stack, scripts or [], local=local)


def _run(session: Session, stack: contextlib.ExitStack, scripts: list[str], *, local: bool) -> None:
    from bosd.v1 import clock_pb2 as cpb  # noqa: PLC0415 (this command only)
    from clients.bosctl.connection import Connection  # noqa: PLC0415
    from clients.bosctl.shell.context import Listeners, Shell, TargetListeners  # noqa: PLC0415
    from clients.bosctl.shell.holds import Holds  # noqa: PLC0415
    from clients.bosctl.shell.interpreter import Interpreter  # noqa: PLC0415
    from clients.bosctl.shell.node import ShellNode  # noqa: PLC0415
    from clients.bosctl.shell.printing import Printer  # noqa: PLC0415

    printer = Printer(as_json=session.as_json)
    listeners: Listeners = TargetListeners(session.target)
    target = session.target
    if local:
        from clients.bosctl.shell.local import LocalNode  # noqa: PLC0415 (loads the daemon)

        own = stack.enter_context(LocalNode())
        listeners, target = own, own.target
    node = ShellNode(stack.enter_context(Connection(target, session.timeout_s, session.trust)))
    simulated = local or node.clock().mode == cpb.CLOCK_MODE_SIMULATED
    holds = Holds(node, printer, longest=simulated)
    stack.callback(holds.end)
    interpreter = Interpreter(Shell(node, printer, holds, listeners))
    for script in scripts:
        if script == STDIN:
            interpreter.run_lines(sys.stdin, "<stdin>")
        else:
            interpreter.run_file(script)
    if scripts:
        return
    if sys.stdin.isatty():
        from clients.bosctl.shell.prompt import talk  # noqa: PLC0415 (people only)

        talk(interpreter, node, printer, lambda failure: _tell(session, failure))
    else:
        interpreter.run_lines(sys.stdin, "<stdin>")


def _tell(session: Session, failure: Failure) -> None:
    if session.as_json:
        error = {"reason": failure.reason, "message": failure.message, "metadata": failure.metadata}
        print(json.dumps({"error": error}), file=sys.stderr, flush=True)
    else:
        print(failure.message.removeprefix(f"prompt:{failure.metadata.get('line')}: "), file=sys.stderr, flush=True)
