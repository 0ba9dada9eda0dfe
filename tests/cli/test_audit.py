"""``lexframe audit``: files in, findings, sheet and report out, decisions back in."""

import csv
import json

import numpy as np
import pytest

from lexframe.cli.main import main
from lexframe.latents import import_vectors

FRUIT = ["apple", "pear", "plum", "melon", "grape", "cherry", "lemon", "peach"]
CARS = ["car", "bus", "truck", "van", "tram", "train", "bike", "taxi"]


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eighty texts in two categories, four of them under the wrong one, with vectors that part them."""
    folder = tmp_path_factory.mktemp("audit")
    rng = np.random.default_rng(0)
    rows, points = [], []
    for number in range(80):
        fruit = number % 2 == 0
        word = (FRUIT if fruit else CARS)[number // 2 % 8]
        label = "fruit" if fruit != (number in (3, 20, 41, 62)) else "traffic"
        rows.append({"text": f"{'i ate the' if fruit else 'i took the'} {word} on day {number}", "topic": label, "kind": "thing"})
        points.append(rng.normal(size=6) + (4 if fruit else -4) * np.eye(6)[0])
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    np.save(folder / "vectors.npy", np.array(points, dtype=np.float32))
    return folder


def audit(folder, *options):
    return run("audit", folder / "items.jsonl", "--label", "topic", "--vectors", folder / "vectors.npy", *options)


def test_wrong_labels_are_printed_first(folder, capsys):
    assert audit(folder, "--limit", "4") == 0
    shown = capsys.readouterr()
    rows = {line.split()[0] for line in shown.out.splitlines()[2:]}
    assert rows == {"3", "20", "41", "62"}
    assert "wrong labels expected" in shown.err
    assert "takes about" in shown.err


def test_json_is_one_document(folder, capsys):
    assert audit(folder, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert {item["row"] for item in document["items"][:4]} == {3, 20, 41, 62}


def test_texts_are_encoded_where_there_are_no_vectors(folder, capsys):
    assert run("audit", folder / "items.jsonl", "--label", "topic", "--limit", "2") == 0
    assert "fruit" in capsys.readouterr().out


def test_the_sheet_goes_out_and_decisions_come_back(folder, tmp_path, capsys):
    sheet, log = tmp_path / "sheet.csv", tmp_path / "log.jsonl"
    assert audit(folder, "--csv", sheet, "--limit", "6") == 0
    with sheet.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    for row in rows:
        row["decision"] = "move" if row["row"] in ("3", "20", "41", "62") else "keep"
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    capsys.readouterr()
    second = tmp_path / "second.csv"
    assert audit(folder, "--decisions", sheet, "--reviews", log, "--csv", second, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["reviewed"] == 6
    assert not {item["row"] for item in document["items"]} & {int(row["row"]) for row in rows}
    assert audit(folder, "--reviews", log, "--json") == 0  # the log alone remembers
    assert json.loads(capsys.readouterr().out)["reviewed"] == 6


def test_a_sheet_that_was_edited_wrongly_names_each_row(folder, tmp_path, capsys):
    sheet = tmp_path / "sheet.csv"
    assert audit(folder, "--csv", sheet, "--limit", "5") == 0
    lines = sheet.read_text().splitlines()
    fields = [line.split(",", 2) for line in lines]
    fields[1][1], fields[3][1] = "moove", "move: vegetables"
    sheet.write_text("\n".join(",".join(parts) for parts in fields) + "\n")
    capsys.readouterr()
    assert audit(folder, "--decisions", sheet) == 2
    message = capsys.readouterr().err
    assert "moove" in message
    assert "vegetables" in message


def test_the_report_is_one_file(folder, tmp_path):
    page = tmp_path / "report.html"
    assert run("audit", folder / "items.jsonl", "--label", "topic", "--report", page, "--map", "pca") == 0
    content = page.read_text()
    assert "<script" not in content
    assert "traffic" in content


def test_parents_from_a_column_and_from_a_file(folder, tmp_path, capsys):
    assert audit(folder, "--parent", "kind", "--limit", "1") == 0
    tree = tmp_path / "tree.csv"
    tree.write_text("category,parent\nfruit,thing\ntraffic,thing\nthing,\n")
    assert audit(folder, "--tree", tree, "--limit", "1") == 0
    tree.write_text("category,parent\nfruit,traffic\ntraffic,fruit\n")
    capsys.readouterr()
    assert audit(folder, "--tree", tree) == 2
    assert "fruit" in capsys.readouterr().err


def test_a_tree_that_names_nothing_or_cannot_be_is_refused_before_any_work(folder, tmp_path, capsys):
    tree = tmp_path / "tree.csv"
    for content in ("", "category,parent\n"):
        tree.write_text(content)
        assert audit(folder, "--tree", tree) == 2
        assert (
            capsys.readouterr().err
            == f"lexframe: {tree} names no category. Give a row for each, with the columns 'category' and 'parent'.\n"
        )
    tree.write_text("category,parent\nfruit,thing\n")
    assert audit(folder, "--tree", tree) == 2
    assert "1 parent is no category: 'thing'" in capsys.readouterr().err


def test_what_is_read_is_not_written_over(folder, tmp_path, capsys):
    items, sheet = folder / "items.jsonl", tmp_path / "sheet.csv"
    before = items.read_bytes()
    for option in ("--csv", "--report"):
        assert audit(folder, option, items) == 2
        assert (
            capsys.readouterr().err
            == f"lexframe: {option} {items} is the file of ITEMS too, and would be written over. Name another file.\n"
        )
    assert items.read_bytes() == before
    sheet.write_text("row\n")
    (tmp_path / "linked.csv").symlink_to(sheet)
    assert audit(folder, "--decisions", sheet, "--csv", tmp_path / "linked.csv") == 2
    assert "--csv" in capsys.readouterr().err
    assert sheet.read_text() == "row\n"


@pytest.mark.parametrize("content", [b"text,label\na,b\n", b"", b"PK\x03\x04nothing"])
def test_vectors_of_another_kind_of_file(content, folder, tmp_path, capsys):
    (tmp_path / "v.npy").write_bytes(content)
    assert run("audit", folder / "items.jsonl", "--label", "topic", "--vectors", tmp_path / "v.npy") == 2
    shown = capsys.readouterr().err
    assert "v.npy is no table of numbers (.npy). Save one with numpy.save." in shown
    assert "pickle" not in shown


def test_several_categories_in_one_field(tmp_path, capsys):
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(3, 5)) * 4
    names = np.array(["a", "b", "c"])
    rows, points = [], []
    for number in range(120):
        held = {number % 3} | ({(number + 1) % 3} if number % 2 else set())
        points.append(sum(centers[k] for k in held) + rng.normal(size=5))
        rows.append({"text": f"item {number}", "label": ";".join(names[sorted(held)])})
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    np.save(tmp_path / "vectors.npy", np.array(points, dtype=np.float32))
    options = ("--vectors", tmp_path / "vectors.npy", "--separator", ";")
    assert run("audit", tmp_path / "items.jsonl", *options, "--json") == 0
    assert json.loads(capsys.readouterr().out)["categories"] == ["a", "b", "c"]
    assert run("audit", tmp_path / "items.jsonl", *options) == 0
    assert "memberships" in capsys.readouterr().err
    rows[5]["label"] = ""  # an item of no category yet
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("audit", tmp_path / "items.jsonl", *options, "--json") == 0
    capsys.readouterr()
    assert run("audit", tmp_path / "items.jsonl", *options, "--csv", tmp_path / "sheet.csv") == 2
    assert "--csv is for one category each" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ('{"text": "a", "label": "x"}\n{"text": "b"}\n', (), "line 2: the field 'label' is empty"),
        ('{"text": "a"}\n{"text": "b"}\n', (), "no field 'label'"),
        ('{"text": "a", "label": ""}\n{"text": "b", "label": "x"}\n', (), "line 1: the field 'label' is empty (1 row of 2)"),
        ("", (), "holds no text"),
        ('{"text": "a", "label": "x"}\n' * 5, (), "all items are in 'x'"),
        ('{"text": "a", "label": "x"}\n' * 3 + '{"text": "a", "label": "y"}\n' * 3, (), "All points are equal"),
    ],
)
def test_bad_files_are_said_in_one_line(tmp_path, capsys, content, options, message):
    path = tmp_path / "items.jsonl"
    path.write_text(content)
    assert run("audit", path, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_vectors_that_do_not_fit_are_refused(folder, tmp_path, capsys):
    np.save(tmp_path / "few.npy", np.zeros((3, 2)))
    assert run("audit", folder / "items.jsonl", "--label", "topic", "--vectors", tmp_path / "few.npy") == 2
    assert "a row for each of 80 items" in capsys.readouterr().err


def test_a_latent_store_is_audited_as_it_is(folder, tmp_path, capsys):
    rows = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    columns = {name: [row[name] for row in rows] for name in ("text", "topic")}
    import_vectors(np.load(folder / "vectors.npy"), tmp_path / "store", made_by="a test", metadata=columns)
    assert run("audit", tmp_path / "store", "--label", "topic", "--json") == 0
    assert {item["row"] for item in json.loads(capsys.readouterr().out)["items"][:4]} == {3, 20, 41, 62}
    assert run("audit", tmp_path / "store", "--label", "topic", "--parent", "above") == 2
    assert "no column 'above'" in capsys.readouterr().err


def test_vectors_of_words_are_refused(folder, tmp_path, capsys):
    np.save(tmp_path / "words.npy", np.array([["a", "b"]] * 80))
    assert run("audit", folder / "items.jsonl", "--label", "topic", "--vectors", tmp_path / "words.npy") == 2
    assert "not a table of numbers" in capsys.readouterr().err


def test_a_saved_audit_makes_its_sheet_and_report_later(folder, tmp_path, capsys):
    now, later, out = tmp_path / "now.csv", tmp_path / "later.csv", tmp_path / "audit"
    assert audit(folder, "--out", out, "--csv", now, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert run("audit", out, "--csv", later, "--report", tmp_path / "page.html", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again == document
    assert later.read_bytes() == now.read_bytes()
    assert "traffic" in (tmp_path / "page.html").read_text()
    assert run("audit", out, "--limit", "4") == 0
    shown = capsys.readouterr()
    assert {line.split()[0] for line in shown.out.splitlines()[2:]} == {"3", "20", "41", "62"}
    assert run("audit", out, "--check", "--reviews", tmp_path / "log.jsonl") == 2
    assert "--check, --reviews would change it" in capsys.readouterr().err


def test_the_sheet_of_other_items_is_refused_in_one_short_line(folder, tmp_path, capsys):
    sheet = tmp_path / "sheet.csv"
    assert audit(folder, "--csv", sheet, "--limit", "20", "--no-check") == 0
    lines = (folder / "items.jsonl").read_text().splitlines()
    (tmp_path / "items.jsonl").write_text("\n".join(lines[::-1]) + "\n")
    np.save(tmp_path / "vectors.npy", np.load(folder / "vectors.npy")[::-1])
    capsys.readouterr()
    assert audit(tmp_path, "--decisions", sheet) == 2
    message = capsys.readouterr().err
    assert "is the sheet of other items" in message
    assert len(message) < 400
    assert "strict" not in message


def test_few_rows_whose_points_say_nothing_are_not_listed(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [{"text": f"note {number}", "topic": "abc"[number // 6]} for number in range(18)]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    np.save(tmp_path / "vectors.npy", rng.normal(size=(18, 300)).astype(np.float32))
    assert audit(tmp_path) == 0
    shown = capsys.readouterr()
    assert not shown.out.strip()
    assert "nothing to review" in shown.err
    assert "Not shown to be of use" in shown.err or "Do not use this" in shown.err
