"""Captions: a vocabulary learned from them, and networks that read them."""

import copy
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gesso.data.blossoms import paint_blossoms
from gesso.errors import GessoError
from gesso.text import (
    LONGEST,
    PAD,
    START,
    UNKNOWN,
    AbsentText,
    PretrainedReader,
    PretrainedText,
    TextEncoder,
    Vocabulary,
    reading,
)

CAPTIONS = [
    "a small crimson and cream rose on a stem on night blue",
    "a large lily with 6 petals on sand",
    "A small, Crimson rose.",
    "",
    "a red tulip — ﬁne; on a stem",
]


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.learn(CAPTIONS)


def encoder(vocabulary, **more):
    torch.manual_seed(0)
    return TextEncoder(vocabulary.size, vocabulary.length, width=16, heads=2, **more)


def test_round_trip(vocabulary):
    again = Vocabulary.of(vocabulary.dump())
    assert again == vocabulary
    assert again is Vocabulary.of(vocabulary.dump())
    assert torch.equal(again.ids(CAPTIONS), vocabulary.ids(CAPTIONS))
    assert json.loads(vocabulary.dump())["version"] == 1


def test_the_same_captions_give_the_same_vocabulary():
    texts = [known["text"] for known in paint_blossoms(60, 8)[1]]
    first, second = Vocabulary.learn(texts), Vocabulary.learn([*texts])
    assert first.dump() == second.dump()
    assert Vocabulary.learn(texts[:30]) != first


def test_words_and_pieces(vocabulary):
    assert vocabulary.words[:2] == ("a", "on")
    assert {"crimson", "fine", "6"} <= set(vocabulary.words)  # lower-cased, the ligature in letters
    assert not {".", ",", ";", "—", "Crimson"} & set(vocabulary.words)
    ids = vocabulary.ids(CAPTIONS)
    assert ids.shape == (5, vocabulary.length)
    assert vocabulary.length == 1 + 12  # every word of the longest is one piece here
    assert (ids[:, 0] == START).all()
    assert (ids[3, 1:] == PAD).all()
    assert ids[0].min() > UNKNOWN
    assert ids.max() < vocabulary.size <= 2000
    named = [vocabulary.pieces[i] for i in ids[2] if i > START]
    assert named == ["▁a", "▁small", "▁,", "▁crimson", "▁rose", "▁."]


def test_order_case_and_width_of_letters(vocabulary):
    same = vocabulary.ids(["A RED ｔｕｌｉｐ", "a red tulip"])
    assert torch.equal(same[0], same[1])
    other = vocabulary.ids(["red a tulip"])
    assert not torch.equal(other[0], same[0])


def test_few_pieces_suffice_and_bound_the_length():
    texts = [f"{'long ' * 200}word{i} 日本語 ﷺ" for i in range(5)]
    few = Vocabulary.learn(texts, most=24)
    assert few.size <= 24
    assert few.length == LONGEST
    assert (few.ids(texts) != PAD).all()


def test_the_longest_captions_are_cut():
    texts = ["a rose"] * 995 + ["a rose on a stem"] * 5
    assert Vocabulary.learn(texts).length == 1 + 2
    assert Vocabulary.learn([*texts[:994], *["a rose on a stem"] * 6]).length == 1 + 5


def test_unknown_words_are_named(vocabulary):
    vocabulary.check(CAPTIONS[:3])
    vocabulary.check(["ROSE, rose: rose!"])
    with pytest.raises(GessoError) as wrong:
        vocabulary.check(["a rose", "a crimsn rose"])
    assert wrong.value.problem == "The captions that this model learned from never say 'crimsn'."
    assert wrong.value.remedy == "Did you mean 'crimson'?"
    with pytest.raises(GessoError, match="never say 'zebra'"):
        vocabulary.check(["zebra"])
    assert UNKNOWN in vocabulary.ids(["☃"])


def test_what_is_written_without_spaces_is_said_letter_by_letter():
    """Of captions in Chinese and Japanese, other sentences of the same letters can be asked for."""
    vocabulary = Vocabulary.learn(["一朵红色的花", "一只蓝色的鸟", "あかいはな", "a red 花"])
    vocabulary.check(["一朵蓝色的花", "红鸟", "花", "あおはな"[2:], "red 花"])
    ids = vocabulary.ids(["红色的花", "红色 的花", "花的色红"])
    assert torch.equal(ids[0], ids[1])
    assert not torch.equal(ids[0], ids[2])
    assert 1 not in ids  # nothing unknown
    with pytest.raises(GessoError, match="never say '猫'"):
        vocabulary.check(["一只红色的猫"])


def test_a_text_that_is_longer_than_what_is_read(vocabulary):
    most = vocabulary.length - 1
    assert vocabulary.unread(" ".join(["red"] * most)) == 0
    assert vocabulary.unread(" ".join(["red"] * (most + 3))) == 3


@pytest.mark.parametrize("text", ["", "   ", " \n\t", "…!", "\u200b"])
def test_empty_texts(vocabulary, text):
    with pytest.raises(GessoError, match="says nothing"):
        vocabulary.check([text])


def test_captions_without_a_word():
    with pytest.raises(GessoError, match="No caption"):
        Vocabulary.learn(["", "  ", "?!"])
    assert "🌹" in Vocabulary.learn(["🌹", "🌷 !"]).words


@given(st.text(st.characters(codec=None), max_size=40))
def test_any_text_has_numbers(text):
    """Half surrogates, marks, controls and all: numbers within bounds, and a vocabulary that comes back."""
    known = Vocabulary.learn([*CAPTIONS, text])
    assert Vocabulary.of(known.dump()) == known
    for reader in (known, Vocabulary.learn(CAPTIONS)):
        ids = reader.ids([text, "<pad> <unknown> <start> [PAD]"])
        assert ids.shape == (2, reader.length)
        assert 0 <= int(ids.min()) <= int(ids.max()) < reader.size
        assert ids[0].bool().int().diff().max() <= 0  # padding comes last
        assert not (ids[:, 1:] == START).any()


@given(st.text(max_size=20) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_vocabulary(text):
    with pytest.raises(GessoError, match="vocabulary"):
        Vocabulary.of(text)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"length": 65},
        {"length": 1},
        {"pieces": ["<pad>"]},
        {"pieces": ["<pad>", "<unknown>", "<start>", ""]},
        {"merges": [["no", "piece"]]},
        {"merges": [["▁"]]},
        {"words": [1]},
        {"words": None},
        {"more": 1},
    ],
)
def test_damaged_vocabularies(vocabulary, change):
    text = json.dumps({**json.loads(vocabulary.dump()), **change})
    with pytest.raises(GessoError, match="damaged"):
        Vocabulary.of(text)


def test_padding_changes_nothing(vocabulary):
    network = encoder(vocabulary)
    ids = vocabulary.ids(["a red rose", "", CAPTIONS[0]])
    tokens, sentence, mask = network(ids)
    assert tokens.shape == (3, vocabulary.length, 16)
    assert mask.sum(1).tolist() == [4, 1, 13]
    short, alone, _ = network(ids[:1, :4])
    torch.testing.assert_close(alone, sentence[:1])
    torch.testing.assert_close(short, tokens[:1, :4])
    with torch.no_grad():  # nothing that stands in the padding's place is seen
        network.embed.weight[PAD] += 100
    torch.testing.assert_close(network(ids)[1], sentence)
    assert torch.isfinite(network(torch.zeros_like(ids))[1]).all()


def test_the_same_text_reads_the_same_in_any_mode(vocabulary):
    network = encoder(vocabulary)
    ids = vocabulary.ids(CAPTIONS)
    torch.testing.assert_close(network.train()(ids)[1], network.eval()(ids)[1], rtol=0, atol=0)
    sentence = network(ids)[1]
    assert torch.pdist(sentence).min() > 0.1


def test_heads_are_as_many_as_divide_the_width():
    tokens, sentence, _ = TextEncoder(9, 4, width=6)(torch.tensor([[START, 3, 4, PAD]]))
    assert tokens.shape == (1, 4, 6)
    assert sentence.shape == (1, 6)


def test_every_weight_learns(vocabulary):
    network = encoder(vocabulary)
    ids = vocabulary.ids(CAPTIONS)
    tokens, sentence, _ = network(ids)
    (tokens.square().sum() + (sentence * torch.randn(5, 16)).sum()).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name
    grad = network.embed.weight.grad
    assert grad is not None
    used = torch.zeros(vocabulary.size, dtype=torch.bool).index_fill(0, ids[ids > 0], True)
    assert (grad.abs().sum(1) > 0)[used].all()


def test_it_learns_to_tell_captions_apart():
    """Colour, in words that stand anywhere: a line on the sentence finds it after a few steps."""
    facts = paint_blossoms(80, 8)[1]
    texts, colours = [known["text"] for known in facts], sorted({known["colour"] for known in facts})
    reader, network = reading(Vocabulary.learn(texts).dump(), width=32)
    head, ids = nn.Linear(32, len(colours)), reader.ids(texts)
    wanted = torch.tensor([colours.index(known["colour"]) for known in facts])
    adam = torch.optim.Adam([*network.parameters(), *head.parameters()], 3e-3)
    for _ in range(40):
        adam.zero_grad()
        nn.functional.cross_entropy(head(network(ids)[1]), wanted).backward()
        adam.step()
    assert (head(network(ids)[1]).argmax(1) == wanted).float().mean() > 0.9


def test_exports(vocabulary):
    network = encoder(vocabulary).eval()
    batch = torch.export.Dim("batch")
    exported = torch.export.export(network, (vocabulary.ids(CAPTIONS),), dynamic_shapes=({0: batch},)).module()
    ids = vocabulary.ids(["a rose", "", "a lily"])
    for one, other in zip(exported(ids), network(ids), strict=True):
        torch.testing.assert_close(one, other)


@pytest.fixture
def folders(tmp_path):
    """Tiny encoders of several kinds with random weights, and a tokenizer for each."""
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "rose", "lily"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    small = {"vocab_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert = {**small, "hidden_size": 8, "intermediate_size": 16, "max_position_embeddings": 12}
    text = {**bert, "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    kinds = {
        "bert": transformers.BertModel(transformers.BertConfig(**bert)),
        "t5": transformers.T5EncoderModel(
            transformers.T5Config(vocab_size=8, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
        ),
        "clip": transformers.CLIPModel(
            transformers.CLIPConfig(
                text_config=text,
                vision_config={"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
                               "num_attention_heads": 2, "image_size": 8, "patch_size": 4},
                projection_dim=8,
            )
        ),
    }  # fmt: skip
    tokens = transformers.BertTokenizerFast(str(tmp_path / "vocab.txt"), model_max_length=12)
    for name, model in kinds.items():
        model.save_pretrained(tmp_path / name)
        tokens.save_pretrained(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("kind", ["bert", "t5", "clip"])
def test_a_pretrained_encoder(folders, kind, capfd):
    reader, network = reading("", str(folders / kind), width=16)
    ids = reader.ids(["a red rose", "", "rose " * 50])
    assert ids.shape == (3, 12)
    tokens, sentence, mask = network(ids)
    assert tokens.shape == (3, 12, 16)
    assert mask.sum(1).tolist() == [5, 2, 12]
    alone = network(ids[:1, :5])[1]
    torch.testing.assert_close(alone, sentence[:1], rtol=1e-4, atol=1e-5)
    assert {name.split(".")[0] for name in network.state_dict()} == {"project", "pool"}
    sentence.square().mean().backward()
    frozen = network._held.module
    assert all(p.grad is None for p in frozen.parameters())
    assert copy.deepcopy(network)._held.module is frozen
    assert not network.train()._held.module.training
    network.double()
    assert all(p.dtype == torch.float64 for p in frozen.parameters())
    reader.check(["a zebra"])
    with pytest.raises(GessoError, match="empty"):
        reader.check([" "])
    assert capfd.readouterr() == ("", "")


def test_a_pretrained_encoder_that_has_gone(folders):
    _, before = reading("", str(folders / "bert"), width=16)
    reader, network = reading("", str(folders / "gone"), width=16)
    assert isinstance(network, AbsentText)
    network.load_state_dict(before.state_dict())
    for use in (lambda: reader.ids(["a rose"]), lambda: network(torch.zeros(1, 4, dtype=torch.long))):
        with pytest.raises(GessoError, match=r"gone, on which this model stands, is not there\. Put it back"):
            use()


def test_what_is_no_pretrained_encoder(folders, monkeypatch):
    bert = folders / "bert"
    (bert / "pytorch_model.bin").write_bytes(b"\x80\x04never opened")
    PretrainedText(bert)
    (bert / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(GessoError, match="cannot be read as a text encoder"):
        PretrainedText(bert)
    (bert / "model.safetensors").unlink()
    with pytest.raises(GessoError, match="only pickles"):
        PretrainedText(bert)
    (bert / "pytorch_model.bin").unlink()
    with pytest.raises(GessoError, match="no weights"):
        PretrainedText(bert)
    (bert / "config.json").unlink()
    with pytest.raises(GessoError, match=r"no config\.json"):
        PretrainedReader(bert).ids(["a"])
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(GessoError, match=r"pip install .*gesso\[text\]"):
        PretrainedText(folders / "t5")
