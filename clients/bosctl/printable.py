"""Texts of others on a terminal: names, reasons and messages come from whoever may speak to a node."""


def printable(text: str, keep: str = "") -> str:
    """Return a text in which what a terminal would obey is written out; letters in `keep` stay."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in keep else ascii(letter)[1:-1] for letter in text)
