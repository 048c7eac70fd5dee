"""The captions: distinct, deterministic, and true to the pictures."""

from __future__ import annotations

import re

import numpy as np
import pytest

from isthmus.data.demo import arrays, captions


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    return load_digits()


@pytest.fixture(scope="module")
def pixels(digits):
    return digits.images / 16


@pytest.fixture(scope="module")
def shipped():
    return arrays("plain")


def test_shipped_captions_are_mostly_distinct(shipped):
    assert len(shipped.captions) == 1797
    assert len(set(shipped.captions)) > 1000


def test_compose_captions_reproduces_the_shipped_captions(shipped, digits, pixels):
    assert shipped.captions == captions.compose_captions(pixels, digits.target)
    np.testing.assert_array_equal(shipped.labels, digits.target)


def test_compose_captions_with_another_seed_differs(shipped, digits, pixels):
    assert shipped.captions != captions.compose_captions(pixels, digits.target, seed=1)


def test_caption_names_its_digit_and_no_other(shipped):
    for caption, label in zip(shipped.captions, shipped.labels, strict=True):
        phrases = re.findall("[a-z]+", caption.lower())
        assert [phrase for phrase in phrases if phrase in captions.NAMES] == [captions.NAMES[label]]


def test_caption_is_a_sentence_with_the_right_article(shipped):
    for caption in shipped.captions:
        assert caption[0].isupper()
        assert caption.endswith(".")
        assert "  " not in caption
        assert "{" not in caption
        for before, after in zip(caption.split()[:-1], caption.split()[1:], strict=True):
            if before in ("a", "A"):
                assert after[0] not in "aeiu"
            if before in ("an", "An"):
                assert after[0] in "aeiu"


def test_compose_captions_uses_every_template(digits, pixels):
    several = captions.compose_captions(np.repeat(pixels[:1], 200, 0), np.zeros(200, int))
    assert len(set(several)) == len(captions.TEMPLATES)


def having(shipped, phrases, without=()):
    def has(caption, some):
        return any(phrase in caption.lower() for phrase in some)

    return np.array([has(caption, phrases) and not has(caption, without) for caption in shipped.captions])


def test_captions_with_heavy_have_more_ink_than_light(shipped, pixels):
    ink = pixels.mean((1, 2))
    heavy, light = having(shipped, ["heavy"]), having(shipped, ["light "])
    assert heavy.sum() > 500
    assert light.sum() > 200
    assert ink[heavy].min() > ink[light].max()
    very = having(shipped, ["very heavy"])
    assert ink[very].min() > ink[heavy & ~very].max()


def test_captions_that_lean_right_have_a_positive_slant(shipped, pixels):
    slant = captions.measure_strokes(pixels).slant
    left, right = having(shipped, ["leaning far to the left"]), having(shipped, ["leaning far to the right"])
    assert min(left.sum(), right.sum()) > 300
    assert slant[right].min() > 0 > slant[left].max()


def test_captions_with_wide_have_wider_strokes(shipped, pixels):
    width = captions.measure_strokes(pixels).width
    wide, narrow = having(shipped, ["wide"], ["rather wide"]), having(shipped, ["narrow"], ["rather narrow"])
    assert min(wide.sum(), narrow.sum()) > 400
    assert width[wide].min() > width[narrow].max()


def test_captions_of_positions_agree_with_the_centre_of_the_ink(shipped, pixels):
    strokes = captions.measure_strokes(pixels)
    above, below = having(shipped, ["above"]), having(shipped, ["below"])
    left = having(shipped, ["to the left of the centre"])
    right = having(shipped, ["to the right of the centre"])
    assert strokes.down[above].max() < strokes.down[below].min()
    assert strokes.right[left].max() < strokes.right[right].min()


def test_measure_strokes_of_a_bar_and_a_diagonal():
    picture = np.zeros((1, 8, 8))
    picture[0, :, 6] = 1.0  # a bar, 2.5 columns to the right of the middle
    strokes = captions.measure_strokes(picture)
    np.testing.assert_allclose(strokes.ink, 1 / 8)
    np.testing.assert_allclose(strokes.slant, 0, atol=1e-15)
    np.testing.assert_allclose(strokes.width, 0, atol=1e-15)
    np.testing.assert_allclose(strokes.right, 2.5)
    np.testing.assert_allclose(strokes.down, 0, atol=1e-15)
    mirrored = np.eye(8)[None]  # from the upper left to the lower right: leans to the left
    np.testing.assert_allclose(captions.measure_strokes(mirrored).slant, -1)


def test_levels_have_about_equal_size():
    level = captions.levels(np.random.default_rng(0).normal(size=1000), 5)
    assert np.abs(np.bincount(level, minlength=5) - 200).max() <= 1
