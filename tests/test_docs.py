"""Every Python snippet in the README and the documentation runs, and every verb they name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SNIPPETS = [(page.name, code) for page in PAGES for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.S)]


@pytest.mark.parametrize(("page", "code"), SNIPPETS, ids=[f"{page}-{number}" for number, (page, _) in enumerate(SNIPPETS)])
def test_snippet_runs(page, code, tmp_path, monkeypatch, capsys, without_type_checks):  # as a reader would run it
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page, "exec"), {"__name__": "__main__"})


def test_every_command_named_in_the_pages_exists():
    from lexframe.cli.main import app
    from tests.cli.verbs import commands

    verbs = commands(app)
    for page in PAGES:
        blocks = "\n".join(re.findall(r"^```\n(.*?)^```", page.read_text(), re.M | re.S))
        for line in re.findall(r"^lexframe (.+)$", blocks, re.M):
            words = line.split()
            command = verbs.get(words[0]) or verbs[" ".join(words[:2])]
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words if re.match(r"--?[a-z]", word)} <= known | {"--help"}, f"{page.name}: lexframe {line}"


def test_the_version_is_the_same_everywhere():
    import lexframe

    version = lexframe.__version__
    assert f'version = "{version}"' in (ROOT / "pyproject.toml").read_text()
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.M).group(1) == version


def test_exactly_two_set_up_commands_in_the_readme():
    assert set(re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.M)) == {"demo", "test"}


def test_constraints_pin_everything_exactly():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.!]+", line) for line in lines)
    assert "torch==2.13.0" in lines
