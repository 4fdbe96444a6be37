"""Families by name, and the options that they take."""

import pytest

from logpx.errors import UsageError
from logpx.images import IMAGE_FAMILIES
from logpx.tables import FAMILIES


def test_auto_stands_for_several_or_for_one():
    assert [family.name for family in FAMILIES.named("auto")] == [
        "gaussian",
        "gmm",
        "maf",
        "nsf",
        "autoregressive",
    ]
    assert [family.name for family in IMAGE_FAMILIES.named("auto")] == ["realnvp"]


@pytest.mark.parametrize(("families", "what"), [(FAMILIES, "a table"), (IMAGE_FAMILIES, "images")])
def test_the_nearest_name_is_suggested(families, what: str):
    with pytest.raises(UsageError, match=f"no model 'reelnvp' of {what}") as caught:
        families.named("reelnvp")
    assert caught.value.fix == "did you mean 'realnvp'?"


def test_errors_list_the_models_that_can():
    assert FAMILIES.fix(lambda family: family.allows_labels) == "--model gaussian, gmm, vae or autoregressive"
    assert (
        FAMILIES.fix(lambda family: family.allows_missing)
        == "--model gaussian, gmm, ppca, fa, mppca, vae or autoregressive"
    )
    assert IMAGE_FAMILIES.fix(lambda family: family.any_size) == "--model mintnet or vae"


@pytest.mark.parametrize(
    ("families", "model", "options", "fix"),
    [
        (FAMILIES, "maf", {"components": 3}, "leave components out, or take --model gmm or mppca"),
        (FAMILIES, "auto", {"latent": 3}, "leave latent out, or take --model ppca, fa, mppca or vae"),
        (IMAGE_FAMILIES, "glow", {"latent": 3}, "leave latent out, or take --model vae"),
        (IMAGE_FAMILIES, "vae", {"alpha": 0.1}, "leave alpha out, or take --model realnvp, glow or mintnet"),
    ],
)
def test_an_option_of_other_models_is_refused(families, model: str, options: dict, fix: str):
    with pytest.raises(UsageError, match=f"--model {model} does not take") as caught:
        families.check_options(model, options)
    assert caught.value.fix == fix


@pytest.mark.parametrize(
    ("families", "model", "options"),
    [
        (FAMILIES, "gmm", {"components": 0}),
        (FAMILIES, "vae", {"latent": 0}),
        (FAMILIES, "ppca", {"latent": -1}),
        (IMAGE_FAMILIES, "glow", {"dequantisation": "gaussian"}),
        (IMAGE_FAMILIES, "vae", {"latent": 1.5}),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(families, model: str, options: dict):
    with pytest.raises(UsageError):
        families.check_options(model, options)
    families.check_options(model, dict.fromkeys(options))
    # No latent dimension at all is a normal distribution with equal variances.
    FAMILIES.check_options("ppca", {"latent": 0})
