"""The token between two documents, which a text is read after when it is scored from its first token on."""

from typing import Any

DOCUMENT_TOKENS = ("<|endoftext|>", "<|end_of_text|>", "<|begin_of_text|>")
"""What tokenizers call it whose beginning- and end-of-text tokens were given to the turns of a chat."""
_TURNS = ("user", "assistant", "user")


def document_separator(tokenizer: Any) -> int | None:
    """Id of the token that stands between documents.

    It is the beginning-of-text token, or else the end-of-text token. Some chat models have made that token the mark of a turn
    (``<|im_start|>``): after it their text is the name of a speaker, and an ordinary sentence is improbable. Where the chat template
    puts it at every turn, the separator of the model's own pretraining is taken, if the vocabulary still has it.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        Read only.

    Returns
    -------
    int or None
        None where the tokenizer has neither token.
    """
    usual: int | None = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if usual is None or not _marks_turns(tokenizer, usual):
        return usual
    added = tokenizer.get_added_vocab()
    return next((int(added[name]) for name in DOCUMENT_TOKENS if name in added), usual)


def _marks_turns(tokenizer: Any, token: int) -> bool:
    """Whether the chat template puts a token at every turn; one that cannot be applied puts none."""
    if not getattr(tokenizer, "chat_template", None):
        return False
    try:
        chat = tokenizer.apply_chat_template([{"role": role, "content": "x"} for role in _TURNS], tokenize=False)
    except Exception:  # whatever a template does
        return False
    return str(chat).count(tokenizer.convert_ids_to_tokens(token)) >= len(_TURNS)
