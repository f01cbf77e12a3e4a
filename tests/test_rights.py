"""What may be done with pictures and what is made of them: licences, reports, what carries them, and withdrawing."""

import json
import shutil
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

import gesso
from gesso.data import editing, open_pack
from gesso.data.editing import CACHES, copy
from gesso.data.licences import LICENCES, goes_into, known, parts_of
from gesso.data.terms import Report, of_record, report_of, together
from gesso.data.withdrawn import note, withdrawn_in
from gesso.errors import GessoError
from gesso.marks.recipe import Rights, read_recipe
from gesso.store import Run
from gesso.store.seen import FILE, Seen, read_seen

# --- licences ---

NAMES = {
    "CC0-1.0": ("CC0", "CC0: Public Domain", "cc-zero", "https://creativecommons.org/publicdomain/zero/1.0/deed.de"),
    "CC-PDM-1.0": ("Public Domain", "http://creativecommons.org/publicdomain/mark/1.0/", "PD", "公有领域"),
    "CC-BY-4.0": ("CC BY 4.0", "cc_by_4.0", "//creativecommons.org/licenses/by/4.0", "CC BY 4.0 DEED",
                  "Creative Commons Attribution 4.0 International License"),
    "CC-BY-NC-4.0": ("CC-BY-NC 4.0 International", "by-nc 4.0",
                     "https://creativecommons.org/licenses/by-nc/4.0/legalcode"),
    "CC-BY-NC": ("Creative Commons Attribution-NonCommercial", "CC BY, non-commercial use only"),
    "CC-BY-SA-3.0": ("CC BY-SA 3.0 Unported", "cc-by-sa-3.0", "licensed under the Creative Commons "
                     "Attribution-ShareAlike license http://creativecommons.org/licenses/by-sa/3.0/ verify at x"),
    "CC-BY-NC-SA-4.0": ("知识共享 署名-非商业性使用-相同方式共享 4.0",),
    "CC-BY-NC-ND-2.5": ("CC BY-NC-ND 2.5 CH", "http://creativecommons.org/licenses/by-nc-nd/2.5/ch/"),
    "CC-BY-ND": ("Attribution-NoDerivs License",),
    "CC-BY-NC-SA": ("Attribution-NonCommercial-ShareAlike License",),
    "CC-BY": ("Attribution License", "CC BY"),
    "MIT": ("MIT License", "The MIT License (MIT)", "https://opensource.org/licenses/MIT", "MIT or CC-BY-NC-4.0"),
    "Apache-2.0": ("Apache License, Version 2.0", "apache-2.0"),
    "GPL-3.0": ("GPLv3", "GNU General Public License v3.0"),
    "GPL-2.0-or-later": ("GPLv2+", "GPL-2.0-or-later", "GNU General Public License, version 2 or later"),
    "GFDL-1.2": ("GFDL 1.2", "GNU Free Documentation License 1.2"),
    "OFL-1.1": ("SIL Open Font License 1.1",),
    "OGL-UK-3.0": ("Open Government Licence v3.0",),
    "etalab-2.0": ("Licence Ouverte 2.0",),
    "LAL-1.3": ("Free Art License 1.3",),
    "Unsplash": ("Unsplash License", "https://unsplash.com/license"),
    "Pexels": ("pexels",),
    "Pixabay": ("Pixabay Content License",),
    "own": ("own", "Mine", "my own work", "自己"),
    "all-rights-reserved": ("© 2020 X. All rights reserved", "All Rights Reserved.", "版权所有",
                            "http://rightsstatements.org/vocab/InC/1.0/"),
    "editorial": ("Editorial use only",),
    "unknown": ("unknown", "?", "n/a", "none"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in NAMES.items() for text in texts])
def test_licences_are_known_as_people_and_files_write_them(name, text):
    found = known(text)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "text",
    ["", "  ", "© 2020 Mina", "(c) MIT", "hello", "Creative Commons", "CC", "not CC BY", "by John",
     "no licence like CC BY",
     "This is not licensed under CC BY 4.0", "https://example.org/about/cc-by", "royalty-free", "permit"],
)  # fmt: skip
def test_what_names_no_licence_is_none(text):
    assert known(text) is None


def test_every_name_of_the_table_is_known_by_itself():
    assert [
        name for name in LICENCES if known(name) is not LICENCES[name] or known(name.lower()) is not LICENCES[name]
    ] == []


@given(
    st.sampled_from([n for n in LICENCES if n.startswith("CC-BY")]), st.sampled_from(["http", "https"]), st.booleans()
)
def test_addresses_of_creative_commons(name, scheme, slash):
    kind, _, version = name.removeprefix("CC-").rpartition("-")
    if not version[:1].isdigit():
        kind, version = name.removeprefix("CC-"), ""
    address = f"{scheme}://creativecommons.org/licenses/{kind.lower()}{f'/{version}' if version else ''}{'/' * slash}"
    found = known(address)
    assert found is LICENCES[name]
    parts = kind.split("-")
    assert (found.commercial, found.derive, found.alike) == ("NC" not in parts, "ND" not in parts, "SA" in parts)


WORDS = st.sampled_from(
    ["CC", "BY", "NC", "ND", "SA", "not", "or", "and", "4.0", "MIT", "GPL", "©", ";", "-", "/", "署名", "v"]
)


@given(st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=40).map(" ".join)))
def test_any_text_is_borne(text):
    found = known(text)
    assert found is None or (known(found.name) == found and parts_of(found.name))
    assert known(text) is found


def test_long_and_hostile_text_is_cut():
    for text in (
        "CC BY " * 10**5,
        "(" * 10**5,
        "no " * 10**5 + "MIT",
        "ﷺ" * 10**5,
        "CC BY or " * 10**4,
        "a" * 10**6 + " CC BY",
    ):
        assert known(text) is None or known(text) is LICENCES["CC-BY"]


@given(st.sampled_from([*LICENCES]), st.sampled_from([*LICENCES]))
def test_of_several_the_strictest_holds_and_of_a_choice_the_freest(one, other):
    a, b = LICENCES[one], LICENCES[other]
    both, either = known(f"{one}; {other}"), known(f"{one} or {other}")
    assert both is not None
    assert either is not None
    assert either.strictness == min(a.strictness, b.strictness)
    closed = [licence for licence in (a, b) if licence.commercial is licence.derive is False]
    assert both.strictness == (
        max(licence.strictness for licence in closed) if closed else tuple(map(max, a.strictness, b.strictness))
    )
    assert known(both.name) == both
    assert {part.name for part in parts_of(both.name)} <= {one, other}


def test_of_several_none_gets_lost():
    both = known("CC BY-ND 4.0 and CC BY-NC 4.0")
    assert both is not None
    assert (both.name, both.commercial, both.derive) == ("CC-BY-NC-4.0 AND CC-BY-ND-4.0", False, False)
    report = report_of(said("CC BY-SA 4.0; CC BY-NC 4.0"))
    assert (report.commercial, report.share_alike) == ("no", ["CC-BY-SA-4.0"])
    assert report.conflicts == ["CC-BY-SA-4.0 asks to allow commercial use, and CC-BY-NC-4.0 forbids it."]


def test_what_goes_into_what():
    assert goes_into("CC-BY-SA-3.0", "CC-BY-SA-4.0")
    assert goes_into("CC-BY-SA-4.0", "GPL-3.0")
    assert goes_into("GPL-2.0-or-later", "GPL-3.0")
    for one, other in (
        ("CC-BY-SA-4.0", "CC-BY-SA-3.0"), ("GPL-3.0", "CC-BY-SA-4.0"), ("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"),
        ("GFDL-1.3", "CC-BY-SA-4.0"), ("GPL-2.0", "GPL-3.0"), ("CC-BY-SA-1.0", "CC-BY-SA-4.0"),
    ):  # fmt: skip
        assert not goes_into(one, other)


# --- reports ---


def said(*licences, **more):
    return [{"licence": licence, **more} for licence in licences]


@pytest.mark.parametrize(
    ("licences", "commercial", "derivatives", "attribution"),
    [
        (["CC0", "own"], "yes", "yes", False),
        (["CC BY 4.0", "CC0"], "yes", "yes", True),
        (["CC BY-NC 4.0", "CC0"], "no", "yes", True),
        (["CC BY-ND 4.0"], "yes", "no", True),
        (["CC0", ""], "unknown", "unknown", False),
        (["", "CC BY-NC-ND 3.0"], "no", "no", True),
        (["My very own terms"], "unknown", "unknown", False),
        (["All rights reserved", "CC0"], "no", "no", False),
        (["Unsplash"], "yes", "unknown", False),
    ],
)
def test_the_strictest_licence_wins(licences, commercial, derivatives, attribution):
    report = report_of(said(*licences))
    assert (report.commercial, report.derivatives, report.attribution) == (commercial, derivatives, attribution)
    assert report.verdict.startswith("As the licences say, ")


RANK = {"yes": 0, "unknown": 1, "no": 2}


@given(
    st.lists(st.sampled_from([*LICENCES, "", "strange"]), min_size=1, max_size=8),
    st.sampled_from([*LICENCES, "", "strange"]),
)
def test_one_more_picture_never_allows_more(licences, more):
    before, after = report_of(said(*licences)), report_of(said(*licences, more))
    assert RANK[after.commercial] >= RANK[before.commercial]
    assert RANK[after.derivatives] >= RANK[before.derivatives]
    assert after.attribution >= before.attribution
    assert {*before.share_alike} <= {*after.share_alike}
    assert bool(before.conflicts) <= bool(after.conflicts)


def test_own_and_consent_are_permission_and_a_refusal_is_none():
    assert report_of(said("", consent="Ada, by letter")).commercial == "yes"
    assert report_of(said("All rights reserved", consent="yes")).derivatives == "yes"
    kept = report_of(said("CC BY-NC 4.0", consent="Ada"))  # consent to training lifts no condition of the licence
    assert (kept.commercial, kept.derivatives, kept.consent) == ("no", "yes", 1)
    for word in ("no", "False", False, 0, "refused"):
        refused = report_of(said("CC0", consent=word))
        assert (refused.commercial, refused.derivatives, refused.consent, refused.refused) == ("no", "no", 0, 1)


@pytest.mark.parametrize(
    ("word", "consent", "refused"),
    [("No.", 0, 1), ("N", 0, 1), ("refused by letter", 0, 1), ("not given", 0, 1), ("unknown", 0, 0), ("n/a", 0, 0),
     ("?", 0, 0), ("Ada, by letter", 1, 0), ("yes", 1, 0)],
)  # fmt: skip
def test_only_what_says_yes_is_consent(word, consent, refused):
    report = report_of([{"licence": "all rights reserved", "consent": word}])
    assert (report.consent, report.refused) == (consent, refused)
    assert report.commercial == ("yes" if consent else "no")


def test_half_letters_and_controls_are_borne():
    report = report_of([{"licence": "x\ud800", "creator": "a\udc00", "origin": "\udfff"}], "d")
    assert report.short().licences == {"x?": 1}
    assert list(report_of([{"creator": "A\x1b[31m\x9bda\u200d"}]).creators) == ["A?[31m?da\u200d"]
    again = of_record({"rights": {**report.facts(), "creators": {"\ud800": 1}}})
    assert again is not None
    assert again.short().creators == ("?",)


def test_a_notice_counts_where_no_licence_is_named():
    assert report_of([{"rights": "© Ada. All rights reserved."}]).commercial == "no"
    assert report_of([{"rights": "© Ada. All rights reserved.", "licence": "own"}]).commercial == "yes"
    assert report_of([{"rights": "© Ada"}]).unnamed == 1


def test_share_alike_and_what_does_not_go_together():
    report = report_of(said("CC BY-SA 4.0", "CC BY-SA 3.0", "CC BY 4.0"))
    assert {*report.share_alike} == {"CC-BY-SA-4.0", "CC-BY-SA-3.0"}
    assert report.conflicts == []
    for licences in (
        ["CC BY-SA 4.0", "CC BY-NC-SA 4.0"],
        ["GFDL 1.3", "CC BY-SA 4.0"],
        ["CC BY-SA 4.0", "CC BY-NC 4.0"],
    ):
        report = report_of(said(*licences))
        assert report.conflicts
        assert report.short().conflict
        assert "do not go together" in report.verdict


def test_who_must_be_named_and_what_else_is_counted():
    report = report_of(
        [
            {"licence": "CC BY 4.0", "creator": "Ada"}, {"licence": "CC BY 4.0", "creator": "Ada"},
            {"licence": "CC BY 4.0"},
            {"licence": "CC0", "creator": "Bo", "digital_source": "trainedAlgorithmicMedia", "origin": "https://x.org"},
            {"licence": "own", "marks": ["TDM reservation"]},
        ]
    )  # fmt: skip
    assert dict(report.credits) == {"Ada": 2}
    assert (report.attributed, report.uncredited, report.machine_made, report.marked) == (3, 1, 1, 1)
    assert dict(report.origins) == {"https://x.org": 1}
    text = " ".join(report.reasons)
    for part in ("Ada", "machine made", "not for training"):
        assert part in text


TEXT = st.text(max_size=120)
ITEM = st.fixed_dictionaries({}, optional=dict.fromkeys(("licence", "creator", "consent", "origin", "rights"), TEXT))


@given(st.lists(ITEM, max_size=30), TEXT)
def test_what_a_picture_carries_is_small_and_comes_back(items, name):
    report = report_of(items, name, "a" * 64)
    short = report.short()
    assert len(json.dumps(short.model_dump(mode="json"))) < 2048
    assert Rights.model_validate_json(short.model_dump_json()) == short
    assert sum(short.licences.values()) == len(items) == short.count
    again = Report.of(json.loads(json.dumps(report.facts())), {})
    assert again is not None
    assert again.facts()["verdict"] == report.verdict
    assert again.short().model_dump(exclude={"creators"}) == short.model_dump(exclude={"creators"})


def test_many_makers_with_long_names_in_any_script_fit():
    items = [{"licence": f"自定许可{i}" * 30, "creator": f"画家{i}" * 60} for i in range(300)]
    short = report_of([*items, *said("CC BY 4.0", creator="Ada")], "data", "b" * 64).short()
    assert len(json.dumps(short.model_dump(mode="json"))) < 2048
    assert short.creators[0] == "Ada"  # those who must be named come first
    assert sum(short.licences.values()) == 301


@given(
    st.lists(st.sampled_from([*LICENCES, "", "odd"]), max_size=6),
    st.lists(st.sampled_from([*LICENCES, "", "odd"]), max_size=6),
)
def test_reports_add_up(one, other):
    apart = together([report_of(said(*one), "a", "1" * 64), None, report_of(said(*other), "b", "2" * 64)])
    whole = report_of(said(*one, *other))
    assert apart is not None
    assert (apart.data, apart.fingerprint) == (("a", "b"), "1" * 64)
    assert (apart.verdict, apart.licences) == (whole.verdict, whole.licences)


def test_records_of_runs_before():
    data = {"name": "old", "fingerprint": "c" * 64, "count": 3}
    before = {"licences": {"CC BY-NC 4.0": 2, "": 1}, "creators": ["Ada"], "consent": 0}
    report = of_record({"data": {**data, "rights": before}})
    assert report is not None
    assert (report.commercial, report.unnamed, report.short().creators) == ("no", 1, ("Ada",))
    assert of_record({"data": data}) is None
    assert of_record({}) is None
    for wrong in ({"licences": 3}, {"licences": {"a": "x"}}, [], "x", {"verdict": 1, "licences": {"a": {}}}):
        of_record({"data": {**data, "rights": wrong}, "rights": wrong})


# --- carried into runs, cards and pictures ---

QUICK = {"watch": False, "precision": "float32", "threads": 1}
LEARNING = {"family": "gan", "images": "32", "set": ("width=8", "critic_width=8", "latent=8"), **QUICK}
LICENSED = ("CC0", "https://creativecommons.org/licenses/by-sa/4.0/", "CC BY-NC 4.0", "", "my own work", "Fancy 3")


def pictures(folder, first, count):
    """Pictures like no other, with a table of what is said of them."""
    folder.mkdir(parents=True)
    rows = []
    for i in range(count):
        coarse = np.random.default_rng(first + i).integers(0, 255, (4, 4, 3), np.uint8)
        Image.fromarray(coarse).resize((16, 16), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
        row = {
            "file_name": f"{i}.png",
            "licence": LICENSED[i % 6],
            "creator": ("Ada", "Bo")[i % 2],
            "label": "ab"[i % 2],
        }
        rows.append({**row, "source": "https://example.org/a"})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with runs: 1 of all of `mix`, 2 of it with some held out, 3 of `other`, 4 a fork of 1 on `other`."""
    home = tmp_path_factory.mktemp("home")
    gesso.run("import", source=str(pictures(home / "in", 0, 12)), name="mix", home=home)
    gesso.run("import", source=str(pictures(home / "more", 100, 12)), name="other", home=home)
    gesso.run("train", dataset="mix", **LEARNING, home=home)
    gesso.run("train", dataset="mix", hold_out=0.3, **LEARNING, home=home)
    gesso.run("train", dataset="other", **LEARNING, home=home)
    gesso.run("train", dataset="other", fork="1", images="32", **QUICK, home=home)
    return home


@pytest.fixture
def home(made, tmp_path):
    shutil.copytree(made, tmp_path / "home")
    return tmp_path / "home"


def test_the_report_of_a_mixed_set_is_right(made):
    facts = gesso.run("rights", dataset="mix", home=made).facts
    assert facts["licences"] == {"CC0-1.0": 2, "CC-BY-SA-4.0": 2, "CC-BY-NC-4.0": 2, "": 2, "own": 2, "Fancy 3": 2}
    assert (facts["commercial"], facts["derivatives"], facts["share_alike"]) == ("no", "unknown", ["CC-BY-SA-4.0"])
    assert (facts["unnamed"], facts["unknown"], facts["not_commercial"]) == (2, 4, 2)
    assert facts["credits"] == {"Bo": 2, "Ada": 2}
    assert facts["origins"] == {"https://example.org/a": 12}
    assert facts["conflicts"]


def test_card_and_picture_repeat_it(made, tmp_path):
    facts = gesso.run("rights", dataset="mix", home=made).facts
    card = (Run.open(made, 1).root / "README.md").read_text()
    assert facts["verdict"] in card
    assert 'license: "other"' in card
    assert 'commercial_use: "no"' in card
    drawn = gesso.load(1, made).sample(1, seed=3)
    recipe = read_recipe(drawn.save(tmp_path)[0])
    assert recipe is not None
    assert recipe.rights == report_of(open_pack("mix", made).items, "mix", facts["fingerprint"]).short()
    assert recipe.rights.verdict == facts["verdict"]
    told = gesso.run("rights", dataset="1", home=made)
    assert told.facts["verdict"] == facts["verdict"]
    assert "0001-mix-gan" in told.text


def test_of_held_out_pictures_nothing_is_told_and_a_fork_tells_of_its_parent(made):
    held = of_record(Run.open(made, 2).record)
    assert held is not None
    assert held.count == 8
    rows = open_pack("mix", made).split(0.3)[0]
    assert held.verdict == report_of([open_pack("mix", made).items[i] for i in rows]).verdict
    fork = of_record(Run.open(made, 4).record)
    assert fork is not None
    assert (fork.count, fork.data) == (24, ("other", "mix"))


def test_a_fork_of_a_fork_counts_the_same_pictures_once(home):
    for run in ("1", "5"):
        gesso.run("train", dataset="mix", fork=run, images="16", home=home)
    for number in (5, 6):
        told = of_record(Run.open(home, number).record)
        assert told is not None
        assert told.count == Run.open(home, number).record["data"]["count"]
    card = (Run.open(home, 6).root / "README.md").read_text()
    assert "it started from what run 0005-mix-gan had learned" in card
    assert "random numbers" not in card


def test_runs_of_before_still_open(home):
    for number, rights in ((1, {"licences": {"CC BY-NC 4.0": 12}, "creators": [], "consent": 0}), (2, None)):
        run = Run.open(home, number)
        data = {**run.record["data"], "rights": rights}
        run.update(data={key: value for key, value in data.items() if value is not None})
        (run.root / FILE).unlink()
    model = gesso.load(1, home)
    assert model.rights is not None
    assert model.rights.commercial == "no"
    assert gesso.load(2, home).rights is None
    with pytest.raises(GessoError, match="Nothing was noted"):
        gesso.run("rights", dataset="2", home=home)


def test_a_card_shows_no_stranger_s_markup(home, tmp_path):
    gesso.run("rights", dataset="mix", creator="<script>x</script> [a](b) `c`", licence="CC BY 4.0", home=home)
    gesso.run("train", dataset="mix", **LEARNING, home=home)
    card = (Run.open(home, 5).root / "README.md").read_text()
    assert "‹script›" in card
    assert "<script>" not in card


# --- said by hand ---


def test_said_by_hand_of_some(home):
    told = []
    before = open_pack("mix", home)
    said_before = before.items
    result = gesso.run(
        "rights", dataset="mix", licence="CC BY 4.0", creator="Cy", origin="here", consent="Cy", only="a 0",
        home=home, on_event=told.append,
    )  # fmt: skip
    pack = open_pack("mix", home)
    assert pack.items[0]["licence"] == "CC BY 4.0"
    assert [pack.items[0][name] for name in ("creator", "origin", "consent")] == ["Cy", "here", "Cy"]
    assert [a for a, b in zip(pack.items, said_before, strict=True) if a != b] == [
        item for item in pack.items if item.get("consent")
    ]
    assert len([item for item in pack.items if item.get("consent")]) == 2  # 0.png and 10.png, whose label is a
    assert pack.fingerprint == before.fingerprint
    assert result.facts["count"] == 12
    assert any("another until now" in getattr(event, "text", "") for event in told)
    gesso.run("rights", dataset="mix", consent="", home=home)
    assert not any("consent" in item for item in open_pack("mix", home).items)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"dataset": "mix", "only": "nowhere"}, "No picture"),
        ({"dataset": "nothing"}, "no data set and no run"),
        ({"dataset": "1", "licence": "CC0"}, "is a run"),
        ({"dataset": "mix", "licence": "a\nb"}, "one line"),
    ],
)
def test_mistakes_are_said(made, options, match):
    with pytest.raises(GessoError, match=match):
        gesso.run("rights", **options, home=made)


# --- withdrawing ---


def withdraw(home, *words, **more):
    return gesso.run("withdraw", dataset=more.pop("dataset", "mix"), picture=words, home=home, **more)


def saw(result):
    return {one["run"]: one["how"] for one in result.facts["runs"]}


@pytest.fixture(scope="module")
def names(made):
    """A picture that run 2 learned from, and one that it did not."""
    pack = open_pack("mix", made)
    rows, held = pack.split(0.3)
    return pack.items[rows[0]]["source"], pack.items[held[0]]["source"]


def test_exactly_the_runs_that_saw_it_are_listed(home, names):
    learned, held = names
    everywhere = {"0001-mix-gan": "list", "0004-other-gan": "parent"}
    assert saw(withdraw(home, learned, dry_run=True)) == {**everywhere, "0002-mix-gan": "list"}
    assert saw(withdraw(home, held, dry_run=True)) == everywhere
    other = open_pack("other", home).items[0]["source"]
    assert saw(withdraw(home, other, dataset="other", dry_run=True)) == {
        "0003-other-gan": "list",
        "0004-other-gan": "list",
    }
    result = withdraw(home, held, reason="asked")
    assert saw(result) == everywhere
    assert result.facts["unknown"] == []
    shutil.rmtree(Run.open(home, 1).root)  # a fork knows what its parent learned
    assert saw(withdraw(home, held, dry_run=True)) == {"0004-other-gan": "parent"}


def test_what_is_withdrawn_is_gone_and_stays_away(home, names):
    before = open_pack("mix", home)
    for cache in ("own-123-0.safetensors", "own-123-0.json", "near-16x16-12.json"):
        (before.path / cache).write_text("x")
    (before.path / "index").mkdir()
    gone = next(item for item in before.items if item["source"] == names[0])
    result = withdraw(home, names[0], reason="asked by its maker")
    pack = open_pack("mix", home)
    assert pack.count == 11
    assert gone["sha256"] not in {item["sha256"] for item in pack.items}
    assert not [path.name for path in pack.path.iterdir() for cache in CACHES if path.match(cache)]
    pack.verify()
    entry = withdrawn_in(home)[gone["sha256"]]
    assert (entry["source"], entry["data"], entry["reason"]) == (names[0], "mix", "asked by its maker")
    assert entry["runs"] == [one["run"] for one in result.facts["runs"]]
    told = []
    gesso.run("import", source=str(home / "in"), name="again", home=home, on_event=told.append)
    again = open_pack("again", home)
    assert again.count == 11
    assert gone["sha256"] not in {item["sha256"] for item in again.items}
    assert again.meta["summary"]["withdrawn"] == 1
    assert any("were withdrawn" in getattr(event, "text", "") for event in told)
    assert '"kind": "withdrawn"' in (again.path / "rejected.jsonl").read_text()


def test_a_data_set_that_changes_meanwhile_is_read_again(home, monkeypatch):
    edit, calls = editing.edit, []
    names = [item["source"] for item in open_pack("mix", home).items]

    def first_another(home, name, fingerprint, edits):
        if not calls:
            calls.append(edit(home, name, fingerprint, [editing.Drop(pictures=(0,))]))
        return edit(home, name, fingerprint, edits)

    monkeypatch.setattr(editing, "edit", first_another)
    gesso.run("withdraw", dataset="mix", picture=[names[3]], home=home)
    left = [item["source"] for item in open_pack("mix", home).items]
    assert left == [name for name in names if name not in (names[0], names[3])]


def test_dry_runs_change_nothing(home, names):
    def state():
        return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file() and ".lock" not in path.name}

    before = state()
    result = withdraw(home, names[0], dry_run=True)
    assert state() == before
    assert "would be taken out" in result.text


def test_pictures_are_named_in_four_ways(home, names):
    pack = open_pack("mix", home)
    number = next(i for i, item in enumerate(pack.items) if item["source"] == names[0])
    sha256 = pack.items[number]["sha256"]
    for word in (names[0], str(number), sha256, sha256[:8].upper()):
        assert [one["sha256"] for one in withdraw(home, word, dry_run=True).facts["pictures"]] == [sha256]
    for word in ("nothing.png", "99", sha256[:7] if not sha256[:7].isdigit() else "zz", "deadbeefdeadbeef"):
        with pytest.raises(GessoError, match="There is no picture"):
            withdraw(home, word)
    assert len(withdraw(home, "0", "1", "2", dry_run=True).facts["pictures"]) == 3


def test_a_name_that_could_be_several_is_asked_back(tmp_path):
    for folder in ("x", "y"):
        pictures(tmp_path / "in" / folder, ord(folder), 2)
        (tmp_path / "in" / folder / "metadata.jsonl").unlink()
    gesso.run("import", source=str(tmp_path / "in"), name="two", home=tmp_path)
    with pytest.raises(GessoError, match="any of several"):
        withdraw(tmp_path, "0.png", dataset="two")
    assert withdraw(tmp_path, "x/0.png", dataset="two").facts["rows"]


def test_runs_of_before_are_told_by_their_data(home, names):
    learned, held = names
    for number in (1, 2, 3, 4):
        (Run.open(home, number).root / FILE).unlink()
    first = saw(withdraw(home, learned, dry_run=True))
    assert first == {"0001-mix-gan": "data", "0002-mix-gan": "data", "0004-other-gan": "parent"}
    result = withdraw(home, held)
    assert saw(result) == {"0001-mix-gan": "data", "0004-other-gan": "parent"}
    assert result.facts["unknown"] == []
    later = withdraw(home, learned, dry_run=True)  # by now their data set is another one
    assert saw(later) == {}
    assert {one["run"] for one in later.facts["unknown"]} == {"0001-mix-gan", "0002-mix-gan", "0004-other-gan"}
    again = withdraw(home, held, dry_run=True)  # what was found out when it was withdrawn is kept
    assert saw(again) == {"0001-mix-gan": "noted", "0004-other-gan": "noted"}


def test_each_run_is_listed_with_the_pictures_that_it_saw(home, names):
    learned, held = names
    pack = open_pack("mix", home)
    sha256 = {item["source"]: item["sha256"] for item in pack.items}
    for number in (1, 2):
        (Run.open(home, number).root / FILE).unlink()
    runs = {one["run"]: one["pictures"] for one in withdraw(home, learned, held).facts["runs"]}
    assert runs["0001-mix-gan"] == runs["0004-other-gan"] == sorted(sha256[name] for name in names)
    assert runs["0002-mix-gan"] == [sha256[learned]]
    assert "0002-mix-gan" not in withdrawn_in(home)[sha256[held]]["runs"]
    assert saw(withdraw(home, held, dry_run=True)) == {"0001-mix-gan": "noted", "0004-other-gan": "parent"}


def test_a_copy_of_the_data_set_still_tells_and_is_named(home, names):
    (Run.open(home, 1).root / FILE).unlink()
    copy(home, "mix", "kept")
    withdraw(home, names[1])
    result = withdraw(home, names[0])
    assert saw(result)["0001-mix-gan"] == "data"
    assert result.facts["elsewhere"] == ["kept"]
    assert "kept" in result.text


def test_the_last_pictures_take_the_data_set_with_them(home):
    everything = tuple(item["sha256"] for item in open_pack("other", home).items)
    result = withdraw(home, *everything, dataset="other")
    assert result.facts["removed"]
    assert not (home / "datasets" / "other").exists()
    assert len(withdrawn_in(home)) == 12
    with pytest.raises(GessoError, match="12 were withdrawn"):
        gesso.run("import", source=str(home / "more"), name="other", home=home)


def test_same_bytes_go_together_and_pairs_too(tmp_path):
    source = pictures(tmp_path / "in", 7, 4)
    (source / "metadata.jsonl").unlink()
    shutil.copy(source / "0.png", source / "twin.png")
    gesso.run("import", source=str(source), name="twins", home=tmp_path)
    assert withdraw(tmp_path, "0.png", dataset="twins").facts["rows"] == [0, 4]
    for side in "AB":
        pictures(tmp_path / "pairs" / side, 50 * ord(side), 4)
        (tmp_path / "pairs" / side / "metadata.jsonl").unlink()
    gesso.run("import", source=str(tmp_path / "pairs"), name="pairs", pairs="folders", home=tmp_path)
    pack = open_pack("pairs", tmp_path)
    away = pack.items[1]["paired_sha256"]
    assert withdraw(tmp_path, away, dataset="pairs").facts["rows"] == [1]
    gesso.run("import", source=str(tmp_path / "pairs"), name="pairs2", pairs="folders", home=tmp_path)
    assert open_pack("pairs2", tmp_path).count == 3


def test_second_sets_and_sources_are_remembered(tmp_path):
    for name, first in (("one", 1), ("two", 50)):
        folder = pictures(tmp_path / name, first, 8)
        gesso.run("import", source=str(folder), name=name, home=tmp_path)
    options = {"images": "16", "set": ("width=8", "critic_width=8"), **QUICK}
    gesso.run("train", dataset="one", source="two", family="cut", **options, home=tmp_path)
    run = Run.open(tmp_path, 1)
    seen = read_seen(run.root)
    assert seen is not None
    both = {item["sha256"] for name in ("one", "two") for item in open_pack(name, tmp_path).items}
    assert seen.own == both
    assert run.record["source"]["rights"]["count"] == 8
    assert run.record["rights"]["count"] == 16
    word = open_pack("two", tmp_path).items[0]["source"]
    assert saw(withdraw(tmp_path, word, dataset="two", dry_run=True)) == {"0001-one-cut": "list"}
    (run.root / FILE).unlink()
    assert saw(withdraw(tmp_path, word, dataset="two", dry_run=True)) == {"0001-one-cut": "data"}


HASHES = st.frozensets(st.integers(0, 2**256 - 1).map(lambda n: f"{n:064x}"), max_size=5)


@given(HASHES, HASHES, st.booleans())
def test_lists_come_back_and_damaged_ones_say_nothing(tmp_path_factory, own, before, whole):
    folder = tmp_path_factory.mktemp("run")
    seen = Seen(own, before - own, whole)
    (folder / FILE).write_text(seen.text())
    assert read_seen(folder) == seen
    for wrong in (
        seen.text()[:-2] if own or before else "",
        "gesso-learned 1 1 whole\nxyz\n",
        "",
        seen.text() + "f" * 64,
        "é",
    ):
        (folder / FILE).write_text(wrong, encoding="utf-8")
        assert read_seen(folder) is None


def test_a_damaged_list_of_what_was_withdrawn_stops_imports(home):
    note(home, [{"sha256": "A" * 64, "source": "x"}])
    note(home, [{"sha256": "b" * 64, "source": "y"}])
    assert set(withdrawn_in(home)) == {"a" * 64, "b" * 64}
    path = home / "marks" / "withdrawn.jsonl"
    path.write_text(path.read_text() + '{"sha256": 3}\n')
    for do in (
        lambda: gesso.run("import", source=str(home / "in"), name="new", home=home),
        lambda: withdraw(home, "0"),
        lambda: note(home, []),
    ):
        with pytest.raises(GessoError, match="line 3, is damaged"):
            do()
    assert open_pack("mix", home).count == 12


def test_share_alikes_that_go_together_do_so_for_all():
    """No two licences that go into a third are called a conflict when that third is among them."""
    alike = [name for name in LICENCES if LICENCES[name].alike]
    for one, other in combinations(alike, 2):
        conflict = bool(report_of(said(one, other)).conflicts)
        together_ = goes_into(one, other) or goes_into(other, one)
        mixed = LICENCES[one].commercial != LICENCES[other].commercial
        assert conflict == (mixed or not together_), (one, other)


def test_withdrawing_tells_what_the_ledger_knows(tmp_path):
    """Works by the runs that saw a picture, and works that have patches of it in them."""
    gesso.run("import", source="blossoms", count=6, size="16", name="six", home=tmp_path)
    options = {"family": "gan", "images": "16", "set": ("width=8", "critic_width=8", "latent=8")}
    gesso.run("train", dataset="six", **options, home=tmp_path)
    gesso.run("sample", run="1", count=2, seed=1, finish=False, home=tmp_path)
    path = gesso.run("sample", run="1", count=1, seed=5, size=48, home=tmp_path).paths[0]
    part = read_recipe(path).taken.parts[0].source
    found = gesso.run("withdraw", dataset="six", picture=[part], dry_run=True, home=tmp_path)
    assert found.facts["drawn"] == {"by_runs": 3, "with_patches": 1}
    assert "3 by these runs, 1 with patches" in found.text
    with next((tmp_path / "marks" / "ledger").glob("*.jsonl")).open("a") as file:
        file.write('{"recipe":5,"at":1}\n{"recipe":{"taken":{"parts":[5]}}}\n{"recipe":{"taken":[],"run":[1]}}\n')
    assert gesso.run("withdraw", dataset="six", picture=[part], dry_run=True, home=tmp_path).facts == found.facts
    gesso.run("import", source="blossoms", count=6, size="24", name="others", home=tmp_path)
    assert open_pack("others", tmp_path).items[0]["source"] == open_pack("six", tmp_path).items[0]["source"]
    found = gesso.run("withdraw", dataset="others", picture=[part], dry_run=True, home=tmp_path)
    assert found.facts["drawn"] == {"by_runs": 0, "with_patches": 0}


@pytest.mark.parametrize(("mine", "commercial"), [("CC0-1.0", "no"), ("", "no")])
def test_of_a_pair_both_licences_hold(tmp_path, mine, commercial):
    """The source of a pair is learned from, too: what its file says is not lost."""
    for side, licence in (("A", "CC-BY-NC-4.0"), ("B", mine)):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        texts = PngImagePlugin.PngInfo()
        if licence:
            texts.add_text("license", licence)
            texts.add_text("author", f"maker of {side}")
        image = np.random.default_rng(ord(side)).integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(image).save(tmp_path / "pairs" / side / "a.png", pnginfo=texts)
    gesso.run("import", source=str(tmp_path / "pairs"), name="pairs", pairs="folders", home=tmp_path)
    rights = open_pack("pairs", tmp_path).rights()
    assert rights["commercial"] == commercial
    assert "maker of A" in " ".join(rights["creators"])
