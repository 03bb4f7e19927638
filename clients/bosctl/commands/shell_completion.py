"""`completion`: the script that teaches a shell the commands and battery names.

The scripts speak the protocol of typer's completion: bash by COMP_WORDS and COMP_CWORD, zsh and fish by _TYPER_COMPLETE_ARGS.
"""

import enum
import os
from pathlib import PurePath
from typing import Annotated

import typer

from clients.bosctl.session import session_of


class Shell(enum.StrEnum):
    """The shells that are known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


SCRIPTS = {
    Shell.BASH: """\
_bosctl_completion() {
    local IFS=$'\\n'
    COMPREPLY=( $(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _BOSCTL_COMPLETE=complete_bash "$1" 2>/dev/null) )
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o default -F _bosctl_completion bosctl
""",
    Shell.ZSH: """\
#compdef bosctl
_bosctl_completion() {
    eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _BOSCTL_COMPLETE=complete_zsh bosctl 2>/dev/null)
}
if [ "$funcstack[1]" = "_bosctl" ]; then _bosctl_completion "$@"; else compdef _bosctl_completion bosctl; fi
""",
    Shell.FISH: """\
function _bosctl_completion
    set -lx _BOSCTL_COMPLETE complete_fish
    set -lx _TYPER_COMPLETE_FISH_ACTION $argv[1]
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp)
    bosctl 2>/dev/null
end
complete --command bosctl --no-files --arguments '(_bosctl_completion get-args)' --condition '_bosctl_completion is-args'
""",
}
HOW = {
    Shell.BASH: 'eval "$(bosctl completion bash)" in ~/.bashrc',
    Shell.ZSH: 'eval "$(bosctl completion zsh)" in ~/.zshrc, after compinit',
    Shell.FISH: "bosctl completion fish > ~/.config/fish/completions/bosctl.fish",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("completion", epilog=f"Use: {HOW[Shell.BASH]}")(completion)


def completion(
    context: typer.Context,
    shell: Annotated[
        Shell | None, typer.Argument(help="The shell; taken from $SHELL when not named.", show_default=False)
    ] = None,
) -> None:
    """Print the completion script for bash, zsh or fish."""
    session = session_of(context)
    chosen = shell or _login_shell()
    session.answer({"shell": str(chosen), "script": SCRIPTS[chosen]}, lambda _console: print(SCRIPTS[chosen], end="", flush=True))


def _login_shell() -> Shell:
    name = PurePath(os.environ.get("SHELL", "")).name
    if name not in set(Shell):
        raise typer.BadParameter("name the shell: bash, zsh or fish.")
    return Shell(name)
