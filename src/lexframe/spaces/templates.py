"""What stands around each text when a model reads it."""

from dataclasses import dataclass
from typing import Any

from lexframe.exceptions import InputError, ModelError

PLACEHOLDER = "{text}"
CHAT = "chat"
"""In place of a template: what the chat template of the tokenizer puts around the text of a user."""


_ANSWER = "Xyzzy"
"""What an assistant is made to say, to see what follows it."""


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


def chat_template(tokenizer: Any, name: str, content: str = PLACEHOLDER) -> str:
    """What the chat template of a tokenizer puts around what a user says, up to where the assistant begins.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Read only. Its template runs in the sandbox of transformers.
    name : str
        Of the model, for messages.
    content : str
        What the user says, with ``{text}`` once.

    Raises
    ------
    ModelError
        If it has none, or its template does not take a text as it stands.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(
            f"{name} has no chat template: it was not made to answer in a chat. Name an instruction-tuned model, such as smollm2, or write "
            f"what stands around a text yourself, with {PLACEHOLDER} in its place."
        )
    Template.parse(content)
    try:
        around = tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
    except Exception as error:  # whatever a template does
        raise ModelError(f"The chat template of {name} cannot be applied: {str(error).strip()[:200]}", parameter="template") from error
    if around.count(PLACEHOLDER) != 1:
        raise ModelError(
            f"The chat template of {name} does not put a text in one place. Write a template with {PLACEHOLDER}.", parameter="template"
        )
    return str(around)


def turn_end(tokenizer: Any, template: Template) -> int | None:
    """The token that ends what an assistant says, where a template is that of a chat.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Read only.
    template : Template
        Around the texts that are written on from.

    Returns
    -------
    int or None
        None where it is no chat, or its turns end with no token of their own.
    """
    if template == Template("", "") or not getattr(tokenizer, "chat_template", None):
        return None
    try:
        own = Template.parse(chat_template(tokenizer, ""))
        turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": _ANSWER}]
        said = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except Exception:  # whatever a template does
        return None
    if not (template.before.startswith(own.before) and template.after.endswith(own.after)) or _ANSWER not in said:
        return None
    after = tokenizer.backend_tokenizer.encode(said.rpartition(_ANSWER)[2].lstrip(), add_special_tokens=False).ids
    return int(after[0]) if after and int(after[0]) in tokenizer.added_tokens_decoder else None
