"""Parameters of the right type and no sense: one sentence, before anything runs."""

import pytest

from checkout import ROOT
from elbo.companion.project.chapters import chapter_keys, read_chapter
from elbo.companion.project.errors import CompanionError
from elbo.companion.project.paths import find_project
from elbo.companion.project.profiles import load_profile, resolve
from elbo.companion.project.sense import senseless

CASES = [  # name, default, value, help, what is said
    ("latent_dims", [2, 10], [], "sizes", "hold something"),
    ("latent_dims", [], [], "sizes", None),
    ("read_every", [1, 4], [], "steps; empty: as trained", None),
    ("hidden", 200, -1, "", "not be negative"),
    ("offset", -1.0, -2.0, "", None),
    ("hidden", 200, 10**13, "", "lie within 1,000,000,000,000"),
    ("seed", 0, 10**13, "", None),
    ("seeds", [0], [2**63], "", "lie within 9,"),
    ("rate", 0.1, float("nan"), "", "be finite"),
    ("rates", [0.1], [0.1, float("inf")], "", "be finite"),
    ("bound", float("inf"), float("inf"), "", None),
    ("name", "plain", "a\ud800", "", "half characters"),
    ("names", ["a"], {"k": ["\udfff"]}, "", "half characters"),
    ("flag", False, True, "", None),
    ("betas", [1, 4], [0.5], "", None),
]


@pytest.mark.parametrize(("name", "default", "value", "help", "said"), CASES)
def test_a_value_is_judged_by_the_default_beside_it(name, default, value, help, said):
    found = senseless(name, default, value, help)
    assert found is None if said is None else said in found


GIVEN = [
    ("hoffman-johnson-2016", "latent_dims", "[2.5]", "must be list\\[int\\]"),
    ("hoffman-johnson-2016", "latent_dims", "[]", "must hold something"),
    ("hoffman-johnson-2016", "seeds", "['a']", "must be list\\[int\\]"),
    ("hoffman-johnson-2016", "epochs", "-3", "must not be negative"),
    ("hoffman-johnson-2016", "learning_rate", "nan", "must be finite"),
    ("hoffman-johnson-2016", "hidden", "1" + "0" * 30, "must lie within"),
    ("kingma-welling-2013", "latent_dims", "[2.5]", "must be list\\[int\\]"),
    ("higgins-2017", "betas", "['four']", "must be list"),
    ("higgins-2017", "seeds", "[]", "must hold something"),
]


@pytest.mark.parametrize(("chapter", "name", "value", "said"), GIVEN)
def test_the_chapters_refuse_what_has_no_sense(chapter, name, value, said):
    project = find_project(ROOT)
    with pytest.raises(CompanionError, match=f"-p: {name} of {chapter} {said}") as caught:
        resolve(read_chapter(project, chapter), load_profile(project, "smoke"), {name: value})
    assert len(str(caught.value)) < 500


def test_the_profiles_of_the_book_have_sense():
    project = find_project(ROOT)
    for key in chapter_keys(project):
        for profile in ("smoke", "quick", "paper"):
            assert resolve(read_chapter(project, key), load_profile(project, profile))
