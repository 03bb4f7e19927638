"""Battery names as arguments, completed by the shell."""

from typing import Annotated

import typer

COMPLETION_TIMEOUT_S = 0.5


def complete_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the node's battery names that begin so; none when the node does not answer at once."""
    from bosd.v1 import battery_pb2 as pb  # noqa: PLC0415 (completion only)
    from clients.bosctl.connection import DEFAULT_TARGET, Connection  # noqa: PLC0415
    from clients.bosctl.errors import Failure  # noqa: PLC0415

    target = context.find_root().params.get("target") or DEFAULT_TARGET
    try:
        with Connection(str(target), COMPLETION_TIMEOUT_S) as connection:
            answer = connection.call(connection.batteries.ListStatuses, pb.ListStatusesRequest())
    except Failure:
        return []
    return [status.name for status in answer.statuses if status.name.startswith(incomplete)]


Name = Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_names, help="A battery.", show_default=False)]
Names = Annotated[
    list[str], typer.Argument(metavar="NAME...", autocompletion=complete_names, help="Batteries.", show_default=False)
]
OptionalNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME...]", autocompletion=complete_names, help="Batteries; all when none is named.", show_default=False
    ),
]
