"""The two ways in which a command can be refused, told apart by who can mend it."""


class InputError(ValueError):
    """The user's input cannot be used: exit status 2.

    The message is one line: the flag or argument, the value that was given, what is allowed.
    """

    def __init__(self, name: str, given: object, allowed: str) -> None:
        self.name = name
        self.given = given
        self.allowed = allowed
        super().__init__(" ".join(f"{name}={given}: {allowed}".splitlines()))


class EnvironmentFault(RuntimeError):
    """The machine cannot do it (missing package, unwritable folder, full disk): exit status 1."""
