"""The one exception that users are meant to read."""


class GeospotError(ValueError):
    """Something the user can fix: one line that says what is wrong, where, and what to do."""
