"""Every way to adapt a frozen model, one a file; a name makes it."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"registry": ["make_methods", "method_names", "require_savable"]})
