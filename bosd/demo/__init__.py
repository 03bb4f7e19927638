"""The demo: two nodes with three simulated packs on pseudo-terminals, a live table, and commands to type beside it."""


def run_demo(*, seconds: float | None, json: bool) -> int:
    """Run the demo until Ctrl-C or for `seconds`; return 0, or 1 with the failure named on standard error.

    With `json` standard output is one document: every battery of both nodes and what was checked of them.
    """
    from bosd.demo.program import run  # noqa: PLC0415 (the leash of every child passes here)

    return run(seconds=seconds, as_json=json)
