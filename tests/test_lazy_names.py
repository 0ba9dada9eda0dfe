"""Names of a package load their module on first use, and no other."""

import sys

import pytest

from lexframe.lazy_names import lazy_names


def test_a_name_loads_its_module_on_first_use(monkeypatch):
    monkeypatch.delitem(sys.modules, "json.tool", raising=False)
    attribute, listing, names = lazy_names("json", {"tool": ["main"], "decoder": ["JSONDecoder"]})
    assert names == listing() == ["JSONDecoder", "main"]
    assert attribute("JSONDecoder") is sys.modules["json.decoder"].JSONDecoder
    assert "json.tool" not in sys.modules
    assert attribute("main") is sys.modules["json.tool"].main
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'Main'; it has JSONDecoder, main"):
        attribute("Main")
