"""Log-probabilities of the scored tokens of a text, each from a pass of its own: over what stands before it, or with it alone hidden.

Where many are needed, from one pass over the text alone.
"""

import torch


def slow_next_tokens(model, tokens):
    total = 0.0
    for place in tokens.scored:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([tokens.ids[:place]])).logits[0, -1]
        total += torch.log_softmax(logits.double(), 0)[tokens.ids[place]].item()
    return total


def unpadded_next_tokens(model, tokens):
    logits = model(input_ids=torch.tensor([tokens.ids])).logits[0]
    return sum(torch.log_softmax(logits[place - 1].double(), 0)[tokens.ids[place]] for place in tokens.scored)


def slow_hidden_tokens(model, tokens, mask_id):
    """The pseudo-log-likelihood of Salazar et al. (2020), eq. (1)."""
    total = 0.0
    for place in tokens.scored:
        hidden = [*tokens.ids[:place], mask_id, *tokens.ids[place + 1 :]]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([hidden])).logits[0, place]
        total += torch.log_softmax(logits.double(), 0)[tokens.ids[place]].item()
    return total
