"""Pages that are run: what counts as printed as the page says, and what does not."""

import pytest

from tests.support.page import Step, matches, steps_of

PAGE = """
Text.

```console
garage$ cat > a.toml <<'END'
name = "x"
END
house$ bosctl ls                    # as a person does
name  1
...
```

<!-- do: pull-the-cable -->

```toml
not = "run"
```
"""


def test_steps_of_a_page() -> None:
    """Commands in their order with what they print, documents with them, deeds between; other blocks are no steps."""
    assert steps_of(PAGE) == [
        Step("garage", "cat > a.toml <<'END'\nname = \"x\"\nEND"),
        Step("house", "bosctl ls", ("name  1", "...")),
        Step("", "pull-the-cable"),
    ]


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        (["current   +10.00 A"], ["current +10.02 A"], True),
        (["current   +10.00 A"], ["current +20.00 A"], False),
        (["current   +10.00 A"], ["current -10.00 A"], False),
        (["age 7.7 s, 60.0 Ah"], ["age 0.3 s, 60.1 Ah"], True),
        (["age 7.7 s, 60.0 Ah"], ["age 0.3 s, 90.0 Ah"], False),
        (["at 2026-11-29 13:11:54Z"], ["at 2027-01-02 03:04:05Z"], True),
        (["link lost"], ["link ready"], False),
        (["a", "b", "c"], ["a", "...", "c"], True),
        (["a", "c"], ["a", "...", "c"], True),
        (["a", "b"], ["a", "...", "c"], False),
        (["a", "b"], ["a"], False),
        (["a"], ["a", "b"], False),
        (["serial:garage: no route to host"], ["serial:garage…"], True),
        (["serial:house: no route to host"], ["serial:garage…"], False),
    ],
)
def test_what_matches(printed: list[str], expected: list[str], same: bool) -> None:
    """Words and signs count, numbers within 2 % or 0.5, ages and instants not; `...` stands for lines, `…` for words."""
    assert matches(printed, expected) is same
