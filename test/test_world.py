"""The demo world's stills, clips and recording: what their truth promises about their pixels."""

import numpy as np
import pytest

from gsam_ros.world.clips import MIN_PIXELS, draw_clip
from gsam_ros.world.placement import MIN_VISIBLE
from gsam_ros.world.room import WALL
from gsam_ros.world.scene import Scene
from gsam_ros.world.sprites import draw_sprite
from gsam_ros.world.stills import draw_still, draw_stills
from gsam_ros.world.vocabulary import COLOURS, HELD_OUT, PAIRS, SEEN, SHAPES, phrases_of


def box_around(mask: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


# Words


def test_held_out_pairs_take_every_colour_and_every_shape_once():
    assert sorted(colour for colour, _ in HELD_OUT) == sorted(COLOURS)
    assert sorted(shape for _, shape in HELD_OUT) == sorted(SHAPES)
    assert len(SEEN) == 56
    assert set(SEEN) | set(HELD_OUT) == set(PAIRS)
    assert not set(SEEN) & set(HELD_OUT)


def test_no_phrase_names_two_pairs():
    phrases = [phrase for pair in PAIRS for phrase in phrases_of(pair)]
    assert len(set(phrases)) == len(phrases)
    assert phrases_of(("red", "mug"))[0] == "red mug"


# Sprites


@pytest.mark.parametrize("size", [12, 25, 77])
@pytest.mark.parametrize("shape", SHAPES)
def test_sprite_fills_its_square(shape, size):
    for seed in range(5):
        sprite = draw_sprite(np.random.default_rng(seed), shape, "green", size)
        assert sprite.shape == (size, size, 4)
        assert sprite.dtype == np.uint8
        x0, y0, x1, y1 = box_around(sprite[..., 3] >= 128)
        assert max(x1 - x0, y1 - y0) >= 0.84 * size  # a cone's tip thins out below one pixel
        assert not sprite[[0, -1], :, 3].min() or size < 20


@pytest.mark.parametrize("colour", COLOURS)
def test_sprite_is_nearest_to_its_own_colour(colour):
    """The brightness may vary: hue tells the colours apart, brightness white from black."""
    centres = np.array(list(COLOURS.values()), np.float64)
    for seed in range(20):
        sprite = draw_sprite(np.random.default_rng(seed), SHAPES[seed % 8], colour, 40)
        mean = sprite[sprite[..., 3] >= 128][:, :3].mean(0)
        spread = mean.max() - mean.min()
        if colour in ("white", "black"):
            assert spread < 25
            assert (mean.mean() > 125) == (colour == "white")
        else:
            assert spread > 60
            # Take light away: compare the chromatic part only.
            chroma = centres[:6] - centres[:6].min(1, keepdims=True)
            own = mean - mean.min()
            cosine = chroma @ own / np.linalg.norm(chroma, axis=1) / np.linalg.norm(own)
            assert list(COLOURS)[int(cosine.argmax())] == colour


def test_two_seeds_give_two_sprites():
    first, second = (draw_sprite(np.random.default_rng(s), "mug", "red", 40) for s in (1, 2))
    assert not np.array_equal(first, second)


# Stills


@pytest.mark.parametrize("seed", range(12))
def test_still_truth(seed):
    still = draw_still(np.random.default_rng(seed))
    count = len(still.shape)
    assert 1 <= count <= 8
    assert still.image.shape == (192, 256, 3)
    assert still.image.dtype == np.uint8
    assert still.masks.shape == (count, 192, 256)
    assert still.masks.sum(0).max() == 1  # disjoint
    for box, mask in zip(still.boxes, still.masks, strict=True):
        assert box.tolist() == box_around(mask)
    assert (still.visible >= MIN_VISIBLE).all()
    assert (still.visible <= 1).all()


def test_objects_of_stills_are_as_small_as_asked_for():
    rng = np.random.default_rng(1)
    still = draw_still(rng, 1080, 1920, max_objects=100, share=(12 / 1080, 40 / 1080))
    whole = still.visible == 1
    sides = (still.boxes[:, 2:] - still.boxes[:, :2]).max(1)[whole]
    assert len(sides) > 10
    # A sprite has a narrow margin around its object.
    assert 10 <= sides.min() < 16
    assert 30 < sides.max() <= 40


def test_stills_in_a_row_show_some_objects_moving_and_some_at_rest():
    stills = list(draw_stills(np.random.default_rng(2), 4, 360, 640, objects=6, share=(0.1, 0.2)))
    kinds = [tuple(zip(still.colour, still.shape, strict=True)) for still in stills]
    assert len(set(kinds)) == 1  # of this seed, none leaves
    assert len(kinds[0]) >= 4
    moved = np.abs(stills[3].boxes - stills[0].boxes).max(1)
    assert (moved == 0).any()
    assert (moved > 5).any()
    for still in stills:
        assert still.masks.sum(0).max() == 1
        assert (still.visible >= MIN_VISIBLE).all()
    assert stills[0].image.shape == (360, 640, 3)
    assert (stills[0].image != stills[1].image).any()


def test_still_is_the_same_for_the_same_seed():
    first, second = (draw_still(np.random.default_rng(7), 160, 224) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.masks, second.masks)
    assert first.shape == second.shape


def test_stills_draw_only_the_pairs_asked_for():
    rng = np.random.default_rng(0)
    stills = [draw_still(rng, 96, 128) for _ in range(150)]
    drawn = {pair for still in stills for pair in zip(still.colour, still.shape, strict=True)}
    assert drawn <= set(SEEN)
    assert len(drawn) > 50
    held = draw_still(rng, 96, 128, pairs=HELD_OUT)
    assert set(zip(held.colour, held.shape, strict=True)) <= set(HELD_OUT)


def test_later_objects_cover_earlier_ones():
    """The last one painted is whole but for the border; hidden shares occur among the others."""
    rng = np.random.default_rng(3)
    stills = [draw_still(rng) for _ in range(60)]
    inside = [
        still.visible[-1]
        for still in stills
        if still.boxes[-1, :2].min() > 0 and (still.boxes[-1, 2:] < (256, 192)).all()
    ]
    assert np.allclose(inside, 1)
    assert min(still.visible.min() for still in stills) < 0.8


# Clips


@pytest.mark.parametrize("frames", [1, 2, 8])
def test_clip_truth(frames):
    for seed in range(6):
        clip = draw_clip(np.random.default_rng(seed), frames, 128, 160, objects=3)
        assert clip.images.shape == (frames, 128, 160, 3)
        assert clip.images.dtype == np.uint8
        assert clip.masks.shape == (frames, 3, 128, 160)
        assert clip.masks.sum(1).max() == 1  # disjoint
        assert clip.present[0].all()
        pixels = clip.masks.sum((2, 3))
        assert ((pixels >= MIN_PIXELS) == clip.present).all()
        assert ((pixels > 0) == clip.present).all()


def test_clip_is_the_same_for_the_same_seed():
    first, second = (draw_clip(np.random.default_rng(5), 4, 96, 96) for _ in range(2))
    assert np.array_equal(first.images, second.images)
    assert np.array_equal(first.masks, second.masks)


def test_clips_hold_absences_and_returns():
    rng = np.random.default_rng(1)
    present = np.concatenate([draw_clip(rng, 12, 96, 96).present for _ in range(30)], 1)
    returned = [(np.diff(track.astype(int)) == 1).any() for track in present.T]
    assert 0.03 < 1 - present.mean() < 0.4
    assert np.mean(returned) > 0.1


def test_clips_name_no_held_out_pair():
    rng = np.random.default_rng(2)
    clips = [draw_clip(rng, 1, 96, 96, objects=4) for _ in range(60)]
    named = {pair for clip in clips for pair in zip(clip.colour, clip.shape, strict=True)}
    assert ("", "") in named
    assert named - {("", "")} <= set(SEEN)


def test_clip_without_room_says_so():
    with pytest.raises(ValueError, match="objects do not fit into 24x24"):
        draw_clip(np.random.default_rng(0), 1, 24, 24, objects=40)


# The recording


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(seed=0)


def test_cast_has_look_alikes_seen_and_held_out_pairs(scene):
    pairs = list(scene.pairs.values())
    assert pairs.count(("red", "mug")) == 2
    assert sum(pair in HELD_OUT for pair in pairs) == 3
    assert {shape for _, shape in pairs} == set(SHAPES)


@pytest.mark.parametrize("camera", [0, 1])
def test_frame_truth(scene, camera):
    frame = scene.render(camera, 3.3)
    assert frame.image.shape == (480, 640, 3)
    assert frame.depth.shape == (480, 640)
    assert frame.depth.dtype == np.float32
    assert np.isfinite(frame.depth).all()
    assert frame.masks.sum(0).max() == 1
    assert (np.diff(frame.ids) > 0).all()
    assert [scene.pairs[int(i)] for i in frame.ids] == list(frame.pairs)
    for box, mask in zip(frame.boxes, frame.masks, strict=True):
        assert box.tolist() == box_around(mask)
    assert ((frame.visible > 0) & (frame.visible <= 1)).all()


def test_depth_agrees_with_masks_and_with_who_hides_whom(scene):
    """Each object alone in the room: whatever covers it in the full scene is nearer."""
    hidden = 0
    for actor in (actor for actor in scene._cast if actor.identity):
        alone = Scene(seed=0)
        alone._cast = [actor]
        for t in (0.0, 4.0, 7.0):
            frame, solo = scene.render(0, t), alone.render(0, t)
            if not len(solo.ids):
                continue
            depth = np.unique(solo.depth[solo.masks[0]])
            assert len(depth) == 1
            mine = frame.masks[frame.ids == actor.identity].any(0)
            assert not (mine & ~solo.masks[0]).any()
            assert (frame.depth[mine] == depth).all()
            covered = solo.masks[0] & ~mine
            assert (frame.depth[covered] < depth).all()
            hidden += np.count_nonzero(covered)
            share = np.count_nonzero(mine) / np.count_nonzero(solo.masks[0]) * solo.visible[0]
            listed = frame.visible[frame.ids == actor.identity]
            assert np.allclose(listed, share)
    assert hidden > 1000


def test_room_depth_projects_back_onto_floor_and_wall(scene):
    view, frame = scene.cameras[0], scene.render(0, 1.0)
    empty = ~frame.masks.any(0)
    rows, columns = np.nonzero(empty)
    rays = np.linalg.inv(view.matrix) @ np.stack([columns, rows, np.ones_like(rows)])
    points = frame.pose[:3, :3] @ (rays * frame.depth[empty]) + frame.pose[:3, 3:]
    on_floor = np.abs(points[2]) < 1e-3
    on_wall = np.abs(points[0] - WALL) < 1e-3
    assert (on_floor | on_wall).mean() > 0.95  # the rest is the pillar
    assert on_floor.any()
    assert on_wall.any()


def test_render_has_no_memory(scene):
    first = scene.render(1, 2.0)
    scene.render(0, 9.0)
    again = Scene(seed=0).render(1, 2.0)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.depth, again.depth)
    other = Scene(seed=1).render(1, 2.0)
    assert not np.array_equal(first.image, other.image)


def test_three_objects_leave_both_views_and_return_under_their_ids(scene):
    times = np.arange(0, 20, 1.0)
    seen = np.array(
        [
            np.isin(
                list(scene.pairs),
                np.concatenate([scene.render(camera, t).ids for camera in (0, 1)]),
            )
            for t in times
        ]
    )
    returned = [(np.diff(track.astype(int)) == 1).any() and track[0] for track in seen.T]
    assert sum(returned) >= 3
    mugs = [i for i, pair in enumerate(scene.pairs.values()) if pair == ("red", "mug")]
    assert sum(returned[i] for i in mugs) == 1


def test_cameras_move_and_their_poses_are_rigid(scene):
    for view in scene.cameras:
        poses = np.array([view.pose(t) for t in (0.0, 1.0, 5.0)])
        rotation = poses[:, :3, :3]
        assert np.allclose(rotation @ rotation.transpose(0, 2, 1), np.eye(3))
        assert np.allclose(np.linalg.det(rotation), 1)
        assert np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).min() > 0.02
