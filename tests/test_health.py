"""The health of training: figures, rules, what is said once, the best that is kept, and resuming."""

import math

import numpy as np
import pytest
import torch

from gesso import tasks
from gesso.contract.family import Clock
from gesso.contract.task import Message
from gesso.errors import GessoError
from gesso.losses import rightly_ranked
from gesso.measure.distances import Moments, frechet
from gesso.measure.features import extractor
from gesso.measure.health import RULES, Eye, Health, History, Rule
from gesso.measure.health.look import effective_number, frechet_of_few
from gesso.options import Options
from gesso.sample import Drawn, draw
from gesso.store import Run
from gesso.train import Batches, Engine, Learner, Schedule, run
from tests.conftest import paint

TINY = {"width": 8, "critic_width": 8, "latent": 16, "batch": 8}
CPU = torch.device("cpu")


def learner_of(fabric, facts, family="gan", **config):
    kind = tasks.family(family)
    torch.manual_seed(0)
    small = {name: value for name, value in TINY.items() if name in kind.Config.model_fields}
    return Learner(kind(kind.Config.of({**small, **config}), facts), fabric, Engine())


def begin(home, fabric, facts, total=80, **schedule):
    learner = learner_of(fabric, facts)
    batches = Batches(paint(32), facts, seed=0, batch=8)
    record = {"config": learner.family.config.model_dump(), "facts": facts.model_dump(), "total": total}
    when = Schedule(total, **{"save": 1e9, "preview": 1e9, "log": 2, **schedule})
    return Run.create(home, "discs", "gan", record), learner, batches, when


def step(learner, batches, number=0):
    return learner.step(batches.at(number, CPU), Clock(number, number * 8, 800), 0)


# Figures of a step


def test_ranking_is_the_share_of_right_pairs():
    real, fake = torch.tensor([3.0, 1.0, 0.0]), torch.tensor([0.0, 2.0])
    right = np.mean([1.0 if r > f else 0.5 if r == f else 0.0 for r in (3, 1, 0) for f in (0, 2)])
    assert float(rightly_ranked(real, fake)) == pytest.approx(right)
    assert float(rightly_ranked(real, real)) == 0.5


@pytest.mark.parametrize("loss", ["relativistic", "hinge", "wasserstein", "non-saturating"])
def test_a_gan_tells_how_often_its_critic_is_right(loss, fabric, facts, view):
    figures = step(learner_of(fabric, facts, loss=loss), Batches(view, facts, seed=0, batch=8))
    assert 0 <= figures["accuracy"] <= 1
    assert math.isfinite(figures["gap"])
    assert ("accuracy_real" in figures) == ("accuracy_made" in figures) == (loss in ("hinge", "non-saturating"))
    assert "strength" not in figures


def test_the_strength_of_augmentation_is_told_where_it_adapts(fabric, facts, view):
    learner = learner_of(fabric, facts, augment=["colour"], adaptive=True)
    learner.family.parts["augment"].strength.fill_(0.5)
    assert step(learner, Batches(view, facts, seed=0, batch=8))["strength"] == pytest.approx(0.5, abs=1e-3)


def test_a_vae_counts_the_numbers_in_use(fabric, facts, view):
    learner = learner_of(fabric, facts, "vae", free_bits=0.0)
    head = learner.family.parts["recogniser"].head
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        head.bias[:4] = 1.0  # four means that differ from the prior's, of sixteen
    assert step(learner, Batches(view, facts, seed=0, batch=8))["active"] == pytest.approx(4 / 16)


@pytest.mark.parametrize("config", [{}, {"loss": "hinge"}, {"norm": "none", "r1": 0.5, "penalty_every": 2}])
def test_watching_steps_changes_no_bit(config, fabric, facts, view):
    batches, states = Batches(view, facts, seed=0, batch=8), []
    for watched in (False, True):
        learner = learner_of(fabric, facts, **config)
        for number in range(4):
            if watched:
                learner.watch()
            figures = step(learner, batches, number)
            assert ("generator/update" in figures) == ("critic/gradient" in figures) == ("rate" in figures) == watched
        states.append(learner.state())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_gradient_and_update_are_those_of_the_step(fabric, facts, view):
    learner, batches = learner_of(fabric, facts), Batches(view, facts, seed=0, batch=8)
    before = [p.detach().clone() for p in learner.family.parts["generator"].parameters()]
    norms, gather = [], learner._gather
    learner._gather = lambda turn: norms.append([g.clone() for g in gather(turn)]) or gather(turn)
    learner.watch()
    figures = step(learner, batches)
    after = list(learner.family.parts["generator"].parameters())
    whole = [torch.cat([t.detach().reshape(-1) for t in tensors]) for tensors in (before, after)]
    assert figures["generator/update"] == pytest.approx(float((whole[1] - whole[0]).norm() / whole[0].norm()), rel=1e-4)
    both = math.hypot(figures["generator/gradient"], figures["critic/gradient"])
    assert both == pytest.approx(float(torch.cat([g.reshape(-1) for g in norms[0]]).norm()), rel=1e-4)
    assert figures["rate"] == 1.0
    assert "rate" not in step(learner, batches, 1)


# Figures of a look


def test_the_distance_of_few_is_the_distance():
    rng = torch.Generator().manual_seed(0)
    a = torch.randn(20, 30, generator=rng)
    b = torch.randn(40, 30, generator=rng) * 1.5 + 0.3
    assert frechet_of_few(a, b) == pytest.approx(frechet(Moments.of(a), Moments.of(b)), rel=1e-5)
    assert frechet_of_few(a, a) == pytest.approx(0, abs=1e-6)


def test_kinds_are_counted():
    places = 10 * torch.eye(8)
    assert effective_number(places[:1].repeat(8, 1), 100.0) == pytest.approx(1)
    assert effective_number(places[:3].repeat(4, 1), 20.0) == pytest.approx(3, rel=1e-3)
    assert effective_number(places, 20.0) == pytest.approx(8, rel=1e-2)


def pictures_of(view):
    return torch.from_numpy(view.images).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.fixture(scope="module")
def coloured():
    """Pictures of 24 × 16 pixels that are all unlike."""
    rng = np.random.default_rng(0)
    return (rng.random((80, 6, 4, 3)).repeat(4, 1).repeat(4, 2) * 255).astype(np.uint8)


class Copier(torch.nn.Module):
    """Stands where a family does, and draws given pictures, one a latent."""

    def __init__(self, images):
        super().__init__()
        self.images, self.one = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1, torch.nn.Linear(1, 1)
        self.facts, self.asks = type("", (), {"labels": (), "captions": ()}), frozenset()
        self.Knobs, self.alike = Options, {}

    def prior(self, n, rng):
        return torch.rand(n, generator=rng)

    def sample(self, z, condition, knobs):
        yield self.images[(z * len(self.images)).long()]


def grid_of(images):
    return [Drawn(i, None, images[i % len(images)]) for i in range(64)]


def test_a_look_tells_copies_from_fresh_pictures(coloured):
    learned = torch.from_numpy(coloured[:40]).permute(0, 3, 1, 2).float() / 127.5 - 1
    eye = Eye(extractor("random"), lambda: learned.split(7), made=64)
    copier, fresh = (eye(Copier(images), grid_of(images)) for images in (coloured[:40], coloured[40:]))
    assert copier["copied"] == 1
    assert fresh["copied"] == 0
    assert copier["fd_random"] < fresh["fd_random"]
    assert copier["coverage_random"] > 0.8
    assert copier["looked_at"] == 64
    assert copier["contrast"] == pytest.approx(1, abs=0.1)


def test_a_look_counts_kinds_and_measures_colour(coloured):
    learned = torch.from_numpy(coloured).permute(0, 3, 1, 2).float() / 127.5 - 1
    eye = Eye(extractor("random"), lambda: learned.split(40), made=64)
    three = eye(Copier(coloured[:3]), grid_of(coloured[:3]))
    assert three["kinds"] == pytest.approx(3, abs=0.5)
    assert three["kinds_real"] > 8
    grey = np.repeat(coloured.mean(3, keepdims=True), 3, 3).astype(np.uint8)
    pale = eye(Copier(grey), grid_of(grey))
    assert pale["saturation"] < 0.05
    assert pale["contrast"] == pytest.approx(0.58, abs=0.1)  # of three independent channels' mean: 3 to the power -½
    flat = np.full_like(coloured, 90)
    assert eye(Copier(flat), grid_of(flat))["contrast"] < 0.01


def test_pictures_without_colour_or_too_small_for_features():
    grey = torch.rand(20, 1, 8, 8) * 2 - 1
    family = Copier((np.random.default_rng(0).random((9, 8, 8, 1)) * 255).astype(np.uint8))
    grid = list(draw(family, range(64)))
    assert eye_names(Eye(None, lambda: [grey]), family, grid) == {"contrast"}


def eye_names(eye, family, grid):
    return set(eye(family, grid))


def test_a_slow_family_draws_fewer(monkeypatch, coloured):
    now = iter(range(0, 10_000, 1))
    monkeypatch.setattr("gesso.measure.health.look.time.monotonic", lambda: next(now))  # a second between two readings
    learned = torch.from_numpy(coloured).permute(0, 3, 1, 2).float() / 127.5 - 1
    eye = Eye(extractor("random"), lambda: [learned])
    assert eye(Copier(coloured), grid_of(coloured))["looked_at"] == 128  # two grids, of a second each
    assert eye.made == 128


# What is said


def told(*names):
    """A watch whose one rule speaks of whatever line says so."""
    rule = Rule("loud", lambda history: "It is loud." if history.last("noise") == [1.0] else "", "Be quiet.")
    return Health(Eye(None, list), rules=[rule])


def lines(*noises):
    return [{"step": i, "seen": 8 * i, "noise": noise} for i, noise in enumerate(noises)]


def test_a_warning_is_told_once_and_again_when_it_came_back():
    calm = [0.0] * 24
    loud = [1.0] * 3
    watch = told()
    notes = [note for line in lines(*loud, 0.0, *loud, *calm, *loud) for note in watch.read(line)]
    assert notes == [
        {"warning": "loud", "text": "It is loud. Be quiet."},
        {"over": "loud"},
        {"warning": "loud", "text": "It is loud. Be quiet."},
    ]


def test_a_resumed_watch_says_what_an_undisturbed_one_says():
    log = lines(0.0, 1.0, 1.0, *[0.0] * 24, 1.0)
    for stop in range(len(log)):
        first, written = told(), []
        for line in log[:stop]:
            written += [line, *first.read(line)]
        second = told()
        second.recall(written)
        rest = [note for line in log[stop:] for note in second.read(line)]
        undisturbed = told()
        whole = [(line["step"], note) for line in log for note in undisturbed.read(line)]
        assert rest == [note for number, note in whole if number >= stop]


class Scores:
    """A watch whose looks bring given scores."""

    def __init__(self, scores, patience=None):
        self.scores = iter(scores)
        self.health = Health(Eye(None, list), patience=patience, rules=())
        self.health.measure = "fd_test"
        self.recall, self.read = self.health.recall, self.health.read

    def look(self, family, grid):
        return {"fd_test": next(self.scores)}


def watched(home, fabric, facts, watch, **schedule):
    folder, learner, batches, when = begin(home, fabric, facts, **schedule)
    return folder, learner, list(run(folder, learner, batches, when, 0, watch=watch))


def health_of(facts, **how):
    known = pictures_of(paint(32))
    return Health(Eye(extractor("random"), lambda: [known], facts.labels, made=64), **how)


def test_a_watched_run_learns_the_same_and_logs_its_looks(tmp_path, fabric, facts):
    _, plain, _ = watched(tmp_path / "a", fabric, facts, None, total=40)
    folder, learner, events = watched(tmp_path / "b", fabric, facts, health_of(facts), total=40, preview=0)
    assert all(torch.equal(plain.state()[name], tensor) for name, tensor in learner.state().items())
    looks = [line for line in folder.read_log() if "kinds" in line]
    assert [line["step"] for line in looks] == [1, 2, 3, 4, 5]
    assert {"fd_random", "coverage_random", "copied", "contrast", "saturation", "looked_at"} <= looks[0].keys()
    steps = [line for line in folder.read_log() if "pictures/s" in line]
    assert all({"accuracy", "generator/update", "critic/gradient", "rate"} <= line.keys() for line in steps)
    assert folder.record["best"]["best"] == min(line["fd_random"] for line in looks)
    assert not [event for event in events if isinstance(event, Message) and event.level == "warning"]


def test_a_warning_reaches_the_person_the_log_and_the_record(tmp_path, fabric, facts):
    """A rule that is real, on a training whose generator is given no rate to speak of."""
    watch = health_of(facts, rules=[rule for rule in RULES if rule.name == "frozen"])
    folder, learner, batches, when = begin(tmp_path, fabric, facts, total=400)
    learner = learner_of(fabric, facts, lr=1e-9)
    events = list(run(folder, learner, batches, when, 0, watch=watch))
    (said,) = [event.text for event in events if isinstance(event, Message) and event.level == "warning"]
    assert said.startswith("The generator stands still")
    (line,) = [line for line in folder.read_log() if "warning" in line]
    (kept,) = Run.open(tmp_path, 1).record["warnings"]
    assert line["text"] == kept["text"] == said
    assert kept["rule"] == "frozen"
    assert kept["seen"] == line["seen"]
    assert kept["over"] is None


def test_the_best_is_kept_and_the_state_goes_on(tmp_path, fabric, facts):
    watch = Scores([5, 3, 4, 6, 2.5, 7, 7, 7, 7, 7, 7])
    folder, learner, _ = watched(tmp_path, fabric, facts, watch, preview=0, save=0, best=True)
    _, kept = folder.load_model()
    assert kept["step"] == 5
    assert folder.load_state().step == 10
    assert folder.record["best"] == {"step": 5, "seen": 40, "best": 2.5, "measure": "fd_test"}
    _, short, _ = watched(tmp_path / "short", fabric, facts, None, total=80)
    assert all(torch.equal(short.state()[name], tensor) for name, tensor in learner.state().items())


def test_without_patience_left_it_stops_and_says_so(tmp_path, fabric, facts):
    watch = Scores([5, 4, 4, 3, 3, 3, 3, 3, 3, 3], patience=3)
    folder, _, events = watched(tmp_path, fabric, facts, watch, preview=0)
    assert folder.load_state().step == 7
    assert "no better fd_test than 3 in 3 looks" in folder.record["stopped"]
    assert folder.record["status"] == "finished"
    assert sum("Stopped early" in event.text for event in events if isinstance(event, Message)) == 1
    again = Scores([3, 3, 1, 3, 3, 3, 3], patience=3)
    _, learner, batches, when = begin(tmp_path / "again", fabric, facts, preview=0)
    list(run(folder, learner, batches, when, 0, watch=again))
    assert folder.load_state().step == 10  # patience anew, and a better one after all
    assert folder.record["best"]["step"] == 10
    assert folder.record["stopped"] is None


def test_a_resumed_run_knows_its_best_and_its_warnings(tmp_path, fabric, facts):
    folder, learner, batches, when = begin(tmp_path, fabric, facts, preview=0, save=0, best=True)
    events = run(folder, learner, batches, when, 0, watch=Scores([5, 3, 9, 9, 9, 9]))
    for event in events:
        if getattr(event, "title", "").startswith("after 24 "):
            break
    events.close()
    folder.log({"step": 3, "seen": 24, "warning": "loud", "text": "It is loud."})
    _, learner, batches, _ = begin(tmp_path / "again", fabric, facts)
    watch = Scores([4, 8, 8, 8, 8, 8, 8])
    list(run(folder, learner, batches, when, 0, watch=watch))
    assert watch.health.best == 3
    assert folder.load_model()[1]["step"] == 2
    assert folder.record["best"]["step"] == 2
    assert folder.record["warnings"] == [{"rule": "loud", "text": "It is loud.", "seen": 24, "over": None}]


def test_the_command_keeps_the_best_and_stops(tmp_path):
    tasks.run("import", home=tmp_path, source="blossoms", name="flowers", size="16", count=60)
    small = {"dataset": "flowers", "size": "16", "set": ["width=4", "critic_width=4"], "threads": 1}
    how = {"keep": "best", "patience": 1, "preview_every": 0.001, "precision": "float32"}
    result = tasks.run("train", home=tmp_path, images="160", **small, **how)
    record = Run.open(tmp_path, 1).record
    assert record["watch"]["extractor"] == "primer"
    assert record["watch"]["sha256"] == extractor().sha256
    assert record["best"]["measure"] == "fd_primer"
    assert tasks.load(1, tmp_path).step == record["best"]["step"]
    assert "Run 1" in result.text
    for wrong in ({"watch": False, "keep": "best"}, {"watch": False, "patience": 3}):
        with pytest.raises(GessoError):
            tasks.run("train", home=tmp_path, images="16", **small, **wrong)


# The rules


def steps(count, **figures):
    """Lines of a log; a figure is one number, or one a line."""
    named = {name.replace("__", "/"): value for name, value in figures.items()}
    return [
        {"step": i, "seen": 5000 + i, **{n: v[i] if isinstance(v, list) else v for n, v in named.items()}}
        for i in range(count)
    ]


LOOK = {"contrast": 1.0, "saturation": 1.0, "kinds": 30.0, "kinds_real": 40.0, "copied": 0.1, "copied_real": 0.1}


def looks(count, **figures):
    return steps(count, **{**LOOK, **figures})


SETS_OFF = {
    "critic too strong": steps(12, accuracy=0.999),
    "critic too weak": steps(24, accuracy=0.5),
    "frozen": steps(12, generator__update=1e-7, critic__update=1e-2, rate=1.0),
    "diverging": steps(15, critic__gradient=[1.0] * 12 + [1e4] * 3),
    "augmentation at its limit": steps(12, strength=0.85),
    "posterior collapse": steps(12, active=0.02),
    "few kinds": looks(2, kinds=3.2),
    "flat": looks(2, contrast=0.1),
    "off colour": looks(2, saturation=4.0),
    "copies": looks(1, copied=0.9),
}
LEAVES_ALONE = {
    "critic too strong": [steps(11, accuracy=1.0), steps(12, accuracy=[1.0] * 11 + [0.9]), steps(40, critic=1.0)],
    "critic too weak": [steps(23, accuracy=0.5), steps(24, accuracy=[0.3] * 12 + [0.7] * 12)],
    "frozen": [steps(12, generator__update=1e-7, rate=0.01), steps(12, generator__update=1e-3, rate=1.0)],
    "diverging": [steps(15, critic__gradient=[1.0] * 12 + [1e4] * 2 + [1.0]), steps(3, critic__gradient=1e9)],
    "augmentation at its limit": [steps(12, strength=[0.85] * 11 + [0.6])],
    "posterior collapse": [steps(12, active=0.5), steps(12, active=[0.0] * 11 + [0.9])],
    "few kinds": [looks(1, kinds=1.0), looks(2, kinds=30.0), looks(2, kinds=1.0, kinds_real=2.0)],
    "flat": [looks(1, contrast=0.1), looks(2, contrast=0.8)],
    "off colour": [looks(2, saturation=[0.1, 0.9]), looks(2, saturation=[0.1, 4.0]), looks(2, saturation=1.5)],
    "copies": [looks(1, copied=0.2), looks(1, copied=0.9, copied_real=0.8)],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_speaks_when_it_should_and_only_then(rule):
    said = rule.says(History(SETS_OFF[rule.name]))
    assert said.endswith(".")
    assert rule.remedy.endswith(".")
    for log in LEAVES_ALONE[rule.name]:
        assert rule.says(History(log)) == ""
    for other in RULES:
        if other is not rule:
            assert other.says(History(SETS_OFF[rule.name])) == ""
    assert rule.reads(SETS_OFF[rule.name][0])


def test_the_first_pictures_are_not_judged():
    early = [{**line, "seen": 2000} for line in looks(2, kinds=1.0, contrast=0.1)]
    assert not [rule.name for rule in RULES if rule.says(History(early))]


def test_what_is_no_number_is_no_figure():
    log = steps(12, accuracy=[1.0] * 11 + [math.nan])
    log.append({"step": 12, "seen": 1, "accuracy": None})
    log.append({"step": 12, "seen": 1, "best": 3.0, "measure": "fd"})
    history = History(log)
    assert history.last("accuracy", 11) == [1.0] * 11
    assert history.last("accuracy", 12) == []
    assert history.last("best") == []
    assert history.first("accuracy") is None


def test_the_words_name_what_they_saw():
    say = {rule.name: rule.says(History(SETS_OFF[rule.name])) for rule in RULES}
    assert "draws 3 kinds of pictures, where as many real ones are of 40" in say["few kinds"]
    assert "generator stands still" in say["frozen"]
    assert "critic's gradient has grown 10,000 times" in say["diverging"]
    assert "4.0 times the colour" in say["off colour"]
    one = History(looks(2, kinds=1.1))
    assert "all but the same picture" in next(rule for rule in RULES if rule.name == "few kinds").says(one)


def test_remedies_name_only_what_there_is():
    """Every preset and every choice that a rule advises exists in some family."""
    import re

    families = tasks.families().values()
    for rule in RULES:
        for preset in re.findall(r"--preset (\w+)", rule.remedy):
            assert any(preset in family.presets for family in families), preset
        for choice in re.findall(r"--set (\w+)", rule.remedy):
            assert any(choice in family.Config.model_fields for family in families), choice


def test_another_primer_makes_no_figures(tmp_path):
    """A run goes on after Gesso got another primer, but does not mix the figures of two."""
    tasks.run("import", home=tmp_path, source="blossoms", name="flowers", size="16", count=40)
    small = {"dataset": "flowers", "size": "16", "set": ["width=4", "critic_width=4"], "precision": "float32"}
    tasks.run("train", home=tmp_path, images="160", keep="best", **small)
    folder = Run.open(tmp_path, 1)
    folder.update(watch={**folder.record["watch"], "sha256": "of another"}, total=320)
    before, said = len(folder.read_log()), []
    tasks.run("train", home=tmp_path, resume="1", on_event=said.append)
    assert any("another primer" in event.text for event in said if isinstance(event, Message))
    new = folder.read_log()[before:]
    assert any("contrast" in line for line in new)
    assert not any("fd_primer" in line for line in new)
    assert tasks.load(1, tmp_path).step == folder.load_state().step
