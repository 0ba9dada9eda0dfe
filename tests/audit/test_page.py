"""The page of an audit: its numbers, charts that show what they say, nothing that runs, and no part without content."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import vl_convert

from lexframe.audit import page as page_module
from lexframe.audit.category_audit import CategoryAudit
from lexframe.audit.charts import (
    SHAPES,
    confused_categories,
    distinct_names,
    drawn_rows,
    frequent_categories,
    map_chart,
    probability_chart,
    relations_chart,
    suspicious,
)
from lexframe.audit.page import audit_report, candidates_by_category, sentence, sentence_case, shown_probability
from lexframe.audit.relations import CategoryRelation
from lexframe.audit.review.decisions import Decisions
from lexframe.drawing.theme import CATEGORY_COLORS
from lexframe.exceptions import InputError
from tests.adaptation.test_page import ATTACK

RELATIONS = (
    CategoryRelation("split", ("a",), 0.9, "'a' has two modes."),
    CategoryRelation("merge", ("a", "b"), 0.8, "Members of 'a' and 'b' cannot be told apart."),
    CategoryRelation("overlap", ("b", "c"), 0.3, "The posterior puts 31% of 'b' in 'c'."),
)


def audited(n_categories, n_each, *, n_wrong=0, texts=True, names=None, spread=4.0, seed=0, **options):
    """Gaussians, the first labels moved to the next category."""
    rng = np.random.default_rng(seed)
    true = np.repeat(np.arange(n_categories), n_each)
    points = (rng.normal(size=(n_categories, 12)) * spread)[true] + rng.normal(size=(len(true), 12))
    given = true.copy()
    wrong = rng.permutation(len(true))[:n_wrong]
    given[wrong] = (given[wrong] + 1) % n_categories
    names = names or [f"category {number}" for number in range(n_categories)]
    spoken = [f"text {row} of {names[number]}" for row, number in enumerate(true)] if texts is True else texts or None
    audit = CategoryAudit(**options).fit(points.astype(np.float32), [names[number] for number in given], texts=spoken)
    return audit.result_, points[:, :2], wrong


@pytest.fixture(scope="module")
def found():
    texts = [f"text {row}" for row in range(90)]
    texts[::9] = [f"{ATTACK} {row}" for row in range(10)]
    texts[3] = texts[33] = "The same  text"  # of two categories
    result, coordinates, _ = audited(3, 30, n_wrong=6, texts=texts, names=["a", "b", "<i>c</i> {{ 7*7 }}"], check=True)
    return replace(result, relations=(*RELATIONS, *result.relations)), coordinates


@pytest.fixture
def undrawn(monkeypatch):
    """Drawing takes most of the time of a page; most tests look at its text."""
    monkeypatch.setattr(page_module, "svg", lambda _: "<svg></svg>")


class Elements(HTMLParser):
    """Tags and attributes as a browser sees them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.depth = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


def page_of(result, tmp_path, **options):
    page = audit_report(result, tmp_path / "audit.html", **options).read_text(encoding="utf-8")
    seen = Elements(page)
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert not [value for name, value in seen.attributes if name in ("href", "src", "xlink:href") and not value.startswith("#")]
    assert not re.search(r"url\((?!#)|@import", page)
    anchors = {value for name, value in seen.attributes if name == "id"}
    assert {value[1:] for name, value in seen.attributes if name == "href"} <= anchors
    return page


def test_the_page_holds_its_numbers_and_runs_nothing(found, tmp_path):
    result, coordinates = found
    hulls = [(number, coordinates[:3] + number) for number in range(3)]
    page = page_of(result, tmp_path, coordinates=coordinates, hulls=hulls, map_note="Made <b>so</b>.", n_shown=7, title="A & <b>B</b>")
    assert "default-src 'none'" in page
    assert "&lt;script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert "Made &lt;b&gt;so&lt;/b&gt;." in page
    assert "A &amp; &lt;b&gt;B&lt;/b&gt;" in page
    assert f"audit-{result.digest}" in page
    assert sentence_case(result.expectation()) in page
    assert str(result.verdict()) in page
    listed = result.to_review(7)
    assert f"hold about {result.probability[listed].sum():.0f} of them" in page
    assert re.findall(r'<li id="row-(\d+)">', page) == [str(row) for row in listed]
    first = int(result.ranked(1)[0])
    assert shown_probability(float(result.probability[first])).replace(">", "&gt;") in page
    assert result.reason(first).split(";")[0].replace("'", "&#39;").replace("<", "&lt;").replace(">", "&gt;") in page
    for step in result.seconds.keys() - {"all"}:
        assert f"<li>{step} {result.seconds[step]:.2f} s</li>" in page
    assert f"{result.check.n_planted:,} wrong labels were planted" in page


def test_every_part_is_there(found, undrawn, tmp_path):
    result, coordinates = found
    strange = np.where(np.arange(90) == 1, 9.0, result.strangeness)
    page = page_of(replace(result, notes=("Mind the gap.",), strangeness=strange), tmp_path, coordinates=coordinates)
    for heading in (
        "Items to reconsider",
        "What reviews find",
        "The map",
        "Categories to reconsider",
        "Duplicates",
        "Items that fit no category",
        "Items to consider, category by category",
        "How to read this, and when it misleads",
        "Notes",
        "What made these numbers",
    ):
        assert f"<h2>{heading}</h2>" in page
    evidence = [page.index(relation.evidence.replace("'", "&#39;")) for relation in (RELATIONS[1], RELATIONS[2], RELATIONS[0])]
    assert evidence == sorted(evidence)
    assert "2 items with the same text" in page
    assert "Mind the gap." in page


def test_no_part_is_there_without_content(undrawn, tmp_path):
    result, *_ = audited(2, 15, texts=None, relations=False, duplicates=False, check=False)
    page = page_of(result, tmp_path)
    for part in ("map", "categories", "duplicates", "notes"):
        assert f'id="{part}"' not in page
        assert f'href="#{part}"' not in page
    assert page.count("<svg") == 2
    assert "groups of duplicates" not in page
    assert "No wrong labels were planted here" in page
    assert "Nothing to review." in page
    assert "<mark" not in page
    assert "(blank text)" not in page
    assert "out_of_category" not in page.split("</style>")[1]  # some item is always the strangest, but none is strange


def test_many_categories_and_nothing_left_to_review(tmp_path):
    result, coordinates, _ = audited(150, 2, n_wrong=10, relations=False)
    page = page_of(result, tmp_path, coordinates=coordinates, hulls=[(number, np.eye(3, 2)) for number in range(150)], n_shown=0)
    assert "for the 12 most frequent ones" in page
    assert ("None were asked for." if len(result.to_review()) else "Nothing to review.") in page
    page = page_of(replace(result, reviewed=np.ones(300, bool)), tmp_path, coordinates=coordinates)
    assert "Everything has been reviewed." in page


def test_reviewed_items_are_not_listed_again(tmp_path):
    result, coordinates, wrong = audited(3, 20, n_wrong=3, relations=False)
    row = int(result.ranked(1)[0])
    assert row in wrong
    decisions = Decisions.from_lists([row], ["keep"], [""], [""])
    points = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    again = CategoryAudit(relations=False).fit(
        points, [result.categories[number] for number in result.given], texts=result.texts, decisions=decisions
    )
    page = page_of(again.result_, tmp_path, coordinates=coordinates, n_shown=60)
    assert f'id="row-{row}"' not in page
    assert page.count('<li id="row-') == len(again.result_.to_review())
    assert f"row {row}, given {result.categories[result.given[row]]}, reviewed" in page  # the map shows it, and says so


def test_long_and_strange_texts(tmp_path):
    result, coordinates, _ = audited(2, 15, relations=False, check=False)
    result = replace(result, probability=np.full(30, 0.5))
    row = int(result.ranked(1)[0])
    texts = list(result.texts)
    texts[row] = "word " * 20_000
    texts[(row + 1) % 30] = "\ud800 half, \x00 null, \u202e turned"
    texts[(row + 2) % 30] = ""
    texts[(row + 3) % 30] = "שלום (1) {a} {% raw %} {{ b }}"
    page = page_of(replace(result, texts=tuple(texts)), tmp_path, coordinates=coordinates)
    assert "the rest of 100,000 characters" in page
    assert "80,000 more are left out here" in page
    assert "� half, � null" in page
    assert "(blank text)" in page
    assert '<p class="text" dir="auto">שלום (1) {a} {% raw %} {{ b }}</p>' in page
    assert len(page) < 500_000


def test_words_are_marked_with_their_effects(found, undrawn, tmp_path):
    result, _ = found
    row = int(result.ranked(1)[0])
    number = result.texts[row].split()[-1]
    page = page_of(result, tmp_path, words={row: [(number, -0.5), ("elsewhere", 1.0), ("<b>", 0.01)]})
    card = page[page.index(f'<li id="row-{row}">') :].split("</li>")[0]
    given, suggested = (result.categories[part[row]].replace("<", "&lt;").replace(">", "&gt;") for part in (result.given, result.suggested))
    assert f'<mark class="away" style="--size: 0.50" title="-0.5, towards {given}">{number}</mark>' in card
    assert f'<mark class="toward" style="--size: 1.00" title="+1, towards {suggested}">elsewhere</mark>' in card
    assert '<mark class="faint"' in card
    assert "not found in the text:" in card
    page = page_of(replace(result, texts=None), tmp_path, words={row: [("alone", 1.0)]})
    assert ">alone</mark>" in page


def test_without_texts_rows_stand_for_items(found, undrawn, tmp_path):
    result, coordinates = found
    page = page_of(replace(result, texts=None), tmp_path, coordinates=coordinates)
    assert "text 1" not in page
    assert f'<a class="row" href="#row-{result.ranked(1)[0]}">' in page


def test_candidates_are_those_of_the_result():
    result, *_ = audited(3, 40, n_wrong=15, spread=0.8, relations=False)
    shown = candidates_by_category(result)
    assert shown["n"] == np.sum(result.suggestion_probability >= shown["least"])
    assert max(len(category["items"]) for category in shown["categories"]) > 2
    for category in shown["categories"]:
        rows = [item["row"] for item in category["items"]]
        assert rows == result.candidates_for(category["name"], len(rows)).tolist()


def test_duplicates_with_different_labels_come_first_and_stand_beside_their_item(found, monkeypatch):
    result, _ = found
    same = next(group for group in result.duplicates.conflicting if 3 in group)
    assert 33 in same
    twins = replace(result.duplicates, groups=((0, 1), same), is_exact=(False, True), conflicting=(same,))
    result = replace(result, duplicates=twins)
    shown = page_module.duplicate_groups(result)
    assert [[item["row"] for item in group["rows"]] for part in ("conflicting", "agreeing") for group in shown[part]] == [[*same], [0, 1]]
    monkeypatch.setattr(page_module, "MAX_GROUPS", 1)
    shown = page_module.duplicate_groups(result)
    assert [len(shown[part]) for part in ("conflicting", "agreeing")] == [1, 0]
    card = page_module.item_cards(result, np.array([33]), {})[0]
    assert [item["row"] for item in card["copies"]] == [row for row in same if row != 33]


def test_long_groups_show_every_label_they_carry(undrawn, tmp_path, monkeypatch):
    monkeypatch.setattr(page_module, "MAX_OF_GROUP", 2)
    texts = ["same"] * 9 + [f"text {row}" for row in range(21)]
    result, *_ = audited(2, 15, texts=texts, relations=False)
    given = result.given.copy()
    given[8] = 1
    group = replace(result.duplicates, conflicting=(result.duplicates.groups[0],))
    shown = page_module.duplicate_groups(replace(result, given=given, duplicates=group))["conflicting"][0]
    assert [item["row"] for item in shown["rows"]] == [0, 8]
    assert "and 7 more" in page_of(replace(result, given=given, duplicates=group), tmp_path)


def test_names_of_other_scripts_do_not_turn_their_sentence():
    assert sentence("3 in 'שלום'; 4 in 'a'", ["a", "שלום"]) == "3 in \u2068'שלום'\u2069; 4 in 'a'"
    assert len(sentence(f"1 in {'x' * 200!r}.", ["x" * 200])) < 100
    assert sentence("plain 'a'", ["a"]) == "plain 'a'"


@pytest.mark.parametrize(
    ("probability", "shown"), [(1.0, "1.00"), (0.9999, "> 0.99"), (0.994, "0.99"), (0.5, "0.50"), (0.001, "< 0.01"), (0.0, "0.00")]
)
def test_probabilities_are_never_surer_than_they_are(probability, shown):
    assert shown_probability(probability) == shown


def layers(chart):
    """Rows of every layer of a chart, from the innermost outwards."""

    def walk(part, data):
        data = part.get("data", data)
        if "layer" in part:
            for inner in part["layer"]:
                yield from walk(inner, data)
        else:
            yield part["mark"]["type"], data["values"]

    return list(walk(chart.to_dict(), None))


def test_the_review_curve_is_that_of_the_result(found):
    result, _ = found
    rows = layers(result.chart())[0][1]
    at, expected = result.review_curve()
    drawn = {row["reviews"]: row["found"] for row in rows if "order of this" in row["line"]}
    shown = at[at <= max(drawn)]
    assert set(drawn) == {0, *shown.tolist()} | {max(drawn)}
    assert [drawn[int(x)] for x in shown] == pytest.approx(expected[: len(shown)])
    chance = [(row["reviews"], row["found"]) for row in rows if "random" in row["line"]]
    assert chance[0] == (0, 0.0)
    assert chance[1][1] / chance[1][0] == pytest.approx(result.expected_errors() / 90)
    planted = {row["reviews"]: row["share"] for row in layers(result.chart())[2][1]}
    assert planted[0] == 0
    measured = dict(zip(result.check.reviews.tolist(), result.check.found.tolist(), strict=True))
    assert all(planted[x] == pytest.approx(measured[x]) for x in planted if x in measured)
    assert len(layers(replace(result, check=None).chart())) == 2


def test_the_probability_chart_counts_every_open_item_once(found):
    result, _ = found
    reviewed = np.arange(90) < 10
    rows = layers(probability_chart(replace(result, reviewed=reviewed)))[0][1]
    assert sum(row["count"] for row in rows) == 80
    for row in rows:
        inside = (result.probability >= row["low"]) & ((result.probability < row["high"]) | (row["high"] == 1))
        assert row["count"] == np.sum(inside & ~reviewed)


def test_the_map_draws_each_item_once_and_rings_the_suspicious(found):
    result, coordinates = found
    drawn = layers(map_chart(coordinates, result, [(0, np.eye(3, 2)), (1, np.zeros((1, 2)))]))
    assert [(mark, len(rows)) for mark, rows in drawn] == [
        ("line", 3),
        ("point", 0),
        ("point", 90),
        ("point", len(suspicious(result))),
        ("text", 3),
        ("text", 3),
    ]
    assert len(suspicious(result)) == np.sum(result.probability >= 0.5) > 0
    row = drawn[2][1][1]
    assert (row["x"], row["y"]) == pytest.approx(tuple(coordinates[1]))
    assert result.texts[1] in row["about"]
    assert f"given {result.categories[result.given[1]]}, suggested {result.categories[result.suggested[1]]}" in row["about"]


def test_a_map_of_many_items_keeps_the_suspicious_ones(found):
    result, coordinates = found
    ringed = suspicious(result)
    kept = drawn_rows(coordinates, ringed, len(ringed) + 2)
    assert len(kept) == len(ringed) + 2
    assert set(ringed.tolist()) <= set(kept.tolist())
    holes = coordinates.copy()
    holes[ringed[0]] = np.nan
    assert sorted(set(range(90)) - set(drawn_rows(holes, ringed, 4000).tolist())) == [ringed[0]]
    assert len(layers(map_chart(np.full((90, 2), np.nan), result))[1][1]) == 0
    assert vl_convert.vegalite_to_svg(map_chart(np.full((90, 2), np.nan), result).to_json()).startswith("<svg")


def test_the_most_frequent_categories_are_coloured():
    names = [f"category {number:02d}" for number in range(14)]
    result, coordinates, _ = audited(14, 5, names=names, relations=False)
    given = result.given.copy()
    given[:5], given[5:10] = 7, 8  # nobody is left in 0 and 1
    result = replace(result, given=given)
    assert frequent_categories(result) == list(range(2, 14))
    chart = map_chart(coordinates, result).to_dict()
    scale = chart["layer"][1]["encoding"]["color"]["scale"]
    assert scale["domain"] == [*names[2:], "all other categories"]
    assert scale["range"][:-1] == CATEGORY_COLORS
    assert len(set(CATEGORY_COLORS)) == len(set(SHAPES)) == 12
    assert len(scale["range"]) == len(scale["domain"])


def test_a_map_that_does_not_fit_is_refused(found):
    result, coordinates = found
    with pytest.raises(InputError, match="5 places on the map, but 90 items"):
        map_chart(coordinates[:5], result)
    with pytest.raises(InputError, match="category number 3, but there are 3"):
        map_chart(coordinates, result, [(3, np.eye(3, 2))])
    with pytest.raises(InputError, match=r"expected finite corners of shape \(m, 2\)"):
        map_chart(coordinates, result, [(0, np.eye(3))])
    with pytest.raises(InputError, match="expected finite corners"):
        map_chart(coordinates, result, [(0, np.full((3, 2), np.inf))])


def test_the_table_of_categories_holds_what_is_expected_to_be_misplaced():
    result, *_ = audited(10, 40, n_wrong=40, spread=2.0, relations=False)
    numbers, table = confused_categories(result)
    dense = result.confusion().toarray()
    np.fill_diagonal(dense, 0)
    assert numbers == np.flatnonzero((dense >= 1).any(0) | (dense >= 1).any(1)).tolist() != []
    np.testing.assert_allclose(table, dense[np.ix_(numbers, numbers)])
    rows = layers(relations_chart(result))[0][1]
    assert len(rows) == len(numbers) * (len(numbers) - 1)
    strongest = max(rows, key=lambda row: row["count"])
    given, belongs = (int(strongest[key].split()[-1]) for key in ("given", "belongs"))
    assert given == (belongs + 1) % 10  # the way the labels were moved
    top = np.argwhere(dense == dense.max())[0]
    assert confused_categories(result, 2)[0] == sorted(top.tolist())


def test_every_chart_is_a_valid_specification(found):
    result, coordinates = found
    sure = replace(result, probability=np.zeros(90))
    done = replace(result, reviewed=np.ones(90, bool))
    charts = [draw(each) for each in (sure, done) for draw in (type(result).chart, probability_chart)]
    for chart in (*charts, map_chart(coordinates, result), relations_chart(result), result.chart()):
        assert vl_convert.vegalite_to_svg(chart.to_json()).startswith("<svg")


def test_names_stay_apart_when_shortened():
    long = "x" * 100
    names = distinct_names([long, long + "y", "a\nb", "a b", "all other categories", "all other categories"])
    assert len(set(names)) == 6
    assert max(map(len, names)) <= 31
    assert names[2:4] == ["a b", "a b (2)"]
