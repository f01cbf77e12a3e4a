import itertools
import json
import math
import os
import shutil
import signal
import threading

import numpy as np
import pytest
import torch

import gesso
from gesso import tasks
from gesso.contract.family import Clock, Facts, Turn
from gesso.contract.task import Message, Preview, Progress
from gesso.errors import GessoError
from gesso.store import Run
from gesso.tasks.train import TrainOptions
from gesso.tasks.train import _family as family_of
from gesso.train import Batches, Engine, Learner, Schedule, candidates, plan, rate, run, seeded
from gesso.train.probe import spread
from gesso.train.spent import Meter
from tests.conftest import paint

TINY = {"width": 8, "critic_width": 8, "latent": 16, "batch": 8}


def begin(home, fabric, facts, total=80, **config):
    family = tasks.family("gan")
    torch.manual_seed(0)
    learner = Learner(family(family.Config.of({**TINY, **config}), facts), fabric, Engine())
    batches = Batches(paint(32), facts, seed=0, batch=8)
    record = {"config": learner.family.config.model_dump(), "facts": facts.model_dump(), "total": total}
    return Run.create(home, "discs", "gan", record), learner, batches, Schedule(total, save=1e9, preview=1e9, log=2)


def test_every_epoch_shows_each_picture_once(view, facts):
    batches = Batches(view, facts, seed=3, batch=8)
    shown = np.concatenate([batches.indices(step) for step in range(8)])
    assert sorted(shown[:32]) == list(range(32)) == sorted(shown[32:])
    assert list(shown[:32]) != list(shown[32:])


def test_a_step_is_a_pure_function_of_seed_and_number(view, facts):
    there = Batches(view, facts, seed=3, batch=5, flip=True)
    forward = [there.at(step, torch.device("cpu")).image for step in range(20)]
    fresh = Batches(view, facts, seed=3, batch=5, flip=True)
    for step in reversed(range(20)):
        assert torch.equal(fresh.at(step, torch.device("cpu")).image, forward[step])
    assert not torch.equal(Batches(view, facts, seed=4, batch=5).at(0, torch.device("cpu")).image, forward[0])


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_a_batch(view, facts, world):
    batches = Batches(view, facts, seed=3, batch=8, flip=True)
    shares = [batches.at(1, torch.device("cpu"), rank, world).image for rank in range(world)]
    assert torch.equal(torch.cat(shares), batches.at(1, torch.device("cpu")).image)


def test_pictures_are_averaged_down(facts):
    view = paint(4, height=32, width=32)
    small = Batches(view, facts, seed=0, batch=4).at(0, torch.device("cpu")).image
    order = Batches(view, facts, seed=0, batch=4).indices(0)
    whole = view.images[order].reshape(4, 16, 2, 16, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2) / 127.5 - 1
    np.testing.assert_allclose(small.numpy(), whole, atol=1e-5)


def test_streams_differ_by_every_number():
    device = torch.device("cpu")
    words = {tuple(torch.rand(2, generator=seeded(device, *n)).tolist()) for n in itertools.product((0, 1), repeat=3)}
    assert len(words) == 8


def test_a_run_ends_and_says_what_happened(tmp_path, fabric, facts):
    folder, learner, batches, schedule = begin(tmp_path, fabric, facts)
    events = list(run(folder, learner, batches, schedule, 0))
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert (last.done, last.total, last.left) == (80, 80, 0)
    assert {"critic", "generator", "pictures/s"} <= set(last.facts)
    shown = [event.path for event in events if isinstance(event, Preview)]
    assert shown
    assert all(path.exists() for path in shown)
    log = folder.read_log()
    assert [entry["step"] for entry in log] == [2, 4, 6, 8, 10]
    assert all(math.isfinite(entry["critic"]) for entry in log)
    assert Run.open(tmp_path, 1).record["status"] == "finished"
    tensors, facts_kept = folder.load_model()
    assert facts_kept["step"] == 10
    assert all(torch.equal(tensors[k], v) for k, v in learner.model().items())


def test_stopping_and_going_on_changes_nothing(tmp_path, fabric, facts):
    """Closed after some steps, then by a signal, then to its end: the weights of an undisturbed run."""
    folder, learner, batches, schedule = begin(tmp_path / "a", fabric, facts, total=160)
    list(run(folder, learner, batches, schedule, 7))

    other, stopped, batches, schedule = begin(tmp_path / "b", fabric, facts, total=160)
    short = Schedule(160, save=1e9, preview=0, log=2)  # a preview after every step: a place to close it
    events = run(other, stopped, batches, short, 7)
    for _ in range(3):
        next(events)
    events.close()
    assert Run.open(tmp_path / "b", 1).load_state().step in range(1, 20)

    _, again, batches, _ = begin(tmp_path / "c", fabric, facts, total=160)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        list(run(other, again, batches, short, 7))
    _, last, batches, _ = begin(tmp_path / "d", fabric, facts, total=160)
    list(run(other, last, batches, schedule, 7))
    for name, tensor in learner.state().items():
        assert torch.equal(last.state()[name], tensor), name
    assert [entry["step"] for entry in other.read_log()] == sorted({e["step"] for e in other.read_log()})


def test_divergence_stops_within_a_step_and_keeps_the_last_state(tmp_path, fabric, facts):
    folder, learner, batches, _ = begin(tmp_path, fabric, facts)
    often = Schedule(80, save=0, preview=0, log=2)  # a preview after every step: a place to spoil it
    events = run(folder, learner, batches, often, 0)
    next(events)
    kept = folder.load_state()
    with torch.no_grad():
        next(learner.family.parts["generator"].parameters())[0, 0] = float("nan")
    with pytest.raises(GessoError, match="diverged at step"):
        list(events)
    state = folder.load_state()
    assert state.step == kept.step
    assert all(torch.isfinite(tensor).all() for tensor in state.tensors.values())


def test_two_trainers_on_one_run(tmp_path, fabric, facts):
    folder, learner, batches, schedule = begin(tmp_path, fabric, facts)
    first = run(folder, learner, batches, Schedule(80, preview=0), 0)
    next(first)
    _, second, batches, _ = begin(tmp_path / "other", fabric, facts)
    with pytest.raises(GessoError, match=str(os.getpid())):
        next(run(Run.open(tmp_path, 1), second, batches, schedule, 0))
    first.close()


def test_another_machine_is_warned_of_and_remembered(tmp_path, fabric, facts):
    folder, learner, batches, schedule = begin(tmp_path, fabric, facts)
    events = run(folder, learner, batches, Schedule(80, preview=0), 0)
    next(events)
    events.close()
    latest = folder.load_state()
    mark = {**latest.facts["fingerprint"], "threads": 64}
    folder.save_state(latest.step, latest.tensors, {**latest.facts, "fingerprint": mark}, learner.model(), {})
    messages = [e.text for e in run(folder, learner, batches, schedule, 0) if isinstance(e, Message)]
    assert any("not bit for bit" in text and "threads" in text for text in messages)
    assert folder.record["bit_exact"] is False


def test_the_rate_rises_and_falls(fabric, facts):
    _, learner, _, _ = begin_free(fabric, facts, warmup=0.1, decay=0.5)
    rates = []
    for seen in range(0, 101, 5):
        clock = Clock(seen, seen, 100)
        learner._set_rate(learner.family.turns(clock)[0], clock)
        rates.append(learner.optimizers["generator"].param_groups[0]["lr"])
    top = learner.family.adam("generator").lr
    assert rates[1] == pytest.approx(top / 2)
    assert rates[2] == pytest.approx(top) == pytest.approx(rates[10])
    assert rates[15] == pytest.approx(top / 2)
    assert rates[-1] < top / 1000


def test_the_rate_of_a_turn_with_a_stretch_of_its_own(fabric, facts):
    _, learner, _, _ = begin_free(fabric, facts, decay=0.5)
    turn, rates = Turn("late", ("generator",), begin=0.5, end=0.75), []
    for seen in (0, 50, 62, 63, 69, 75, 100):
        learner._set_rate(turn, Clock(seen, seen, 100))
        rates.append(learner.optimizers["generator"].param_groups[0]["lr"])
    top = learner.family.adam("generator").lr
    assert rates[0] == rates[1] == rates[2] == top
    assert top > rates[3] > rates[4] > rates[5]
    assert rates[5] == rates[6] == pytest.approx(top / 10_000)


def begin_free(fabric, facts, **config):
    family = tasks.family("gan")
    learner = Learner(family(family.Config.of({**TINY, **config}), facts), fabric, Engine())
    return None, learner, None, None


def test_a_plan_gives_reasons_and_fits_the_budget(fabric, facts):
    family = tasks.family("gan")
    view = paint(64, height=64, width=64)
    facts = Facts(channels=3, height=64, width=64, count=64)
    made = plan.make(family, family.Config.of(TINY), facts, view, fabric, seconds=3, images=None, threads=1)
    assert (made.facts.height, made.facts.width) == (32, 32)
    assert any("64×64" in reason for reason in made.reasons)
    assert made.total % 8 == 0
    assert made.total == pytest.approx(made.rate * 3 * plan.MARGIN, abs=8)
    fixed = plan.make(
        family, family.Config.of(TINY), facts, view, fabric, seconds=None, images=1000, engine=Engine(), wish=(64, 64)
    )
    assert (fixed.total, fixed.facts.height) == (1000, 64)


def test_gpus_and_large_pictures_take_larger_steps_unless_told():
    family, small = tasks.family("gan"), (32, 32)
    config = family.Config
    assert config.of({}).batch == plan.suited(family, config.of({}), "cpu", small).batch == 16
    assert plan.suited(family, config.of({}), "cpu", (64, 48)).batch == 64
    assert plan.suited(family, config.of({}), "cuda", small).batch == 64
    assert plan.suited(family, config.from_pairs(["batch=8"]), "cuda", (64, 64)).batch == 8
    assert plan.suited(family, config.of({"batch": 256}), "cuda", small).batch == 256


def test_sizes_set_what_was_not_chosen(monkeypatch):
    family = tasks.family("gan")
    monkeypatch.setattr(family, "sizes", {32: {"width": 24}, 64: {"width": 40, "batch": 8}})
    asked = family.Config.from_pairs(["lr=0.001"])
    assert [plan.suited(family, asked, "cpu", (side, 2 * side)).width for side in (16, 32, 48, 64)] == [32, 24, 24, 40]
    assert plan.suited(family, asked, "cpu", (64, 64)).batch == 8
    assert plan.suited(family, family.Config.from_pairs(["width=16"]), "cpu", (64, 64)).width == 16
    assert plan.suited(family, asked, "cpu", (64, 64)).lr == 0.001


def test_pictures_without_a_class_get_their_own():
    labels, ids, why = plan.classes(("a", "b"), np.array([0, 1, -1] * 20))
    assert labels == ("a", "b", "unlabelled")
    assert set(ids) == {0, 1, 2}
    assert "20" in why
    assert plan.classes(tuple("abcdefgh"), np.arange(8))[0] == ()


@pytest.mark.parametrize("engine", candidates("cpu", threads=1), ids=lambda e: e.describe())
def test_engines_agree(engine, fabric, facts, view):
    """Whatever is fastest, it learns the same thing: losses within the precision of its numbers."""
    losses = []
    for how in (Engine(channels_last=False), engine):
        torch.manual_seed(0)
        family = tasks.family("gan")
        learner = Learner(family(family.Config.of(TINY), facts), fabric, how)
        batches = Batches(view, facts, seed=0, batch=8)
        for step in range(3):
            losses.append(learner.step(batches.at(step, torch.device("cpu")), Clock(step, 8 * step, 800), 0))
    near = 2e-2 if engine.precision == "bfloat16" else 1e-4
    for one, other in zip(losses[:3], losses[3:], strict=True):
        assert one == pytest.approx(other, rel=near, abs=near)


def test_the_log_is_json_lines(tmp_path, fabric, facts):
    folder, learner, batches, schedule = begin(tmp_path, fabric, facts)
    list(run(folder, learner, batches, schedule, 0))
    lines = (folder.root / "log.jsonl").read_text().splitlines()
    assert all({"step", "seen", "pictures/s"} <= set(json.loads(line)) for line in lines)


def test_time_and_energy_are_counted(tmp_path):
    """Over lives of a run, over a counter that begins again; not where a part was not counted."""
    package = tmp_path / "intel-rapl:0"
    package.mkdir()
    (package / "max_energy_range_uj").write_text("10000000")
    (package / "energy_uj").write_text("9000000")
    meter = Meter({"seconds": 100.0, "cpu_seconds": 50.0, "joules": 7.0}, tmp_path)
    (package / "energy_uj").write_text("9500000")
    assert meter.read()["joules"] == 7.5
    (package / "energy_uj").write_text("250000")
    told = meter.read()
    assert told["joules"] == pytest.approx(8.2, abs=0.06)  # 0.5 + 0.75 more
    assert told["seconds"] >= 100
    assert told["cpu_seconds"] >= 50
    assert Meter({"seconds": 1.0, "joules": None}, tmp_path).read()["joules"] is None
    (package / "energy_uj").write_text("no number")
    assert Meter(None, tmp_path).read()["joules"] is None
    assert Meter(None, tmp_path / "none").read()["joules"] is None


def test_steps_that_are_timed_lie_evenly_over_a_run():
    for count in range(1, 60):
        places = np.array([spread(number) for number in range(count)])
        for edge in (0.1, 0.4, 0.5, 0.9):
            assert abs((places < edge).sum() - edge * count) < 1.6


def test_the_rate_is_that_of_the_whole_run(monkeypatch, fabric, facts, view):
    """Of a network that grows from steps of 10 ms to those of 40 ms, by another clock; lazy turns are met as ever."""
    now, met = [0.0], []

    def step(learner, batch, clock, seed):
        met.append(clock.step)
        now[0] += 0.01 if clock.fraction < 0.4 else 0.04

    monkeypatch.setattr(Learner, "step", step)
    monkeypatch.setattr("gesso.train.probe.time.perf_counter", lambda: now[0])
    family = tasks.family("gan")
    found = rate(family, family.Config.of(TINY), facts, view, fabric, Engine(), seconds=2.0)
    assert found == pytest.approx(8 / (0.4 * 0.01 + 0.6 * 0.04), rel=0.03)
    assert met == list(range(52))


@pytest.mark.parametrize(
    ("count", "minutes", "images", "paired", "best"),
    [
        (5000, 10, None, False, "flow"),
        (5000, 2, None, False, "gan"),
        (300, 60, None, False, "gan"),
        (300, 2, None, False, "gan"),
        (5000, 60, None, True, "gan"),
        (5000, 10, 20_000, False, "gan"),
        (5000, 10, 1_000_000, False, "flow"),
    ],
)
def test_the_family_suits_data_and_budget(count, minutes, images, paired, best):
    names, why = plan.pick_family(count, minutes, images, paired)
    assert names[0] == best
    assert sorted(names) == ["flow", "gan"]
    assert bool(why) == (count >= 1000 and not paired)


def test_choices_tell_the_family():
    """Of what suits, the first that has the preset and the choices named; and a name counts more than all."""
    pack = type("Pack", (), {"count": 5000, "pairs": ""})()
    for options, expected in (
        ({}, "flow"), ({"minutes": 1}, "gan"), ({"preset": "primer"}, "gan"), ({"minutes": 1, "preset": "few"}, "flow"),
        ({"set": ("r1=0.1",)}, "gan"), ({"minutes": 1, "set": ("latents=4",)}, "flow"), ({"set": ("lr=0.1",)}, "flow"),
        ({"family": "vae", "set": ("r1=0.1",)}, "vae"),
    ):  # fmt: skip
        assert family_of(TrainOptions(dataset="x", **options), pack)[0].name == expected


def test_small_steps_of_a_turn(facts, view, fabric):
    """Of small steps a turn takes as many as the batch has, each with its own pictures and luck, and tells the mean."""
    flow = tasks.family("flow")
    config = flow.Config.of({"eye": 4, "width": 8, "batch": 24, "perceptual": 0})
    learner, seen = Learner(flow(config, facts), fabric, Engine()), []
    family, losses = learner.family, learner.family.losses

    def told(turn, batch, clock, rng):
        out = losses(turn, batch, clock, rng)
        seen.append((batch.image, int(torch.randint(1 << 30, (), generator=rng)), float(out["pixels"].detach())))
        return out

    family.losses = told
    batch = Batches(view, facts, seed=0, batch=24).at(0, torch.device("cpu"))
    logs = learner.step(batch, Clock(0, 0, 100), seed=0)
    images, luck, pixels = zip(*seen, strict=True)
    assert [len(image) for image in images] == [8, 8, 8]
    assert torch.equal(torch.cat(images), batch.image)
    assert len({*luck}) == 3
    assert logs["pixels"] == pytest.approx(np.mean(pixels))
    assert {int(state["step"]) for state in learner.optimizers["eye"].state.values()} == {3}


def test_a_fork_begins_with_what_its_run_has_learned(few, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(few, home)
    parent = Run.open(home, 1)
    gesso.run("train", dataset="few", fork="1", images="8", set=("batch=8",), seed=5, home=home)
    fork = Run.open(home, 2)
    assert fork.record["fork"] == parent.root.name
    assert fork.record["config"] == parent.record["config"] | {"batch": 8}
    (before, _), (after, _) = parent.load_model(), fork.load_model()
    apart = {name: float((after[name].float() - before[name].float()).norm()) for name in before}
    assert 0 < sum(apart.values()) < 0.1 * sum(float(one.float().norm()) for one in before.values())
    with pytest.raises(GessoError, match="does not fit"):
        gesso.run("train", dataset="few", fork="1", images="8", size="8", home=home)
    with pytest.raises(GessoError, match="leave --family"):
        gesso.run("train", dataset="few", fork="1", family="vae", home=home)
    assert not Run.open(home, 2).root.with_name("0003-few-gan").exists()
