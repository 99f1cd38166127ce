"""The one error that a user is meant to read: it names the file, case or key and the mend."""


class InputError(ValueError):
    """Something given to the suite cannot be used; the message says what and how to mend it."""
