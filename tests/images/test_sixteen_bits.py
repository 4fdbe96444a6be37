"""Images of more than 256 levels: read as they are, scored in the right units, saved and drawn."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

import logpx
from logpx.distributions import DiagonalNormal
from logpx.distributions.likelihoods import DiscretisedLogisticLikelihood
from logpx.errors import DataError
from logpx.images import ImageModel, LinearPixels, UniformLevels, fit_images, open_images, write_images

X = np.random.default_rng(0).integers(0, 65_536, (6, 4, 5), dtype=np.uint16)
X[0, 0, 0] = 65_535


def test_files_of_16_bits_are_read_as_they_are(tmp_path):
    for extension in ("png", "tif"):
        folder = tmp_path / extension
        folder.mkdir()
        for number, image in enumerate(X):
            Image.fromarray(image).save(folder / f"{number}.{extension}")
        images = open_images(folder)
        assert (images.levels, images.event_shape) == (65_536, (1, 4, 5))
        assert np.array_equal(images.read()[:, 0].numpy(), X)
    np.save(tmp_path / "x.npy", X)
    images = open_images(tmp_path / "x.npy")
    assert images.levels == 65_536
    assert images.read().dtype == torch.int32
    assert np.array_equal(images.read()[:, 0].numpy(), X)
    # Values of 12 bits in 16.
    assert open_images(X // 16).levels == 4096
    assert open_images((X // 256).astype(np.uint16)).read().dtype == torch.uint8


def test_values_beyond_the_levels_are_named():
    with pytest.raises(DataError, match=r"65535 lies outside the 4,096 levels"):
        open_images(X, levels=4096).read()


def png_of_colour(depth):
    """Return a PNG file of colour, 2 × 2, which Pillow writes with 8 bits only."""

    def chunk(kind, body):
        content = kind + body
        return struct.pack(">I", len(body)) + content + struct.pack(">I", zlib.crc32(content))

    rows = (b"\0" + bytes(range(2 * 3 * depth // 8))) * 2
    header = struct.pack(">IIBBBBB", 2, 2, depth, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_colour_of_16_bits_is_not_halved_in_silence(tmp_path):
    for depth in (8, 16):
        (tmp_path / f"{depth}.png").write_bytes(png_of_colour(depth))
    assert open_images(str(tmp_path / "8.png")).event_shape == (3, 2, 2)
    with pytest.raises(DataError, match="16 bits per channel"):
        open_images(str(tmp_path / "16.png"))
    pages = io.BytesIO()
    Image.fromarray(X[0]).save(pages, format="TIFF", save_all=True, append_images=[Image.fromarray(X[1])])
    (tmp_path / "two.tif").write_bytes(pages.getvalue())
    with pytest.raises(DataError, match="2 pages"):
        open_images(str(tmp_path / "two.tif"))


def test_the_bound_is_that_of_the_probability_of_levels():
    shape, levels = (1, 4, 5), 65_536
    model = ImageModel(DiagonalNormal(shape), levels, preprocessing=LinearPixels(shape, levels)).eval()
    x = torch.from_numpy(X[:, None].astype(np.int32))
    edges = [stats.norm.cdf((x.numpy() + end) / (levels / 2) - 1.0) for end in (0.0, 1.0)]
    truth = np.log(edges[1] - edges[0]).sum((1, 2, 3))
    # Within a level of 16 bits the density hardly varies, so that the bound is tight.
    np.testing.assert_allclose(model.log_prob_lower(x, draws=8).log_prob, truth, atol=1e-3)
    uniform = UniformLevels(shape, levels).log_prob(x.float())
    torch.testing.assert_close(uniform / (-20.0 * np.log(2.0)), torch.full((6,), 16.0))


def test_a_fit_is_near_the_entropy_and_is_saved(tmp_path):
    smooth = np.clip(np.random.default_rng(1).normal(30_000.0, 3_000.0, (200, 4, 4)), 0, 65_535).round()
    images = smooth.astype(np.uint16)
    result = fit_images(images, "realnvp", levels=65_536, max_steps=40, seed=0)
    bits = -result.model.evaluate(images).mean / (16.0 * np.log(2.0))
    # Of a normal distribution of that deviation.
    assert bits == pytest.approx(0.5 * np.log2(2.0 * np.pi * np.e * 3_000.0**2), abs=0.15)
    logpx.save(result.model, tmp_path / "model")
    copy = logpx.load(tmp_path / "model")
    drawn = copy.sample(50, seed=0)
    assert torch.equal(drawn, result.model.sample(50, seed=0))
    assert drawn.dtype == torch.int32
    assert int(drawn.max()) > 255
    write_images(drawn, tmp_path / "drawn.npz", levels=copy.levels)
    again = open_images(tmp_path / "drawn.npz", levels=65_536)
    assert torch.equal(again.read(), drawn)
    write_images(drawn, tmp_path / "drawn.png", levels=copy.levels)


def test_rounded_logistics_of_so_many_levels_are_probabilities():
    likelihood = DiscretisedLogisticLikelihood((1,), 65_536)
    for location, log_scale in ((0.1, -2.0), (-0.99, -6.0), (0.5, -9.0)):
        numbers = torch.tensor([[location, log_scale]], dtype=torch.float64)
        levels = torch.arange(65_536.0, dtype=torch.float64)[:, None]
        total = likelihood(numbers.expand(65_536, 2)).log_prob(levels).exp().sum().item()
        assert total == pytest.approx(1.0, abs=1e-9)
