"""What a folder is, said of every kind that is kept."""

import json
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from lexframe import CategoryAudit, Direction, LogisticProbe, NeighborIndex
from lexframe.adaptation.adapter import Adapter
from lexframe.artifacts import Artifact, write_artifact
from lexframe.cli.show_folder import _USES
from lexframe.instruments import load_instrument
from lexframe.instruments.kinds import KINDS, instrument_kinds
from lexframe.latents import LatentStore, VectorColumn
from lexframe.provenance import Provenance
from tests.audit.planted import gaussian_items
from tests.cli.vae.calls import refused, run
from tests.tiny_models import tiny_space


def shown(capsys, folder, *options):
    assert run("show", folder, *options) == 0
    return capsys.readouterr().out


def test_a_direction(tmp_path, capsys):
    space = tiny_space("gpt2").fingerprint
    Direction.of_points(np.arange(1.0, 4.0), space, positive="late\x1b[2J", negative="early").save(tmp_path)
    out = shown(capsys, tmp_path)
    for said in ("direction, version 1", "towards late", str(space), "method", "given", "vector.points", "3, float32", "lexframe "):
        assert said in out, said
    assert "\x1b" not in out
    document = json.loads(shown(capsys, tmp_path, "--json"))
    assert (document["kind"], document["version"], document["parameters"]["negative"]) == ("direction", 1, "early")
    assert document["arrays"] == {"vector.points": {"shape": [3], "type": "float32"}}
    assert document["provenance"]["space"]["digest"] == space.digest


def test_an_adapter_shows_the_instrument_in_it(tmp_path, capsys):
    probe = LogisticProbe().fit(np.eye(4), ["a", "b", "a", "b"])
    Adapter(tiny_space("gpt2"), probe, facts={"accuracy": 0.9}).save(tmp_path)
    out = shown(capsys, tmp_path)
    for said in ("adapter, version 2", "instrument.kind", "logistic-probe", "facts.accuracy", "0.9", "instrument/coef", "2 × 4"):
        assert said in out, said


def test_an_audit_with_its_summary_and_long_lists_shortened(tmp_path, capsys):
    items = gaussian_items(n=80, d=4, k=3, spread=1.0, wrong=0.1, seed=0)
    texts = [f"text number {row}" for row in range(80)]
    result = CategoryAudit().fit(items.points, items.given, texts=texts).result_
    result.save(tmp_path)
    out = shown(capsys, tmp_path)
    assert result.summary() in out
    assert "(80 values)" in out
    assert max(len(line) for line in out.splitlines() if line != result.summary()) < 250
    assert json.loads(shown(capsys, tmp_path, "--json"))["parameters"]["texts"] == texts


def test_an_index_and_what_nobody_here_knows(tmp_path, capsys):
    NeighborIndex().fit(np.eye(3, dtype=np.float32)).save(tmp_path / "index")
    assert "neighbor-index" in shown(capsys, tmp_path / "index")
    write_artifact(Artifact("theirs", {}, {"x": np.ones(2)}, Provenance(), version=7), tmp_path / "theirs")
    assert "theirs, version 7" in shown(capsys, tmp_path / "theirs")


def test_folders_of_other_formats_say_which_verb_reads_them(tmp_path, capsys):
    LatentStore.create(tmp_path / "store", [VectorColumn("points", 3, tiny_space("gpt2").fingerprint)])
    assert "is a latent store. Read it with: lexframe store" in shown(capsys, tmp_path / "store")
    for place in ("vae", "run/model"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "vae.json").write_text("{}")
    assert "is a text VAE. Read it with: lexframe vae" in shown(capsys, tmp_path / "vae")
    assert json.loads(shown(capsys, tmp_path / "run", "--json"))["kind"] == "text VAE"


def test_anything_else_gets_one_line(tmp_path, capsys):
    (tmp_path / "direction.json").write_text("{}")
    assert "earlier format" in refused(capsys, "show", tmp_path)
    assert "artifact.json is missing" in refused(capsys, "show", tmp_path / "nothing")
    assert "is a file" in refused(capsys, "show", tmp_path / "direction.json")
    LogisticProbe().fit(np.eye(4), [0, 1, 0, 1]).save(tmp_path / "probe")
    next((tmp_path / "probe").glob("arrays-*")).write_bytes(b"")
    assert "damaged" in refused(capsys, "show", tmp_path / "probe")


def test_every_verb_that_is_named_exists(tmp_path, capsys):
    for use in {*_USES.values(), "lexframe store info X", "lexframe vae sample X"}:
        for command in (part for part in use.split(", ") if "lexframe " in part):
            words = command[command.index("lexframe ") :].split()[1:]
            verb = [word for word in words if word.islower()][: 2 if words[0] in ("vae", "store") else 1]
            assert run(*verb, "--help") == 0, use


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_names_a_class_that_says_so(kind):
    import importlib

    module, name = instrument_kinds()[kind].split(":")
    assert getattr(importlib.import_module(module), name).artifact_kind == kind


def test_other_packages_add_kinds_by_entry_points(tmp_path, monkeypatch):
    theirs = EntryPoint("their-probe", "lexframe.instruments.classifiers.linear_probe:LogisticProbe", "lexframe.instruments")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [theirs] if group == theirs.group else [])
    probe = LogisticProbe().fit(np.eye(4), [0, 1, 0, 1]).to_artifact()
    write_artifact(Artifact("their-probe", probe.parameters, probe.arrays, probe.provenance), tmp_path)
    assert isinstance(load_instrument(tmp_path), LogisticProbe)
