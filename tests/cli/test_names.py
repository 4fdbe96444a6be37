"""Names that help texts list are those of the families and formats that there are."""

from logpx.cli.names import (
    COMPONENT_MODELS,
    COMPRESSED_TEXT,
    IMAGE_MODELS,
    LATENT_MODELS,
    READABLE_TABLES,
    TABLE_MODELS,
    WRITABLE_TABLES,
)
from logpx.images import IMAGE_FAMILIES
from logpx.tables import FAMILIES
from logpx.tables.formats import plain_extensions
from logpx.tables.reading.compression import COMPRESSIONS


def test_models_are_those_of_the_families():
    assert list(TABLE_MODELS) == ["auto", *FAMILIES]
    assert list(IMAGE_MODELS) == ["auto", *IMAGE_FAMILIES]


def test_models_that_take_an_option_are_those_of_the_families():
    for option, names in (("components", COMPONENT_MODELS), ("latent", LATENT_MODELS)):
        assert list(names) == [name for name, family in FAMILIES.items() if option in family.options]


def test_extensions_are_those_of_the_formats():
    assert list(READABLE_TABLES) == plain_extensions()
    assert list(WRITABLE_TABLES) == plain_extensions(written=True)
    assert list(COMPRESSED_TEXT) == list(COMPRESSIONS)
