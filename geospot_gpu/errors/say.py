"""Text that is fit to be printed: names come from files, and a terminal obeys what it is shown."""

from __future__ import annotations

import functools
import logging


def printable(text: str) -> str:
    r"""Text in one line, with what cannot be seen or would command a terminal as its escape.

    >>> print(printable("C\u00f4te\x1b[2J \u202eabc\n"))
    Côte\x1b[2J \u202eabc\n
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def one_line(text: str) -> str:
    """The same of text that may have lines of its own, which become one."""
    return printable(" ".join(line.strip() for line in text.splitlines()))


@functools.cache
def warn_once(text: str) -> None:
    """Warn, unless that has been said before in this process."""
    logging.getLogger("geospot_gpu").warning(text)
