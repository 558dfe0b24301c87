"""The one way in which a real part says that it cannot be had here."""


class PartUnavailable(Exception):  # noqa: N818 - a state of the machine, not an error of the code
    """`optional` parts widen a test to one more version: even CI may lack them."""

    def __init__(self, part: str, reason: str, remedy: str, *, optional: bool = False) -> None:
        super().__init__(f"{part} is unavailable: {reason}\nRemedy: {remedy}")
        self.part = part
        self.reason = reason
        self.remedy = remedy
        self.optional = optional
