"""`limits`: what limits the batteries of a node from outside."""

import typer

from clients.bosctl.commands.limits_eebus import app as eebus_app

app = typer.Typer(
    help="Limits on batteries, and who asks for them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(eebus_app, name="eebus")
