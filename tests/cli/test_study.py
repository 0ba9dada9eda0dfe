"""``lexframe study``: the shell of studies."""

import json

from tests.cli.test_main import run


def test_next_token(model, tmp_path, capsys):
    for name in ("domain", "held"):
        rows = [{"message": f"the cat sat on the mat, one two three {name} {number}"} for number in range(12)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = (tmp_path / "domain.jsonl", tmp_path / "held.jsonl", "--text", "message", "-m", model, "--context", 32, "--limit", 8)
    assert run("study", "next-token", *files, "--methods", "frozen, unigram", "--csv", tmp_path / "t.csv", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["methods"]) == ["frozen", "unigram"]
    assert (document["n_domain_documents"], document["context"]) == (8, 32)
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 3
    assert run("study", "next-token", *files, "--methods", "frozen") == 0
    assert "bits per byte" in capsys.readouterr().out
    for wrong, message in ((("--methods", "magic"), "Unknown method magic"), (("--context", 999), "but the model takes")):
        assert run("study", "next-token", *files, *wrong) == 2
        assert message in capsys.readouterr().err
