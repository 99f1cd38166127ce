"""The errors that a user is meant to read: each says what happened and what to do."""


class InputError(ValueError):
    """Something given to the suite cannot be used; the message says what and how to mend it."""


class Stopped(Exception):
    """SIGTERM has come: what was reached is saved, and the same command goes on from there."""
