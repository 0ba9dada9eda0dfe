"""The contracts of spaces. A space turns texts into points; its optional powers are contracts of their own.

An instrument names one of these contracts in its signature and never a concrete space. What changes the weights of a model needs
torch and stands apart, in :mod:`lexframe.spaces.base.training`.
"""

from lexframe.spaces.base.chat import ChatModel, ChatSpace, ChoiceQuestion, Scored, Written
from lexframe.spaces.base.heads import AttentionHeads, HeadIntervention, HeadSpace
from lexframe.spaces.base.latents import DecodableSpace, LatentVariableSpace, Posterior
from lexframe.spaces.base.lens import LensHead, LensSpace
from lexframe.spaces.base.next_tokens import HeadArrays, NextTokens, NextTokenSpace
from lexframe.spaces.base.prompts import PromptSpace
from lexframe.spaces.base.space import FittedSpace, OpenableSpace, Progress, Space, fitted_space
from lexframe.spaces.base.steering import HOW, PLACES, Intervention, PatchableSpace, SteerableSpace
from lexframe.spaces.base.tokens import Representation, TokenSpace, TokenStates, resolve_layer
from lexframe.spaces.base.vocabulary import VocabularySpace

__all__ = [
    "HOW",
    "PLACES",
    "AttentionHeads",
    "ChatModel",
    "ChatSpace",
    "ChoiceQuestion",
    "DecodableSpace",
    "FittedSpace",
    "HeadArrays",
    "HeadIntervention",
    "HeadSpace",
    "Intervention",
    "LatentVariableSpace",
    "LensHead",
    "LensSpace",
    "NextTokenSpace",
    "NextTokens",
    "OpenableSpace",
    "PatchableSpace",
    "Posterior",
    "Progress",
    "PromptSpace",
    "Representation",
    "Scored",
    "Space",
    "SteerableSpace",
    "TokenSpace",
    "TokenStates",
    "VocabularySpace",
    "Written",
    "fitted_space",
    "resolve_layer",
]
