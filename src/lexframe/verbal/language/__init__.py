"""The small safe language in which a language model writes a model that is computed exactly, at no call."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "base": ["Program", "ProgramError"],
        "formula": ["Formula"],
        "grammars": ["formula_grammar", "rules_grammar"],
        "lookup": ["Entry", "Lookup"],
        "reading": ["columns_of", "parameters_of"],
        "rules": ["Rule", "Rules"],
    },
)
