"""The version of the application's code that the children have imported, where code is reloaded after changes."""


class CodeVersion:
    """Counts the changes of the code, and knows the state of the latest one."""

    def __init__(self) -> None:
        self.generation = 0
        self.is_unfit = False  # the latest one does not import
        self._is_loaded = True  # a child has imported the latest one

    def change(self) -> None:
        self.generation += 1
        self._is_loaded = self.is_unfit = False

    def is_outdated(self, generation: int) -> bool:
        return generation != self.generation

    def is_superseded(self, generation: int) -> bool:
        """Whether a newer version is in use."""
        return self._is_loaded and generation != self.generation

    def was_loaded(self, generation: int) -> bool:
        """A child has imported this version. False: it is an older one."""
        if self.is_outdated(generation):
            return False
        self._is_loaded = True
        return True

    def could_not_load(self, generation: int) -> None:
        """The code does not import as it is now. It is not tried again before it changes."""
        if not self._is_loaded and not self.is_outdated(generation):
            self.is_unfit = True
