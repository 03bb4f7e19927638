"""Entry point of `bosctl`."""

import functools
import io
import json
import os
import sys

import typer

from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.printable import printable

PROGRAM = "bosctl"
LINE_END = "\n"
COMPLETE_VARIABLE = "_BOSCTL_COMPLETE"
_command_of = functools.cache(typer.main.get_command)  # a tree that takes longer to make than most commands take


def main() -> None:
    """Run one command and exit with its status."""
    arguments = sys.argv[1:]
    try:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without the degree sign still shows the number
        status = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has what it wanted
        _drop_stdout()
        status = ExitStatus.DONE
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run one command; return the exit status after any failure has been told on stderr."""
    from clients.bosctl.app import app  # noqa: PLC0415 (an interrupt while importing ends quietly too)

    command = _command_of(app)
    if COMPLETE_VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # noqa: PLC0415 (a shell asks, not a person)

        completion_init()
        command.main(args=arguments, prog_name=PROGRAM, complete_var=COMPLETE_VARIABLE)
    invoked: str | None = None
    try:
        with command.make_context(PROGRAM, list(arguments)) as context:
            try:
                command.invoke(context)
            finally:
                invoked = context.invoked_subcommand
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as error:
        return _usage(error, as_json="--json" in arguments)
    except Failure as failure:
        _tell(failure, as_json="--json" in arguments, command=invoked)
        return failure.status
    return ExitStatus.DONE


def _usage(error: typer.TyperException, *, as_json: bool) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError" and not as_json:
        print(message, file=sys.stderr)
        return ExitStatus.USAGE
    path = context.command_path if context is not None else PROGRAM
    failure = Failure(ExitStatus.USAGE, "INVALID_ARGUMENT", message.strip().removeprefix("Invalid value: "))
    _tell(failure, as_json=as_json, hint=f"`{path} --help` shows how it is used.")
    return ExitStatus.USAGE


def _tell(failure: Failure, *, as_json: bool, hint: str | None = None, command: str | None = None) -> None:
    if as_json:
        error = {"reason": failure.reason, "message": failure.message, "metadata": failure.metadata}
        print(json.dumps({"error": error}), file=sys.stderr)
        return
    from clients.bosctl.hints import hint_for  # noqa: PLC0415 (only people want advice)

    red, end = ("\033[1;31m", "\033[0m") if sys.stderr.isatty() and not os.environ.get("NO_COLOR") else ("", "")
    print(f"{red}error:{end} {printable(failure.message, keep=LINE_END)}", file=sys.stderr)
    advice = hint or hint_for(failure, command)
    if advice:
        print(advice, file=sys.stderr)


def _drop_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
