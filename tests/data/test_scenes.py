"""Noisy shots of one scene are told from photographs that a camera has numbered in the same way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from skimage import data

from layerkit.data.pictures import Picture, resized, with_channels, write_picture
from layerkit.data.scenes import Findings, Likeness, compare, find_scenes
from layerkit.errors import DataError


def photographs() -> dict[str, torch.Tensor]:
    """Return photographs of different scenes, uint8 (3, H, W)."""
    return {
        name: torch.from_numpy(getattr(data, name)()).permute(2, 0, 1).contiguous()
        for name in ("astronaut", "chelsea", "coffee", "rocket")
    }


PHOTOGRAPHS = photographs()


def shot(clean: torch.Tensor, seed: int, sigma: float = 25.0) -> torch.Tensor:
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return (clean + sigma * noise).round().clamp(0, 255).byte()


def put(folder: Path, **pictures: torch.Tensor) -> list[Path]:
    """Write pictures by name, and return all pictures of the folder."""
    folder.mkdir(exist_ok=True)
    for name, pixels in pictures.items():
        write_picture(folder / f"{name}.png", Picture(pixels))
    return sorted(folder.iterdir())


def names(found: Findings) -> dict[str, list[str]]:
    return {scene.name: [path.stem for path in scene.shots] for scene in found.scenes}


# Alike


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("sigma", [1, 5, 25, 75])
def test_two_noisy_shots_are_alike(name, sigma):
    clean = PHOTOGRAPHS[name]
    assert compare(shot(clean, 0, sigma), shot(clean, 1, sigma)) is Likeness.ALIKE
    assert compare(clean, shot(clean, 0, sigma)) is Likeness.ALIKE
    assert compare(with_channels(clean, 1), shot(clean, 0, sigma)) is Likeness.ALIKE  # one in grey


def test_dark_shots_with_little_in_them_are_alike():
    clean = PHOTOGRAPHS["astronaut"] * 0.05 + 20
    assert compare(shot(clean, 0), shot(clean, 1)) is Likeness.ALIKE


def test_shots_of_which_one_is_brighter_are_alike():
    clean = PHOTOGRAPHS["astronaut"].float()
    assert compare(shot(clean, 0, 1), shot(clean * 0.9, 1, 1)) is Likeness.ALIKE


def test_other_photographs_are_not_alike():
    for name, first in PHOTOGRAPHS.items():
        for other, second in PHOTOGRAPHS.items():
            if name != other:
                height, width = (min(pair) for pair in zip(first.shape[1:], second.shape[1:], strict=True))
                for side in (64, 300):
                    corner = (slice(None), slice(min(side, height)), slice(min(side, width)))
                    assert compare(first[corner], second[corner]) is Likeness.DIFFERENT
                assert compare(first, second) is Likeness.DIFFERENT


def test_the_two_views_of_a_stereo_camera_are_not_alike():
    left, right, _ = data.stereo_motorcycle()
    assert (
        compare(*(torch.from_numpy(view).permute(2, 0, 1).contiguous() for view in (left, right))) is Likeness.DIFFERENT
    )


def test_a_moved_camera_is_not_alike():
    pixels = PHOTOGRAPHS["astronaut"]
    assert compare(pixels[:, 16:, 16:], pixels[:, :-16, :-16]) is Likeness.DIFFERENT


def test_of_little_else_than_noise_nothing_is_known():
    grey = torch.full((3, 64, 64), 128.0)
    assert compare(shot(grey, 0), shot(grey, 1)) is Likeness.UNKNOWN
    first, second = (torch.randint(256, (3, 96, 80), generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert compare(first.byte(), second.byte()) is Likeness.UNKNOWN


def test_the_same_in_another_size_is_alike():
    pixels = PHOTOGRAPHS["coffee"]
    assert compare(shot(pixels, 0), shot(resized(pixels, 300, 450), 1)) is Likeness.ALIKE
    assert compare(shot(pixels, 0), shot(pixels, 1)[:, :-1]) is Likeness.ALIKE
    assert compare(pixels, PHOTOGRAPHS["chelsea"]) is Likeness.DIFFERENT


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (4, 4)])
def test_of_pictures_without_two_blocks_nothing_is_known(size):
    pixels = PHOTOGRAPHS["coffee"][:, : size[0], : size[1]]
    assert compare(pixels, pixels) is Likeness.UNKNOWN
    assert compare(pixels, PHOTOGRAPHS["coffee"]) is Likeness.UNKNOWN


# Folders of shots


def test_shots_are_found_by_name_and_content(tmp_path):
    clean = {name: pixels[:, 100:200, 100:220] for name, pixels in PHOTOGRAPHS.items()}
    pictures = {
        f"{name}_{number}": shot(pixels, 7 * number + index)
        for index, (name, pixels) in enumerate(clean.items())
        for number in (1, 2, 10)[: 2 + index % 2]
    }
    found = find_scenes(put(tmp_path, **pictures))
    assert names(found) == {
        "astronaut": ["astronaut_1", "astronaut_2"],
        "chelsea": ["chelsea_1", "chelsea_2", "chelsea_10"],
        "coffee": ["coffee_1", "coffee_2"],
        "rocket": ["rocket_1", "rocket_2", "rocket_10"],
    }
    assert (found.others, found.note) == ((), "")
    assert all(scene.clean is None for scene in found.scenes)


def test_a_scene_may_be_one_and_in_several_formats(tmp_path):
    pixels = PHOTOGRAPHS["coffee"][:, :80, :80]
    put(tmp_path, a_1=shot(pixels, 0))
    write_picture(tmp_path / "a_2.bmp", Picture(shot(pixels, 1)))
    assert names(find_scenes(sorted(tmp_path.iterdir()))) == {"a": ["a_1", "a_2"]}


def test_pictures_without_a_partner_are_left_over(tmp_path):
    pixels = PHOTOGRAPHS["coffee"][:, :80, :80]
    paths = put(tmp_path, a_1=shot(pixels, 0), a_2=shot(pixels, 1), b_1=shot(pixels, 2))
    found = find_scenes(paths)
    assert names(found) == {"a": ["a_1", "a_2"]}
    assert [path.stem for path in found.others] == ["b_1"]


def test_a_clean_picture_belongs_to_its_scene_and_says_that_the_others_are_shots(tmp_path):
    pixels = PHOTOGRAPHS["coffee"][:, :80, :80]
    other = PHOTOGRAPHS["rocket"][:, :80, :80]
    paths = put(tmp_path, a_1=shot(pixels, 0), a_2=shot(pixels, 1), a_clean=pixels, b_1=pixels, b_2=other, x=other)
    found = find_scenes(paths)
    assert names(found) == {"a": ["a_1", "a_2"], "b": ["b_1", "b_2"]}
    assert [scene.clean and scene.clean.stem for scene in found.scenes] == ["a_clean", None]
    assert [path.stem for path in found.others] == ["x"]


@pytest.mark.parametrize("prefix", ["IMG", "20240131"])
def test_numbered_photographs_are_photographs(tmp_path, prefix):
    pictures = {f"{prefix}_{number}": pixels for number, pixels in enumerate(PHOTOGRAPHS.values(), 1)}
    found = find_scenes(put(tmp_path, **pictures))
    assert found.scenes == ()
    assert len(found.others) == 4
    assert (
        found.note == f"{prefix}_1.png and {prefix}_2.png do not look alike, so they are not taken for noisy shots "
        "of one scene"
    )


def test_numbered_noise_is_no_shots(tmp_path):
    pictures = {f"IMG_{seed}": shot(torch.full((3, 40, 40), 128), seed, 50) for seed in range(3)}
    assert "IMG_0.png and IMG_1.png do not look alike" in find_scenes(put(tmp_path, **pictures)).note


def test_photographs_among_which_two_are_alike_are_photographs(tmp_path):
    dogs = {f"dog_{number}": shot(PHOTOGRAPHS["chelsea"], number) for number in (1, 2)}
    numbered = {f"IMG_{number}": pixels for number, pixels in enumerate(PHOTOGRAPHS.values(), 1)}
    found = find_scenes(put(tmp_path / "numbered", **dogs, **numbered))
    assert found.scenes == ()
    assert found.note.startswith("IMG_1.png and IMG_2.png do not look alike")
    found = find_scenes(put(tmp_path / "named", **dogs, **PHOTOGRAPHS))
    assert found.scenes == ()
    assert (
        found.note == "dog_1.png and dog_2.png are not taken for noisy shots of one scene, because most names here are "
        "not those of pairs"
    )


def test_names_that_say_nothing_are_not_mentioned(tmp_path):
    found = find_scenes(put(tmp_path, **PHOTOGRAPHS, alone_1=PHOTOGRAPHS["rocket"]))
    assert (found.scenes, found.note) == ((), "")
    assert len(found.others) == 5


def test_a_few_scenes_that_differ_do_not_change_what_a_folder_is(tmp_path):
    pixels = PHOTOGRAPHS["coffee"][:, :80, :80]
    pairs = {f"{name}_{number}": shot(pixels, number) for name in "abc" for number in (1, 2)}
    paths = put(tmp_path, **pairs, wrong_1=pixels, wrong_2=PHOTOGRAPHS["rocket"][:, :80, :80])
    assert set(names(find_scenes(paths))) == {"a", "b", "c", "wrong"}  # whoever reads the shots refuses it


def test_a_clean_picture_with_a_single_shot(tmp_path):
    pixels = PHOTOGRAPHS["coffee"][:, :80, :80]
    with pytest.raises(
        DataError, match=r"a_1\.png: the scene has a clean picture, a_clean\.png, and only this noisy sh"
    ):
        find_scenes(put(tmp_path, a_1=pixels, a_clean=pixels))


def test_two_files_called_the_same_shot(tmp_path):
    pixels = PHOTOGRAPHS["coffee"][:, :80, :80]
    paths = put(tmp_path, a_1=shot(pixels, 0), a_01=shot(pixels, 1), a_2=shot(pixels, 2))
    with pytest.raises(DataError, match=r"a_01\.png and .*a_1\.png are both shot 1 of a by name; remove one, or give"):
        find_scenes(paths)
