"""How the demo ends otherwise than well."""


class DemoFailure(Exception):  # noqa: N818 (an ending, told to a person)
    """The demo cannot go on, or what it shows is wrong; the message is for people."""
