"""The suite's own chests: drawn from a name and a seed, with their findings, masks and reports."""
