"""Answers already given."""

from bosd.node.answers import REMEMBERED, Answers


def test_a_repeat_gets_the_first_answer() -> None:
    """By asker and id; another asker's id is another request, and an empty id is none."""
    answers: Answers[int] = Answers()
    answers.keep("a", "1", 10)
    answers.keep("a", "", 11)
    assert (answers.get("a", "1"), answers.get("b", "1"), answers.get("a", "")) == (10, None, None)


def test_the_oldest_is_forgotten() -> None:
    """Memory is bounded."""
    answers: Answers[int] = Answers()
    for number in range(REMEMBERED + 1):
        answers.keep("a", str(number), number)
    assert (answers.get("a", "0"), answers.get("a", "1")) == (None, 1)
