"""Which state of the application's code the children have imported, where code is reloaded when it changes."""


class CodeVersion:
    """Counts the changes of the code, and knows what became of the latest one."""

    def __init__(self) -> None:
        self.generation = 0
        self.is_unfit = False  # the latest one cannot be imported
        self._is_loaded = True  # a child has imported the latest one

    def change(self) -> None:
        self.generation += 1
        self._is_loaded = self.is_unfit = False

    def is_outdated(self, generation: int) -> bool:
        return generation != self.generation

    def is_superseded(self, generation: int) -> bool:
        """Whether a newer state is in use."""
        return self._is_loaded and generation != self.generation

    def was_loaded(self, generation: int) -> bool:
        """A child has imported this state. False: it is an older one."""
        if self.is_outdated(generation):
            return False
        self._is_loaded = True
        return True

    def could_not_load(self, generation: int) -> None:
        """The code cannot be imported as it is now: it will not be tried again before it changes."""
        if not self._is_loaded and not self.is_outdated(generation):
            self.is_unfit = True
