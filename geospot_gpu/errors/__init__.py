"""The one exception that users are meant to read."""

from geospot_gpu.errors.say import one_line


class GeospotError(ValueError):
    r"""Something the user can fix: one line that says what is wrong, where, and what to do.

    >>> str(GeospotError("there is no region 'a\n  b'"))
    "there is no region 'a b'"
    """

    def __init__(self, message: str) -> None:
        # What is quoted, an argument or another package's error, may have lines of its own.
        super().__init__(one_line(message))
