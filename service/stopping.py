"""Whether this process was told to stop: known to its server, and told to whoever sends it traffic."""


class Stopping:
    """Set once, and then for good."""

    def __init__(self) -> None:
        self._begun = False

    @property
    def begun(self) -> bool:
        return self._begun

    def begin(self) -> None:
        self._begun = True
