"""Conditions that stand, turned into errors."""

from bosd.clock import SystemClock
from bosd.node.faults import Faults, Severity
from bosd.node.noticed import Noticed, Notices


def test_what_grows_worse_is_raised_again_and_goes_as_one() -> None:
    """One error of a cause: its severity follows, it is not raised anew while it stands, and it is cleared once."""
    faults = Faults("home", SystemClock())
    notices = Notices(faults)
    standing: list[Noticed] = []
    notices.sources.append(lambda: standing)
    for severity, repeats in ((Severity.MEDIUM, 0), (Severity.MEDIUM, 0), (Severity.HIGH, 1), (Severity.HIGH, 1)):
        standing[:] = [Noticed("CERTIFICATE_EXPIRES", severity, "it ends", "security")]
        notices.look()
        (fault,) = faults.own()
        assert (fault.severity, fault.repeats) == (severity, repeats)
    standing.clear()
    notices.look()
    assert not faults.own()
    assert len(faults.recent()) == 1
