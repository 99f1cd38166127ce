"""The errors that a user is meant to read: each says what happened and what to do."""

import errno

# What the system says when a disk, or a user's share of it, is full.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class InputError(ValueError):
    """Something given to the suite cannot be used; the message says what and how to mend it."""


class Stopped(Exception):
    """SIGTERM has come: what was reached is saved, and the same command goes on from there."""
