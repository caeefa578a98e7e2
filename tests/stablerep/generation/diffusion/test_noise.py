"""The noise of an image: Philox keyed with the whole seed, for samplers of diffusers as well."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from stablerep.caption_ids import caption_id_of
from stablerep.errors import GeneratorError
from stablerep.generation.diffusion.generator import DiffusersGenerator, ImageRequest, image_noise_seed
from stablerep.generation.diffusion.noise import PhiloxGenerator, image_generator, with_image_noise

SEED = 3325418011963422518


def noise_of(kind, seed):
    return with_image_noise(torch.randn)((4, 8, 8), generator=image_generator(kind, seed))


@pytest.mark.parametrize("bit", [0, 31, 32, 40, 62])
def test_every_bit_of_a_seed_decides_the_noise(bit):
    assert not torch.equal(noise_of("philox", SEED), noise_of("philox", SEED ^ (1 << bit)))


def test_torch_keeps_the_lower_half_of_a_seed():
    """Why there is another: this is what images of older releases were drawn from."""
    assert torch.equal(noise_of("torch", SEED), noise_of("torch", SEED ^ (1 << 40)))


def test_seeds_that_differ_in_one_bit_have_unrelated_noise():
    rows = [noise_of("philox", SEED ^ (1 << bit)).flatten() for bit in range(63)]
    correlations = [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in combinations(rows, 2)]
    # of 256 numbers each: a standard deviation of 1/16; 1,953 pairs reach 5 of them by chance in 0.1 %
    assert max(map(abs, correlations)) < 5 / 16


def test_the_noise_is_frozen():
    # other values would make other images of the same captions
    drawn = PhiloxGenerator(SEED).normals((4,))
    expected = [0.786293089389801, 1.4023939371109009, -0.0023351293057203293, 0.759110689163208]
    assert drawn.dtype == torch.float32
    assert drawn.tolist() == pytest.approx(expected, abs=1e-6)


def test_the_words_are_those_of_philox():
    """Against the known answers of Random123's kat_vectors: philox4x64, 10 rounds, key and counter 0."""
    words = np.random.Philox(key=0, counter=2**256 - 1).random_raw(4)  # numpy counts before it draws
    answers = ["16554d9eca36314c", "db20fe9d672d0fdc", "d7e772cee186176b", "7e68b68aec7ba23b"]
    assert [f"{word:016x}" for word in words] == answers


def test_the_numbers_are_standard_normal_and_independent():
    values = PhiloxGenerator(1).normals((200, 1000)).double().numpy()
    assert stats.kstest(values.ravel(), "norm").pvalue > 1e-3
    # both numbers of a pair, and neighbours
    halves, neighbours = np.split(values.ravel(), 2), (values.ravel()[:-1], values.ravel()[1:])
    for one, other in (halves, neighbours):
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(len(one))
        assert abs(np.corrcoef(one**2, other**2)[0, 1]) < 5 / np.sqrt(len(one))


def test_a_generator_goes_on_where_it_was_and_odd_numbers_are_allowed():
    generator = PhiloxGenerator(1)
    first, second = generator.normals((3,)), generator.normals((3,))
    assert first.shape == second.shape == (3,)
    assert not torch.equal(first, second)
    assert torch.equal(first, PhiloxGenerator(1).normals((3,)))


@pytest.mark.parametrize("name", ["DDPMScheduler", "EulerAncestralDiscreteScheduler", "LCMScheduler"])
def test_a_sampler_takes_its_later_noise_from_the_image_as_well(tiny_generator, settings, name, monkeypatch):
    """A stochastic sampler draws at each step; all of it must come from the image's generator."""
    num_drawn = []
    normals = PhiloxGenerator.normals
    monkeypatch.setattr(
        PhiloxGenerator, "normals", lambda self, shape: num_drawn.append(self) or normals(self, shape)
    )
    chosen = settings(scheduler={"_target_": f"diffusers.{name}"}, num_inference_steps=4)
    requests = [ImageRequest(caption_id_of("a nine"), "a nine", index) for index in range(2)]
    model = DiffusersGenerator(tiny_generator, chosen)
    (together,) = model.draw(requests, 0)
    assert len(num_drawn) >= 2 * 4
    assert len(set(map(id, num_drawn))) == 2
    (alone,) = model.draw(requests[1:], 0)
    assert (together.images[1].int() - alone.images[0].int()).abs().max() <= 1


@pytest.mark.parametrize("folder_name", ["tiny_stable_diffusion", "tiny_sd3"])
def test_the_first_noise_is_the_images_own_in_our_loop_and_in_diffusers_call(
    folder_name, settings, request, monkeypatch
):
    seen = []
    normals = PhiloxGenerator.normals

    def watched(self, shape):
        seen.append(normals(self, shape))
        return seen[-1]

    monkeypatch.setattr(PhiloxGenerator, "normals", watched)
    model = DiffusersGenerator(request.getfixturevalue(folder_name), settings())
    next(model.draw([ImageRequest("c-a", "a nine", 1)], 5))
    expected = normals(PhiloxGenerator(image_noise_seed(5, "c-a", 1)), seen[0].shape)
    assert torch.equal(seen[0], expected)


def test_noise_that_is_drawn_elsewhere_is_an_error_and_not_of_32_bits(tiny_generator, settings, monkeypatch):
    model = DiffusersGenerator(tiny_generator, settings())
    draw = model.sampler.draw

    def careless(encoded, chosen, generators, on_step):
        torch.randn(1, generator=generators[0])
        return draw(encoded, chosen, generators, on_step)

    monkeypatch.setattr(model.sampler, "draw", careless)
    with pytest.raises(GeneratorError, match="outside its sampler.*generator.noise to torch"):
        next(model.draw([ImageRequest("c-a", "a nine", 0)], 0))


def test_a_sampler_that_draws_other_than_normal_numbers_is_refused():
    draw = with_image_noise(torch.rand)
    with pytest.raises(GeneratorError, match="the sampler draws by rand from an image's noise"):
        draw(3, generator=PhiloxGenerator(0))
