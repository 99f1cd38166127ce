"""Reads back what a training wrote for TensorBoard."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """The values of every scalar by step, as TensorBoard shows them; a doubled step is refused."""
    events = EventAccumulator(str(folder))
    events.Reload()
    found = {}
    for name in events.Tags()["scalars"]:
        values = events.Scalars(name)
        found[name] = {event.step: event.value for event in values}
        assert len(found[name]) == len(values), f"{name}: a step is there twice"
    return found
