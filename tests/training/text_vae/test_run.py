"""Training of text VAEs: what it learns on texts with one bit of meaning, and that stops, resumes and bad input lose nothing."""

import json
import math
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lexframe.data.factor_sentences import sample_sentences
from lexframe.exceptions import DataError, InputError, InterruptedRunError
from lexframe.spaces import TextVAESpace
from lexframe.spaces.text_vae.network import token_log_probabilities
from lexframe.training.text_vae import run as text_vae
from lexframe.training.text_vae.data import batch_rows, split_texts
from lexframe.training.text_vae.objective import information_bound
from lexframe.training.text_vae.plan import TextVAEPlan, autoencoder, plain_language_model, plain_vae
from lexframe.training.text_vae.run import TextVAETraining
from lexframe.training.text_vae.validation import measure

TINY = TextVAEPlan(
    n_latent=4,
    memory_tokens=2,
    vocab_size=300,
    d_model=32,
    encoder_layers=1,
    decoder_layers=1,
    max_tokens=20,
    max_epochs=2.0,
    batch_size=16,
    n_validations=4,
    n_importance_samples=3,
    precision="float32",
    free_nats=2.0,
    least_nats=0.0,
)


def sentences(n=240, seed=0):
    """Sentences of which the subject, the verb and the object are drawn on their own."""
    generator = np.random.default_rng(seed)
    slots = (["cat", "dog", "bird", "fish", "horse"], ["sees", "likes", "fears", "hears"], ["rain", "wind", "snow", "night", "sea", "fire"])
    return [" ".join(("the", *(str(generator.choice(words)) for words in slots), str(number % 7))) for number in range(n)]


@pytest.fixture(scope="module")
def texts():
    return split_texts(sentences(), seed=0)


@pytest.fixture(scope="module")
def finished(texts, tmp_path_factory):
    """A run of the tiny plan: its folder, what it reported, and its last step. Tests read it and leave it as it is."""
    folder, seen = tmp_path_factory.mktemp("finished"), []
    run = TextVAETraining(TINY, texts, folder)
    run.run(seen.append)
    return SimpleNamespace(folder=folder, model=folder / "model", seen=seen, step=run.state.step)


def weights(folder):
    return load_file(folder / "checkpoint.safetensors")


def test_a_run_writes_a_model_its_log_and_how_it_was_made(finished):
    folder, seen = finished.model, finished.seen
    space = TextVAESpace(str(folder))
    assert space.n_dims == 4
    facts = json.loads((folder / "training.json").read_text())
    assert facts["plan"] == asdict(TINY.resolved())
    assert facts["texts"]["training"] + facts["texts"]["validation"] == 240
    assert facts["best"]["bound_before_prior"] == min(line.validation["bound"] for line in seen if line.validation)
    assert facts["best"]["kl"] < facts["best"]["kl_before_prior"]
    log = [json.loads(line) for line in (finished.folder / "log.jsonl").read_text().splitlines()]
    assert log == [asdict(line) for line in seen]
    assert sum(line.validation is not None for line in seen) == 4
    assert seen[-1].fraction == 1.0


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(texts, finished, tmp_path):
    first = TextVAETraining(TINY, texts, tmp_path / "parts")

    def stop(progress):
        first._stop = progress.validation is not None

    with pytest.raises(InterruptedRunError, match="run the same command again"):
        first.run(stop)
    assert 0 < first.state.step < finished.step
    second = TextVAETraining(TINY, texts, tmp_path / "parts")
    assert second.state.step == first.state.step
    second.run()
    expected, found = weights(finished.folder), weights(tmp_path / "parts")
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_seed_decides_a_run_and_the_global_generator_plays_no_part(texts, tmp_path):
    state = torch.random.get_rng_state()
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        TextVAETraining(replace(TINY, max_epochs=0.3, seed=seed), texts, tmp_path / name).run()
    assert torch.equal(state, torch.random.get_rng_state())
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


def test_other_settings_or_texts_are_refused_by_name_and_more_time_is_not(texts, tmp_path):
    TextVAETraining(replace(TINY, max_epochs=0.3), texts, tmp_path).run()
    with pytest.raises(InputError, match=r"n_latent=4 \(now 8\), lr=0.004 \(now 0.002\)"):
        TextVAETraining(replace(TINY, n_latent=8, lr=0.002), texts, tmp_path)
    with pytest.raises(InputError, match="other texts"):
        TextVAETraining(TINY, split_texts(sentences(seed=9)), tmp_path)
    TextVAETraining(replace(TINY, max_epochs=0.5), texts, tmp_path).run()
    (tmp_path / "checkpoint.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match="not a whole checkpoint"):
        TextVAETraining(TINY, texts, tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(texts, tmp_path):
    run = TextVAETraining(TINY, texts, tmp_path)

    def poison(progress):
        if progress.validation is not None:
            with torch.no_grad():
                run.network.to_posterior[0].weight.fill_(math.nan)

    with pytest.raises(InputError, match=r"The loss is nan at step \d+ .* the last checkpoint is kept"):
        run.run(poison)
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path).values())
    resumed = TextVAETraining(TINY, texts, tmp_path)
    assert resumed.state.step == run.state.step
    resumed.run()


def test_a_time_budget_ends_the_run(texts, tmp_path):
    run = TextVAETraining(replace(TINY, max_epochs=None, max_minutes=0.02), texts, tmp_path)
    run.run()
    assert 0.02 * 60 <= run.state.elapsed < 6


def test_padding_contributes_nothing_to_the_objective(texts, tmp_path):
    run = TextVAETraining(replace(TINY, dropout=0.0, word_dropout=0.0), texts, tmp_path)
    run.network.eval()
    short, long = min(run.training, key=len), max(run.training, key=len)
    assert len(short) < len(long)
    alone = run.model.texts.batch([short])
    beside = run.model.texts.batch([short, long])
    first = run.network.posterior(alone.encoder_ids, alone.encoder_mask)
    second = run.network.posterior(beside.encoder_ids, beside.encoder_mask)
    z = torch.randn(2, 4)
    torch.testing.assert_close(first[0][0], second[0][0], atol=1e-6, rtol=0)
    torch.testing.assert_close(first[1][0], second[1][0], atol=1e-6, rtol=0)
    losses = [
        token_log_probabilities(run.network.decoder(batch.inputs, batch.mask, z[: len(batch.mask)]), batch.targets, batch.mask)[0].sum()
        for batch in (alone, beside)
    ]
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=1e-6)


def test_the_last_share_maximises_the_importance_weighted_bound(texts, tmp_path):
    run = TextVAETraining(replace(TINY, dropout=0.0, word_dropout=0.0, importance_share=0.25, n_training_samples=7), texts, tmp_path)
    run.network.eval()
    batch = run.model.texts.batch(run.training[:5])
    mean, log_variance = run.network.posterior(batch.encoder_ids, batch.encoder_mask)
    torch.manual_seed(3)
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    z = mean.unsqueeze(1) + (0.5 * log_variance).exp().unsqueeze(1) * torch.randn(35, 4).view(5, 7, 4)
    weights = []
    for sample in range(7):
        log_p = token_log_probabilities(run.network.decoder(batch.inputs, batch.mask, z[:, sample]), batch.targets, batch.mask).sum(1)
        prior = torch.distributions.Normal(0.0, 1.0).log_prob(z[:, sample]).sum(1)
        weights.append(log_p + prior - q.log_prob(z[:, sample]).sum(1))
    expected = -(torch.stack(weights).exp().mean(0).log()).sum() / batch.mask.sum()
    torch.manual_seed(3)
    loss, reconstruction, kl = run.loss(batch, 0.75)
    torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-4)
    assert math.isfinite(reconstruction)
    assert kl > 0
    torch.manual_seed(3)
    assert run.loss(batch, 0.74)[0] != loss


def test_the_importance_weighted_share_adds_the_nats_that_are_missing(texts, tmp_path):
    plan = replace(TINY, dropout=0.0, importance_share=0.25)

    def loss_and_told(least_nats):
        run = TextVAETraining(replace(plan, least_nats=least_nats), texts, tmp_path / str(least_nats))
        run.network.eval()
        batch = run.model.texts.batch(run.training[:5])
        torch.manual_seed(3)
        loss = run.loss(batch, 0.9)[0].item() * batch.mask.sum().item() / 5
        return loss, information_bound(*run.network.posterior(batch.encoder_ids, batch.encoder_mask)).sum().item()

    free, told = loss_and_told(0.0)
    assert loss_and_told(told / 2)[0] == pytest.approx(free, abs=1e-4)
    assert loss_and_told(told + 7)[0] == pytest.approx(free + 7, abs=1e-4)


@pytest.mark.parametrize(("least_nats", "warning"), [(0.0, "collapsed"), (6.0, "")])
def test_a_latent_whose_price_buys_nothing_has_collapsed(texts, tmp_path, least_nats, warning):
    """Every text has one Gaussian, 1.5 from the prior's mean in every dimension: 4.5 nats of KL, and not one about the text."""
    run = TextVAETraining(replace(TINY, max_epochs=0.1, n_validations=1, importance_share=0.0), texts, tmp_path)
    last = run.network.to_posterior[-1]
    with torch.no_grad():
        last.weight.mul_(0 if not least_nats else 30)
        last.bias.fill_(0.0)
        last.bias[: TINY.n_latent] = 1.5
    run.optimizer = torch.optim.SGD(run.network.parameters(), lr=0.0)
    run._peak_rates = [0.0]
    seen = []
    folder = run.run(seen.append)
    assert seen[-1].validation["kl"] > 4
    assert seen[-1].warning == warning
    assert json.loads((folder / "training.json").read_text())["warning"] == warning


def test_a_budget_of_minutes_goes_into_training_and_not_into_measuring(texts, tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(text_vae.time, "monotonic", lambda: clock[0])
    seen = []
    run = TextVAETraining(replace(TINY, max_epochs=None, max_minutes=2.0, n_validations=20), texts, tmp_path)
    step, validate = run._train_step, run._validate

    def slow(work, seconds):
        def wrapped(*arguments):
            clock[0] += seconds
            return work(*arguments)

        return wrapped

    run._train_step, run._validate = slow(step, 1.0), slow(validate, 11.0)
    run.run(seen.append)
    measured = [line for line in seen if line.validation]
    assert measured[-1].step == run.state.step
    assert 3 <= len(measured) <= 4  # a fifth of the two minutes, and the one at the end
    assert seen[-1].step >= 120 - 4 * 11
    assert all(line.kl_weight >= 1 for line in measured if line.validation["best"])


def test_the_decoder_first_writes_without_the_latent(texts, tmp_path):
    run = TextVAETraining(replace(TINY, dropout=0.0, word_dropout=0.0, writing_share=0.5, importance_share=0.0), texts, tmp_path / "a")
    plain = TextVAETraining(replace(plain_language_model(TINY), dropout=0.0, word_dropout=0.0), texts, tmp_path / "b")
    plain.network.decoder.model.load_state_dict(run.network.decoder.model.state_dict())
    batch = run.model.texts.batch(run.training[:5])
    assert run.loss(batch, 0.49)[1] == pytest.approx(plain.loss(batch, 0.49)[1], abs=1e-4)
    run.loss(batch, 0.49)[0].backward()
    assert all(parameter.grad is None for parameter in run.network.decoder.memory.parameters())
    assert run.network.to_posterior[0].weight.grad.abs().max() > 0  # it learns the words meanwhile
    run.loss(batch, 0.5)[0].backward()
    assert run.network.decoder.memory.project.weight.grad.abs().max() > 0


def test_no_checkpoint_is_taken_before_the_decoder_is_given_the_latent(texts, tmp_path):
    seen = []
    plan = replace(TINY, warm_share=0.0, n_cycles=0, writing_share=0.6, importance_share=0.2)
    TextVAETraining(plan, texts, tmp_path).run(seen.append)
    assert [line.validation["best"] for line in seen if line.validation][:2] == [False, False]


def test_a_run_that_starts_with_writing_goes_on_where_it_was(texts, tmp_path):
    plan = replace(TINY, writing_share=0.5, warm_share=0.0, n_cycles=0)
    TextVAETraining(plan, texts, tmp_path / "whole").run()
    part = TextVAETraining(plan, texts, tmp_path / "part")

    def stop(progress):
        if progress.validation:
            part._on_signal()

    with pytest.raises(InterruptedRunError):
        part.run(stop)
    assert part.state.step < part._steps_per_epoch  # while it writes without the latent
    TextVAETraining(plan, texts, tmp_path / "part").run()
    found, expected = weights(tmp_path / "part"), weights(tmp_path / "whole")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_the_bound_is_that_of_the_space(texts, tmp_path):
    folder = TextVAETraining(replace(TINY, max_epochs=0.3), texts, tmp_path).run()
    space, held = TextVAESpace(str(folder)), texts.validation[:10]
    with torch.no_grad():
        found = measure(space.model, space.model.texts(held), 400, seed=0, device=torch.device("cpu"))
    posterior = space.posterior(held)
    z = posterior.sample(400, seed=1)
    noise = (z - posterior.means[:, None]) / np.exp(0.5 * posterior.log_variances)[:, None]
    log_q = -0.5 * (noise**2 + posterior.log_variances[:, None] + math.log(2 * math.pi)).sum(-1)
    log_p = space.log_likelihoods(held, z) - 0.5 * (z**2 + math.log(2 * math.pi)).sum(-1)
    bound = -(np.logaddexp.reduce(log_p - log_q, axis=1) - math.log(400)).mean()
    assert found["bound"] == pytest.approx(bound, abs=0.05)
    assert found["bound"] <= found["reconstruction"] + found["kl"]
    assert found["active"] == int((posterior.means.var(0, ddof=1) > 0.01).sum())


def test_the_comparison_runs_are_what_their_names_say():
    plain, lossless, plain_lm = plain_vae(replace(TINY, least_nats=5.0)), autoencoder(TINY), plain_language_model(TINY)
    assert (
        plain.free_nats,
        plain.least_nats,
        plain.word_dropout,
        plain.bag_of_words,
        plain.n_cycles,
        plain.warm_share,
        plain.importance_share,
    ) == (0,) * 7
    assert plain.kl_weight == 1
    assert lossless.kl_weight == 0
    assert plain_lm.n_latent == 0


def test_an_autoencoder_keeps_what_reconstructs_best(tmp_path):
    seen = []
    texts = split_texts([sentence.text for sentence in sample_sentences(300, seed=0, slots=False)], seed=0)
    TextVAETraining(replace(autoencoder(TINY), max_epochs=8.0, n_validations=6), texts, tmp_path).run(seen.append)
    validations = [line.validation for line in seen if line.validation]
    facts = json.loads((tmp_path / "model" / "training.json").read_text())
    best = min(validations, key=lambda found: found["reconstruction"])
    assert best is not min(validations, key=lambda found: found["bound"])  # else the test says nothing
    assert facts["best"]["bound_before_prior"] == best["bound"]
    assert [found["reconstruction"] for found in validations if found["best"]][-1] == best["reconstruction"]


def test_a_plain_language_model_is_the_decoder_without_a_latent(texts, tmp_path):
    run = TextVAETraining(replace(plain_language_model(TINY), max_epochs=0.5), texts, tmp_path)
    assert not hasattr(run.network, "encoder")
    vae = TextVAETraining(TINY, texts, tmp_path / "vae")
    sizes = [sum(p.numel() for p in model.network.decoder.model.parameters()) for model in (run, vae)]
    assert sizes[0] == sizes[1]
    run.run()
    assert run.state.best["kl"] == 0
    assert run.state.best["bound"] == pytest.approx(run.state.best["reconstruction"])


def test_batches_hold_every_row_once_and_like_lengths_together():
    lengths = np.random.default_rng(0).integers(3, 40, size=1000)
    batches = batch_rows(lengths, 16, seed=0, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(1000))
    padded = sum(lengths[rows].max() * len(rows) for rows in batches)
    assert padded < 1.1 * lengths.sum()
    again = batch_rows(lengths, 16, seed=0, epoch=0)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))
    other = batch_rows(lengths, 16, seed=0, epoch=1)
    assert not all(np.array_equal(a, b) for a, b in zip(batches, other, strict=True))


def test_no_text_is_on_both_sides_of_the_split():
    texts = [*sentences(300), "", "  \n", *sentences(50)]
    found = split_texts(texts, seed=1)
    assert not set(found.training) & set(found.validation)
    assert found.n_empty == 2
    assert len(found.training) + len(found.validation) == 350
    assert found.n_repeated == 350 - len(set(texts) - {"", "  \n"})


@pytest.mark.parametrize("texts", [[f"line {number}" for number in range(10)], ["the same line"] * 5000, [""] * 200, []])
def test_too_few_distinct_texts_are_refused(texts):
    with pytest.raises(DataError, match="a latent needs 100 at least"):
        split_texts(texts)


def test_texts_that_are_too_long_are_left_out_and_counted(texts, tmp_path):
    longer = split_texts([*sentences(), *("word " * (30 + number) for number in range(20))], seed=0)
    run = TextVAETraining(TINY, longer, tmp_path / "a")
    assert run.texts.n_long == 20  # on both sides
    assert len(run.training) + len(run.validation) == 240
    assert max(len(text) for text in run.training) <= 21
    with pytest.raises(DataError, match="longer than 1 tokens"):
        TextVAETraining(replace(TINY, max_tokens=1), texts, tmp_path / "b")


def test_other_scripts_train_and_come_back(tmp_path):
    words = ["кошка", "犬", "طائر", "ปลา", "ίππος"]
    texts = split_texts([f"{words[i % 5]} {words[i // 5 % 5]} {words[i // 25 % 5]} {i % 3}" for i in range(300)], seed=0)
    folder = TextVAETraining(replace(TINY, max_epochs=0.2, max_tokens=60), texts, tmp_path).run()
    space = TextVAESpace(str(folder))
    ids = space.model.texts(texts.training[:5])
    assert space.model.texts.texts([text.ids for text in ids]) == texts.training[:5]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"max_epochs": None}, "no end"),
        ({"max_epochs": -1.0}, "max_epochs is -1"),
        ({"word_dropout": 1.0}, "word_dropout is 1"),
        ({"kl_weight": -1.0}, "kl_weight is -1"),
        ({"kl_weight": 0.0}, "Set importance_share to 0"),
        ({"seed": -1}, "seed is -1"),
        ({"n_heads": 0}, "n_heads is 0"),
        ({"writing_share": 0.5, "importance_share": 0.6}, "more than the whole budget"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"memory_tokens": 0, "scale_shift": False}, "no way into the decoder"),
    ],
)
def test_plans_that_cannot_be_are_refused(changes, says):
    with pytest.raises(InputError, match=says):
        replace(TINY, **changes)


def test_no_checkpoint_is_taken_while_the_weight_rises(texts, tmp_path):
    seen = []
    TextVAETraining(replace(TINY, warm_share=0.0, rise_share=0.9, importance_share=0.0), texts, tmp_path / "late").run(seen.append)
    assert [line.validation["best"] for line in seen if line.validation] == [False, False, False, True]
    plain = []
    TextVAETraining(plain_language_model(replace(TINY, rise_share=0.9)), texts, tmp_path / "plain").run(plain.append)
    assert next(line.validation["best"] for line in plain if line.validation)


def test_a_latent_that_tells_too_little_counts_against_a_checkpoint(texts, tmp_path):
    run = TextVAETraining(replace(TINY, least_nats=3.0), texts, tmp_path)
    likely, telling = ({"bound": bound, "reconstruction": 9.0, "information": told} for bound, told in ((10.0, 0.5), (11.0, 2.9)))
    assert run._cost(likely) == 12.5
    assert run._cost(telling) == pytest.approx(11.1)
    assert run._cost(telling | {"information": 7.0}) == 11.0
    measured = run._measured()
    with torch.no_grad():
        batch = run.model.texts.batch(run._measured_texts)
        mean, log_variance = run.network.eval().posterior(batch.encoder_ids, batch.encoder_mask)
    assert measured["information"] == pytest.approx(information_bound(mean, log_variance).sum().item(), rel=1e-4)


def test_what_is_trained_on_is_moved_by_smaller_steps():
    plan = replace(TINY, lr=None, matrix_lr=None)
    assert plan.peak_rates() == (0.004, 0.01)
    assert replace(plan, initial_model="vae").peak_rates() == replace(plan, decoder="embedded").peak_rates() == (0.001, 0.005)
    assert replace(plan, initial_model="vae", lr=0.1, matrix_lr=0.0).peak_rates() == (0.1, 0.0)


def test_a_run_can_start_from_another_model(texts, finished, tmp_path):
    first = finished.model
    plan = replace(TINY, initial_model=str(first), n_latent=32, memory_tokens=4, max_epochs=0.2)  # defaults: its own shape is taken over
    for changes, says in (
        ({"n_latent": 9, "memory_tokens": 1}, r"n_latent=9 \(it has 4\), memory_tokens=1 \(it has 2\)"),
        ({"n_latent": 0}, r"n_latent=0 \(it has 4\)"),
        ({"decoder": "embedded", "train_decoder": False}, "decoder='embedded' .* train_decoder=False"),
    ):
        with pytest.raises(InputError, match=says):
            TextVAETraining(replace(plan, **changes), texts, tmp_path / "refused")
    others = split_texts(sentences(seed=5), seed=0)
    run = TextVAETraining(plan, others, tmp_path / "second")
    before = measure(run.model, run.validation, 3, seed=0, device=torch.device("cpu"))["reconstruction"]
    scratch = TextVAETraining(TINY, others, tmp_path / "scratch")
    assert before < measure(scratch.model, scratch.validation, 3, seed=0, device=torch.device("cpu"))["reconstruction"]
    assert (run.plan.n_latent, run.plan.memory_tokens) == (4, 2)
    assert run.plan.max_tokens == TINY.max_tokens
    assert TextVAETraining(replace(plan, max_tokens=12), others, tmp_path / "shorter").network.shape.max_tokens == 12
    assert TextVAETraining(replace(plan, max_tokens=None), others, tmp_path / "same").network.shape.max_tokens == TINY.max_tokens
    space = TextVAESpace(str(run.run()))
    assert space.n_dims == 4
    assert np.isfinite(space.encode(texts.training)).all()
    again = TextVAETraining(plan, others, tmp_path / "second")
    assert again.state.step == run.state.step
    drawn = []
    for seed in (1, 2):  # what is not stored, the bag of words, is drawn from the plan's seed, and the caller's state is left alone
        torch.manual_seed(seed)
        state = torch.random.get_rng_state()
        drawn.append(TextVAETraining(plan, others, tmp_path / f"drawn {seed}").network.to_words.weight)
        assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(*drawn)


def test_checkpoints_are_chosen_by_texts_of_the_whole_file(monkeypatch, tmp_path):
    monkeypatch.setattr(text_vae, "MEASURED", 20)
    training = [f"the cat sees {number}" for number in range(100)]
    sorted_file = split_texts([*training, *(f"the dog sees {number}" for number in range(100))], validation_share=0.4)
    run = TextVAETraining(TINY, sorted_file, tmp_path)
    measured = [run.model.texts.tokenizer.decode(text.ids) for text in run._measured_texts]
    assert len(set(measured)) == 20
    assert 5 < sum("dog" in text for text in measured) < 15
