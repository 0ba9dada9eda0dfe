"""What stands around each text when a model reads it."""

from dataclasses import dataclass

from lexframe.exceptions import InputError

PLACEHOLDER = "{text}"


@dataclass(frozen=True, slots=True)
class Template:
    """What stands before and after each text. Braces in a text mean nothing: texts are joined, not formatted."""

    before: str
    after: str

    @classmethod
    def parse(cls, template: str) -> "Template":
        """Split at the only ``{text}``.

        Raises
        ------
        InputError
            If it does not stand in the template exactly once.
        """
        parts = template.split(PLACEHOLDER)
        if len(parts) != 2:
            raise InputError(f"The template {template!r} must hold {PLACEHOLDER} exactly once, such as 'Review: {PLACEHOLDER} It was'.")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.before}{PLACEHOLDER}{self.after}"

    def fill(self, text: str) -> str:
        """The text within the template."""
        return f"{self.before}{text}{self.after}"
