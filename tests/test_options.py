from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.errors import GessoError, nearest
from gesso.families.gan import GANConfig
from gesso.options import Field, Options


class Inner(Options):
    """Within."""

    rate: float = Field(default=0.5, ge=0, le=1, description="A share.")


class Outer(Options):
    """Without."""

    name: str = Field(description="A word.")
    count: int = Field(default=3, ge=1, le=9, description="A number.")
    ways: tuple[str, ...] = Field(default=(), description="Words.")
    inner: Inner = Field(default=Inner(), description="More.")


def test_pairs_become_typed_values():
    made = Outer.from_pairs(["count=5", "inner.rate=1e-1", 'ways=["a", "b"]'], base={"name": "x"})
    assert (made.count, made.inner.rate, made.ways) == (5, 0.1, ("a", "b"))
    assert Outer.from_pairs(["name=a=b"]).name == "a=b"


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["cuont=5"], "Did you mean 'count'"),
        (["count=50"], "less than or equal to 9"),
        (["inner.rat=1"], "Did you mean 'rate'"),
        (["count"], "name=value"),
        (["=5"], "name=value"),
        (["count.deep=5"], "count"),
        (["inner.rate=NaN"], "rate"),
    ],
)
def test_what_does_not_fit_is_one_sentence(pairs, said):
    with pytest.raises(GessoError, match=said) as caught:
        Outer.from_pairs(pairs, base={"name": "x", "count": 4})
    assert "\n" not in str(caught.value)


def test_a_missing_value_is_named():
    with pytest.raises(GessoError, match="'name' is missing"):
        Outer.of({})


def test_choices_that_do_not_go_together_are_a_sentence():
    with pytest.raises(GessoError, match=r"^The wasserstein loss needs"):
        GANConfig.of({"loss": "wasserstein", "norm": "none"})


@given(st.text(max_size=40))
def test_no_word_makes_it_crash(word):
    with suppress(GessoError):
        assert Outer.from_pairs([word], base={"name": "x"})


@given(st.text(max_size=20), st.lists(st.text(min_size=1, max_size=10), max_size=5))
def test_the_nearest_word_is_a_known_one(wrong, known):
    said = nearest(wrong, known)
    assert not known or any(word in said for word in known)


def test_every_field_is_documented():
    rows = Outer.document()
    assert [row[0] for row in rows] == ["name", "count", "ways", "inner"]
    assert all(row[3] for row in rows)


def test_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Outer(name="x").count = 4
