"""`gsam track` without models: the files that results become, and runs that are interrupted."""

from __future__ import annotations

import errno
import gc
import json
import os
import pickle
import signal
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from standalone_trackers import BLUE, RED, RedFinder, picture

from gsam_ros.demo.sample import SampleOptions, write_sample
from gsam_ros.evaluation.pages.page import write_page
from gsam_ros.evaluation.run_results import read_results
from gsam_ros.instances import Frame
from gsam_ros.pipeline.settings import Settings
from gsam_ros.prompts import PromptError
from gsam_ros.recordings import video
from gsam_ros.recordings.bag import BagError, open_bag
from gsam_ros.recordings.sources import SourceError, open_source
from gsam_ros.recordings.sources.source import Item, Origin, PromptText, Source
from gsam_ros.recordings.video import VideoError, join_videos, write_video
from gsam_ros.settings import with_texts
from gsam_ros.standalone.run_parts import PartsError
from gsam_ros.standalone.run_state import StateError, load_state, save_state
from gsam_ros.standalone.track import track
from gsam_ros.standalone.track_run import TrackError, TrackOptions, run_track

PROMPT = "blue mug. red mug."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for name, colour in {"b.png": BLUE, "a.png": RED, "c.png": RED}.items():
        cv2.imwrite(str(path / name), picture(colour)[..., ::-1])
    (path / "notes.txt").write_text("no image")
    return path


def results(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())


def video_frames(path: Path) -> int:
    return len(list(open_source(path).items()))


def test_results_become_a_coco_file(folder: Path, tmp_path: Path) -> None:
    outcome = track(open_source(folder), RedFinder(), tmp_path / "out", PROMPT)
    assert (outcome.frames, outcome.unreadable, outcome.finished) == (3, 0, True)
    data = results(tmp_path / "out")
    assert [image["file_name"] for image in data["images"]] == ["a.png", "b.png", "c.png"]
    assert [image["stamp_ns"] for image in data["images"]] == [0, 10**8, 2 * 10**8]
    assert data["categories"] == [{"id": 1, "name": "blue mug"}, {"id": 2, "name": "red mug"}]
    assert [
        (a["id"], a["image_id"], a["track_id"], a["category_id"]) for a in data["annotations"]
    ] == [(1, 1, 1, 2), (2, 3, 2, 2)]
    first = data["annotations"][0]
    assert (first["bbox"], first["area"], first["score"]) == ([0, 0, 32, 48], 32 * 48, 0.75)
    pixels = coco_mask.decode(first["segmentation"])
    assert pixels[:, :32].all()
    assert not pixels[:, 32:].any()


def test_results_become_text_a_video_and_a_list_of_frames(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    track(open_source(folder), RedFinder(), out, PROMPT)
    # Frames and pixels of MOTChallenge count from 1.
    assert (out / "mot.txt").read_text().splitlines() == [
        "1,1,1.00,1.00,32.00,48.00,0.7500,-1,-1,-1",
        "3,2,1.00,1.00,32.00,48.00,0.7500,-1,-1,-1",
    ]
    assert video_frames(out / "video.mp4") == 3
    assert (out / "frames.csv").read_text().splitlines()[1:3] == [
        ",1,0,a.png,1,1,",
        ",2,100000000,b.png,0,0,",
    ]
    run = json.loads((out / "run.json").read_text())
    assert (run["frames"], run["prompt"], run["settings"]["detector.rate"]) == (3, PROMPT, 5.0)
    assert not (out / "unfinished").exists()


def test_names_that_are_not_utf_8_come_back(folder: Path, tmp_path: Path) -> None:
    names = [os.fsdecode(name) for name in (b"a-r\xe4der.png", b"b-r\xe4der.png")]
    (folder / "a.png").rename(folder / names[0])
    (folder / "b.png").unlink()
    (folder / names[1]).write_bytes(b"no image")
    out = tmp_path / "out"
    track(open_source(folder), RedFinder(), out, PROMPT)
    assert [image["file_name"] for image in results(out)["images"]] == [names[0], "c.png"]
    assert b"0,a-r\xe4der.png,1" in (out / "frames.csv").read_bytes()
    found = read_results(out / "result")
    assert list(found.cameras[0].names.values()) == [*names, "c.png"]
    write_page(tmp_path / "page.html", "Run", found.problems, [])
    assert "b-r?der.png is left out" in (tmp_path / "page.html").read_text()


def test_results_become_a_bag_with_the_node_s_topics(folder: Path, tmp_path: Path) -> None:
    track(open_source(folder), RedFinder(), tmp_path / "out", PROMPT)
    with open_bag(tmp_path / "out" / "result") as bag:
        assert bag.topics == {
            "/gsam_node/label_info": "vision_msgs/msg/LabelInfo",
            "/gsam_node/detections": "vision_msgs/msg/Detection2DArray",
            "/gsam_node/instances": "gsam_ros/msg/InstanceArray",
            "/gsam_node/instance_mask": "sensor_msgs/msg/Image",
            "/gsam_node/semantic_mask": "sensor_msgs/msg/Image",
            "/gsam_node/frame_status": "gsam_ros/msg/FrameStatus",
        }
        [info] = bag.messages("/gsam_node/label_info")
        assert [(c.class_id, c.class_name) for c in info.class_map] == [
            (1, "blue mug"),
            (2, "red mug"),
        ]
        found = list(bag.messages("/gsam_node/detections"))
        assert [[d.id for d in message.detections] for message in found] == [["1"], [], ["2"]]
        mask = next(bag.messages("/gsam_node/semantic_mask"))
        assert set(mask.data.reshape(48, 64)[:, :32].ravel()) == {2}
        last = list(bag.messages("/gsam_node/frame_status"))[-1]
        assert (last.frames_received, last.frames_processed, last.keyframe) == (3, 3, True)
        assert list(last.stage_names) == ["decode", "messages", "overlay"]
        assert last.stage_begin_ms[0] == 0
        assert (np.diff([last.stage_begin_ms, last.stage_end_ms], axis=0) > 0).all()
        assert (last.stage_begin_ms[1:] >= last.stage_end_ms[:-1]).all()
        assert last.age == pytest.approx(last.stage_end_ms[-1] / 1e3)
        assert bag.seconds == pytest.approx(0.2)


def test_every_camera_of_a_bag_has_its_own_results(tmp_path: Path) -> None:
    write_sample(tmp_path / "bag", SampleOptions(seconds=0.3))
    source = open_source(tmp_path / "bag", ["/left/image", "/right/image/compressed"], prompts=True)
    track(source, RedFinder(), tmp_path / "out")
    images = results(tmp_path / "out")["images"]
    assert [image["camera"] for image in images] == ["left", "right"] * 3
    for name in ("mot_left.txt", "mot_right.txt", "video_left.mp4", "video_right.mp4"):
        assert (tmp_path / "out" / name).is_file()
    with open_bag(tmp_path / "out" / "result") as bag, open_bag(tmp_path / "bag") as sample:
        truth = next(sample.messages("/right/truth"))
        found = next(bag.messages("/gsam_node/right/instances"))
        assert str(found.header) == str(truth.header)
        infos = list(bag.messages("/gsam_node/left/label_info"))
        prompts = [message.data for message in sample.messages("/prompt")]
    told = [" ".join(f"{c.class_name}." for c in info.class_map) for info in infos]
    assert told == prompts  # the bag's own prompts, from the moments at which they were recorded


def test_images_of_several_sizes_make_a_video_of_the_first_one_s_size(
    folder: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(folder / "d.png"), picture(RED, width=129)[..., ::-1])
    source = open_source(folder)
    # The size holds for every part of the run.
    assert track(source, RedFinder(), tmp_path / "out", PROMPT, part_seconds=0).frames == 4
    assert [image["width"] for image in results(tmp_path / "out")["images"]] == [64, 64, 64, 129]
    frames = list(open_source(tmp_path / "out" / "video.mp4").items())
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 4


def test_unreadable_frames_are_named_and_the_rest_is_done(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "b.png").write_bytes(b"no image")
    outcome = track(open_source(folder), RedFinder(), tmp_path / "out", PROMPT)
    assert (outcome.frames, outcome.unreadable) == (2, 1)
    assert outcome.problems == ("b.png is left out: it is no image that can be read",)
    assert "b.png is left out" in capsys.readouterr().err
    assert ",2,100000000,b.png,,,it is no" in (tmp_path / "out" / "frames.csv").read_text()
    # Frame 3 stays frame 3.
    assert [line[0] for line in (tmp_path / "out" / "mot.txt").read_text().splitlines()] == [
        "1",
        "3",
    ]
    with open_bag(tmp_path / "out" / "result") as bag:
        counts = [dict(zip(s.drop_causes, s.drop_counts, strict=True))
                  for s in bag.messages("/gsam_node/frame_status")]  # fmt: skip
    assert counts == [{}, {"bad_image": 1}, {"bad_image": 1}]


class Film(Source):
    """Frames made as they are asked for; red every third."""

    def __init__(self, length: int, stamps: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.length = length
        self._stamps = stamps

    def items(self, skip: int = 0) -> Iterator[Item]:
        for i in range(skip, self.length):
            stamp = self._stamps[i] if self._stamps else i * 10**8
            yield Frame(picture(BLUE if i % 3 else RED), stamp, "", Origin(f"frame {i}", stamp))

    def identity(self) -> dict[str, Any]:
        return {"kind": "film", "length": self.length}


def test_frames_with_old_stamps_are_left_out_as_the_node_does(tmp_path: Path) -> None:
    film = Film(4, (10**9, 10**9, 11 * 10**8, 0))  # twice the same, newer, far back
    outcome = track(film, RedFinder(), tmp_path / "out", PROMPT)
    assert (outcome.frames, outcome.unreadable) == (3, 1)
    lost, first = outcome.problems
    assert lost.startswith("1 of 4 frames are left out for their stamps: the camera driver must")
    assert "stamp 1.000 is not newer" in first


class TalkingFilm(Film):
    """With prompts of its own, of which the second says nothing."""

    def items(self, skip: int = 0) -> Iterator[Item]:
        first, *rest = super().items()
        said = [PromptText(0, "red mug."), first, PromptText(10**8, " ... "), *rest]
        yield from said[skip:]


def test_a_prompt_of_the_recording_that_cannot_be_used_leaves_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    outcome = track(TalkingFilm(4), RedFinder(), tmp_path / "out", "")
    assert outcome.frames == 4
    [problem] = outcome.problems
    assert "the recording's prompt at 0.100 is left out" in problem
    assert problem in capsys.readouterr().err
    found = results(tmp_path / "out")
    assert [category["name"] for category in found["categories"]] == ["red mug"]
    assert len({annotation["image_id"] for annotation in found["annotations"]}) == 2


class LateFilm(Film):
    """Says what it is told, behind its second frame."""

    def __init__(self, length: int, said: str) -> None:
        super().__init__(length)
        self.said = said

    def items(self, skip: int = 0) -> Iterator[Item]:
        first, second, *rest = super().items()
        yield from [first, second, PromptText(2 * 10**8, self.said), *rest][skip:]


def test_frames_before_the_first_prompt_are_told(tmp_path: Path) -> None:
    outcome = track(LateFilm(5, "red mug."), RedFinder(), tmp_path / "out", part_seconds=0)
    assert outcome.problems == ("2 of 5 frames came before the first prompt",)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["problems"] == [
        "2 of 5 frames came before the first prompt"
    ]


def test_a_run_without_a_prompt_that_can_be_used_is_an_error(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for film, why in ((LateFilm(3, "..."), "prompt at 0.200 is left out"), (Film(3), "no prompt")):
        with pytest.raises(SourceError, match=rf"asked for \(.*{why}.*\): give a --prompt"):
            track(film, RedFinder(), out)
        assert list(out.iterdir()) == []  # nothing looks like results, or is in the next one's way
    assert track(Film(3), RedFinder(), out, PROMPT).frames == 3


@pytest.mark.parametrize("fails_at", [0, 1, 4, 8])
def test_a_run_that_was_killed_goes_on_to_the_same_results(tmp_path: Path, fails_at: int) -> None:
    track(Film(9), RedFinder(), tmp_path / "whole", PROMPT)
    out = tmp_path / "out"
    with pytest.raises(RuntimeError, match="fell over"):
        track(Film(9), RedFinder(fails_at), out, PROMPT, part_seconds=0)
    assert not (out / "results.json").exists()  # nothing half-written looks whole
    assert not (out / "result").exists()
    tracker = RedFinder()
    outcome = track(Film(9), tracker, out, PROMPT)
    assert (outcome.frames, outcome.resumed, tracker.steps) == (9, fails_at, 9 - fails_at)
    for name in ("results.json", "mot.txt", "frames.csv"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert video_frames(out / "video.mp4") == 9
    told = []
    for path in (out, tmp_path / "whole"):
        with open_bag(path / "result") as bag:
            topics = [topic for topic in bag.topics if not topic.endswith("frame_status")]
            told.append(list(bag.records(topics)))
            counts = [s.frames_processed for s in bag.messages("/gsam_node/frame_status")]
            assert counts == list(range(1, 10))
    assert told[0] == told[1]


def test_a_signal_ends_a_run_after_its_frame_and_it_goes_on_from_there(tmp_path: Path) -> None:
    class Interrupted(RedFinder):
        def step(self, frames: Any) -> Any:
            if self.steps == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().step(frames)

    out = tmp_path / "out"
    outcome = track(Film(9), Interrupted(), out, PROMPT)
    assert (outcome.finished, outcome.frames) == (False, 4)
    assert [path.name for path in out.iterdir()] == ["unfinished"]
    outcome = track(Film(9), RedFinder(), out, PROMPT)
    assert (outcome.finished, outcome.frames, outcome.resumed) == (True, 9, 4)


def test_a_source_that_never_ends_is_complete_when_it_is_interrupted(tmp_path: Path) -> None:
    class Endless(Film):
        endless = True

    class Interrupted(RedFinder):
        def step(self, frames: Any) -> Any:
            if self.steps == 3:
                os.kill(os.getpid(), signal.SIGINT)
            return super().step(frames)

    outcome = track(Endless(99), Interrupted(), tmp_path / "out", PROMPT)
    assert (outcome.finished, outcome.frames) == (True, 4)
    assert len(results(tmp_path / "out")["images"]) == 4


def test_another_run_does_not_go_on_with_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="fell over"):
        track(Film(9), RedFinder(5), tmp_path, PROMPT, part_seconds=0)
    with pytest.raises(PartsError, match=r"unfinished run with another prompt: remove .*unfinis"):
        track(Film(9), RedFinder(), tmp_path, "ball.")
    with pytest.raises(PartsError, match="another source: "):
        track(Film(8), RedFinder(), tmp_path, PROMPT)


def test_a_first_try_that_answered_nothing_is_in_nobody_s_way(tmp_path: Path) -> None:
    with pytest.raises(PromptError):
        track(Film(9), RedFinder(), tmp_path, "...")
    (tmp_path / "unfinished" / "run.json").write_text("")  # a power cut
    assert track(Film(9), RedFinder(), tmp_path, PROMPT).frames == 9


def zeroed(path: Path) -> None:
    """As a power cut leaves a file: of the right size, and empty."""
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("name", ["state.pt", "progress.json"])
@pytest.mark.parametrize("parts", [1, 5])
def test_a_damaged_last_part_costs_no_more_than_itself(
    tmp_path: Path, name: str, parts: int
) -> None:
    out = tmp_path / "out"
    track(Film(9), RedFinder(), tmp_path / "whole", PROMPT)
    with pytest.raises(RuntimeError, match="fell over"):
        track(Film(9), RedFinder(parts), out, PROMPT, part_seconds=0)
    assert len(list(out.rglob("state.pt"))) == min(parts, 2)  # they are large
    zeroed(out / "unfinished" / f"part-{parts - 1:06d}" / name)
    outcome = track(Film(9), RedFinder(), out, PROMPT)
    assert (outcome.frames, outcome.resumed) == (9, parts - 1)
    assert (out / "results.json").read_bytes() == (tmp_path / "whole/results.json").read_bytes()


def test_more_damage_than_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="fell over"):
        track(Film(9), RedFinder(5), tmp_path, PROMPT, part_seconds=0)
    for part in ("part-000003", "part-000004"):
        zeroed(tmp_path / "unfinished" / part / "state.pt")
    complaint = r"000004/state\.pt can't be read .*000003/state\.pt .*: remove .*unfinished"
    with pytest.raises(PartsError, match=complaint):
        track(Film(9), RedFinder(), tmp_path, PROMPT)
    zeroed(tmp_path / "unfinished" / "run.json")
    with pytest.raises(PartsError, match=r"unfinished/run\.json can't be read .*: remove "):
        track(Film(9), RedFinder(), tmp_path, PROMPT)


def test_a_part_is_on_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[Path] = set()
    monkeypatch.setattr(
        os, "fsync", lambda handle: synced.add(Path(os.readlink(f"/proc/self/fd/{handle}")))
    )
    rename = Path.rename

    def renamed(part: Path, target: Path) -> Path:
        made = {part, *part.rglob("*")}
        assert {"state.pt", "images.lines", "bag.mcap"} <= {path.name for path in made}
        assert made <= synced
        return rename(part, target)

    monkeypatch.setattr(Path, "rename", renamed)
    assert track(Film(2), RedFinder(), tmp_path, PROMPT).finished


def test_a_full_disk_is_told_with_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(RedFinder):
        def step(self, frames: Any) -> Any:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gsam_ros.pipeline.loading.load_tracker", lambda *_: Full())
    options = TrackOptions(str(folder), tmp_path / "out", PROMPT)
    with pytest.raises(TrackError, match=r"be written to .*/out: No space left .*same command"):
        run_track(options, print)
    with pytest.raises(OSError, match="No space left"):
        save_state(Path("/dev/full"), {"a": torch.zeros(100_000)})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.json", '{"source": {"ki'),
        ("run.json", "[1]"),
        ("run.json", "{}"),
        ("frames.csv", "x,y\n1,2\n"),
        ("frames.csv", "camera,stamp_ns,name\n,abc,a.png\n"),
        ("frames.csv", "camera,stamp_ns,name\nleft\n"),
    ],
)
def test_damaged_files_of_a_finished_run_are_named(tmp_path: Path, name: str, text: str) -> None:
    track(Film(2), RedFinder(), tmp_path, PROMPT)
    (tmp_path / name).write_text(text)
    with pytest.raises(BagError, match=rf"/{name} .*: make the run again, or move the file away"):
        read_results(tmp_path / "result")
    (tmp_path / name).unlink()
    assert len(read_results(tmp_path / "result").cameras[0].stamps) == 2


def test_a_run_does_not_go_on_with_a_model_that_was_trained_again(tmp_path: Path) -> None:
    weights = tmp_path / "mine" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"1")

    def finder(fails_at: int | None = None) -> RedFinder:
        tracker = RedFinder(fails_at)
        tracker.settings = with_texts(Settings(), [f"segmenter.model={weights.parent}"])
        return tracker

    with pytest.raises(RuntimeError, match="fell over"):
        track(Film(9), finder(5), tmp_path / "out", PROMPT, part_seconds=0)
    os.utime(weights, ns=(1, 1))
    with pytest.raises(PartsError, match="unfinished run with another model: remove"):
        track(Film(9), finder(), tmp_path / "out", PROMPT)


def test_what_is_no_run_is_not_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "symphony.mscz").touch()
    with pytest.raises(PartsError, match="unfinished is in the way and no unfinished run"):
        track(Film(9), RedFinder(), tmp_path, PROMPT)
    assert (tmp_path / "unfinished" / "symphony.mscz").exists()


def test_a_finished_run_is_replaced_by_the_next(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for prompt in (PROMPT, "ball."):
        track(open_source(folder), RedFinder(), out, prompt)
    assert [c["name"] for c in results(out)["categories"]] == ["ball"]


def test_a_state_holds_data_and_nothing_else(tmp_path: Path) -> None:
    save_state(tmp_path / "good.pt", {"a": np.arange(3)})
    assert load_state(tmp_path / "good.pt", "cpu")["a"].tolist() == [0, 1, 2]
    save_state(tmp_path / "evil.pt", {"a": os.system})
    with pytest.raises(StateError, match=r"a state holds no posix\.system"):
        load_state(tmp_path / "evil.pt", "cpu")
    for name in ("torch.os.getcwd", "write", "Sequence"):  # of a room that states have classes of
        pickled = b"\x80\x04" + f"cgsam_ros.tracking.remembering\n{name}\n.".encode()
        rewrite(tmp_path / "good.pt", tmp_path / "sly.pt", pickled)
        with pytest.raises(StateError, match=rf"holds no gsam_ros\.tracking\.remembering\.{name}"):
            load_state(tmp_path / "sly.pt", "cpu")
    rewrite(tmp_path / "good.pt", tmp_path / "old.pt", b"cgsam_ros.tracking.gone\nTrack\n.")
    with pytest.raises(StateError, match=r"gsam_ros\.tracking\.gone"):
        load_state(tmp_path / "old.pt", "cpu")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "good.pt").read_bytes()[:50])
    with pytest.raises(StateError):
        load_state(tmp_path / "cut.pt", "cpu")
    assert pickle.dumps(os.system)  # it can be pickled, which is the point


def rewrite(state: Path, other: Path, pickled: bytes) -> None:
    """Copy a state with something else in place of what it holds."""
    with zipfile.ZipFile(state) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            new.writestr(name, pickled if name.endswith("/data.pkl") else old.read(name))


def test_an_end_after_so_many_frames(tmp_path: Path) -> None:
    outcome = track(Film(9), RedFinder(), tmp_path / "out", PROMPT, limit=4, video=False)
    assert outcome.frames == 4
    assert not (tmp_path / "out" / "video.mp4").exists()


@pytest.mark.timeout(120)
def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    class Watched(RedFinder):
        def step(self, frames: Any) -> Any:
            if self.steps in (200, 700):
                gc.collect()
                used.append(tracemalloc.get_traced_memory()[0])
            return super().step(frames)

    used: list[int] = []
    tracemalloc.start()
    # A part a frame would hide what a part holds, one part would hide what parts leave behind.
    track(Film(701), Watched(), tmp_path, PROMPT, video=False, part_seconds=1.0)
    tracemalloc.stop()
    # A chunk of the bag, up to 1 MB, may be under way at either moment. 500 images would be 4.6 MB.
    assert used[1] - used[0] < 1_500_000


def test_results_are_never_written_over_their_source(tmp_path: Path) -> None:
    write_video(tmp_path / "video.mp4", [picture(RED)], 10)
    with pytest.raises(SourceError, match="would be written over by its own results"):
        track(open_source(tmp_path / "video.mp4"), RedFinder(), tmp_path, PROMPT)


def test_a_video_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"no_folder/v\.mp4 can't be written"):
        write_video(tmp_path / "no_folder" / "v.mp4", [picture(RED)], 10)


def test_an_ffmpeg_without_x264_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "_ENCODER", "libnothing")
    with pytest.raises(VideoError, match=r"v\.mp4 can't be written: .* no libnothing: install"):
        write_video(tmp_path / "v.mp4", [picture(RED)], 10)


def test_videos_are_joined_without_a_picture_lost_or_moved(tmp_path: Path) -> None:
    colours = [(i * 25, 0, 255 - i * 25) for i in range(9)]
    for name, part in {"a": colours[:1], "b": colours[1:6], "c": colours[6:]}.items():
        write_video(tmp_path / f"{name}.mp4", map(picture, part), 29.97)
    join_videos(tmp_path / "j.mp4", [tmp_path / f"{name}.mp4" for name in "abc"], 29.97)
    source = open_source(tmp_path / "j.mp4")
    frames = list(source.items())
    assert source.rate == pytest.approx(29.97, abs=0.01)
    assert [round(frame.stamp / 1e9 * 29.97) for frame in frames] == list(range(9))
    for frame, colour in zip(frames, colours, strict=True):
        assert np.abs(frame.image.astype(int) - colour).max() < 40
