"""The one loop: against plain autograd with torch.optim on the same minibatches, and alone against in company."""

import math

import pytest
import torch
from torch.func import vmap

from elbo import training
from elbo.training import Adagrad, Adam, Noise, fit
from elbo.training.blocks import Block

DATA, UNITS, BATCH = 6, 5, 8


def loss(params, x, noise, scalars):
    """A regression through a hidden layer with noise on its inputs: it uses everything that a loss is given."""
    hidden = torch.tanh((x[:, :-1] + 0.1 * noise["eps"]) @ params["w1"] + params["b1"])
    wrong = (hidden @ params["w2"]).squeeze(-1) - x[:, -1]
    return wrong.square().mean() + scalars["ridge"] * (params["w1"].square().sum() + params["w2"].square().sum())


def start(members, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"w1": (DATA - 1, UNITS), "b1": (UNITS,), "w2": (UNITS, 1)}
    return {n: 0.5 * torch.randn(members, *s, generator=generator, dtype=torch.float64) for n, s in shapes.items()}


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(200, DATA, generator=generator, dtype=torch.float64)
    x[:, -1] = torch.sin(x[:, 0]) + x[:, 1] * x[:, 2]
    return x


def train(data, params, seeds, optimiser=Adagrad(0.05), ridge=0.01, steps=70, block=20, **options):
    options = {"noise": {"eps": Noise("normal", (BATCH, DATA - 1))}, "compile": False} | options
    scalars = {"ridge": ridge}
    return fit(
        options.pop("loss", loss), params, data, seeds=seeds, steps=steps, batch_size=BATCH, scalars=scalars,
        optimiser=optimiser, block=block, **options,
    )  # fmt: skip


def gap(a, b):
    return max((a[name] - b[name]).abs().max().item() for name in a)


@pytest.mark.parametrize("optimiser, reference", [(Adagrad(0.05), torch.optim.Adagrad), (Adam(0.01), torch.optim.Adam)])
def test_the_loop_is_autograd_and_torch_optim_on_the_same_minibatches(data, optimiser, reference):
    fitted = train(data, start(1), [3], optimiser)
    params = {name: p[0].clone().requires_grad_() for name, p in start(1).items()}
    torch_optimiser = reference(params.values(), lr=optimiser.learning_rate)
    block = Block([3], 20, BATCH, len(data), {"eps": Noise("normal", (BATCH, DATA - 1))}, data)
    for step in range(70):
        if step % 20 == 0:
            block.fill(step // 20)
        index, noise = block.at(step % 20)
        torch_optimiser.zero_grad()
        loss(params, data[index[0]], {"eps": noise["eps"][0]}, {"ridge": 0.01}).backward()
        torch_optimiser.step()
    assert gap({n: p[0] for n, p in fitted.params.items()}, params) < 1e-10


@pytest.mark.parametrize(
    "optimiser", [Adagrad((0.05, 0.02)), Adam((0.01, 0.002)), Adam((0.05, 0.02), stages=((2, 0.5), (4, 0.1)))]
)
def test_the_plain_and_the_fused_optimiser_agree(optimiser):
    params, state = start(2), optimiser.init(start(2))
    fused, fused_state = start(2), optimiser.init(start(2))
    rate = torch.tensor(optimiser.learning_rate, dtype=torch.float64)
    for step in range(5):
        grads = start(2, seed=100 + step)
        optimiser.update(params, grads, state, rate)
        optimiser.fused_update(fused, grads, fused_state)
    assert gap(params, fused) < 1e-12
    assert gap(state, fused_state) < 1e-12
    assert gap(params, start(2)) > 0.01


def test_the_stages_of_adam_are_torchs_multistep_schedule():
    ours = Adam(0.05, 0.8, 0.95, 1e-4, stages=((2, 0.5), (5, 0.1)))
    params, state = start(1), ours.init(start(1))
    leaves = {name: p.clone().requires_grad_() for name, p in start(1).items()}
    theirs = torch.optim.Adam(leaves.values(), lr=0.05, betas=(0.8, 0.95), eps=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(theirs, lambda step: 1.0 if step < 2 else 0.5 if step < 5 else 0.1)
    for step in range(8):
        grads = start(1, seed=100 + step)
        ours.fused_update(params, grads, state)
        for name, leaf in leaves.items():
            leaf.grad = grads[name].clone()
        theirs.step()
        schedule.step()
    assert gap(params, leaves) < 1e-12


def test_an_optimiser_is_taken_as_it_is_and_wrong_stages_are_refused():
    assert training.make_optimiser(Adam(0.3)) == Adam(0.3)
    with pytest.raises(ValueError, match="do not pass another beside it"):
        training.make_optimiser(Adam(0.3), 0.1)
    for stages in (((4, 0.5), (2, 0.1)), ((2, 0.0),)):
        with pytest.raises(ValueError, match="rising after and positive factor"):
            Adam(0.3, stages=stages)


@pytest.mark.parametrize("kind", [Adagrad, Adam])
def test_a_member_of_a_stack_is_the_member_alone(data, kind, record_property):
    """Seeds, penalties and learning rates differ; the gate is 1e-4, equal bits are reported."""
    params, ridge, rates = start(3), torch.tensor([0.0, 0.01, 0.1], dtype=torch.float64), (0.05, 0.01, 0.02)
    together = train(data, params, [3, 4, 5], kind(rates), ridge)
    gaps = []
    for k in range(3):
        own = {name: p[k : k + 1] for name, p in params.items()}
        alone = train(data, own, [3 + k], kind(rates[k]), ridge[k : k + 1])
        gaps.append(gap({n: p[k : k + 1] for n, p in together.params.items()}, alone.params))
    record_property("bitwise", max(gaps) == 0)
    assert max(gaps) < 1e-4
    assert gap({n: p[0] for n, p in together.params.items()}, {n: p[1] for n, p in together.params.items()}) > 0.01


def test_two_runs_are_equal_and_the_start_is_not_changed(data):
    params = start(2)
    first, second = train(data, params, [1, 2]), train(data, params, [1, 2])
    assert gap(first.params, second.params) == 0
    assert gap(params, start(2)) == 0
    assert gap(first.params, train(data, params, [1, 3]).params) > 1e-3


def test_one_and_two_threads_agree(data):
    before = torch.get_num_threads()
    losses = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            losses.append(train(data, start(2), [1, 2]).losses)
    finally:
        torch.set_num_threads(before)
    assert (losses[0] - losses[1]).abs().max() < 1e-4


def test_it_learns(data):
    fitted = train(data, start(1), [0], Adam(0.01), ridge=0.0, steps=2000, block=100)
    everything = vmap(loss, in_dims=(0, None, None, None))
    silence, ridge = {"eps": torch.zeros(len(data), DATA - 1, dtype=torch.float64)}, {"ridge": 0.0}
    before, after = everything(start(1), data, silence, ridge), everything(fitted.params, data, silence, ridge)
    assert after < 0.3 * before
    assert fitted.losses.shape == (20, 1) and fitted.losses[-1] < 0.5 * fitted.losses[0]


def test_randomness_is_a_function_of_seed_and_block_whatever_the_company(data):
    spec = {"eps": Noise("normal", (BATCH, 4)), "u": Noise("uniform", (BATCH, 3))}
    together, alone = (Block(seeds, 10, BATCH, 200, spec, data) for seeds in ([7, 8, 9], [8]))
    together.fill(4)
    alone.fill(3)
    assert not torch.equal(together.index[1], alone.index[0])
    alone.fill(4)
    assert torch.equal(together.index[1], alone.index[0])
    for name in spec:
        assert torch.equal(together.noise[name][1], alone.noise[name][0])
    assert not torch.equal(together.noise["eps"][0], together.noise["eps"][1])


def test_a_narrow_member_sees_its_own_noise_padded_with_zeros(data):
    wide = Block([7, 8], 10, BATCH, 200, {"eps": Noise("normal", (BATCH, 5), (5, 2))}, data)
    own = Block([8], 10, BATCH, 200, {"eps": Noise("normal", (BATCH, 2))}, data)
    for block in (wide, own):
        block.fill(0)
    assert torch.equal(wide.noise["eps"][1, ..., :2], own.noise["eps"][0])
    assert (wide.noise["eps"][1, ..., 2:] == 0).all() and (wide.noise["eps"][0] != 0).all()


def test_the_noise_has_the_distribution_that_it_names(data):
    spec = {"normal": Noise("normal", (100, 5)), "uniform": Noise("uniform", (100, 5))}
    block = Block([0], 100, 100, 50, spec, data)
    block.fill(0)
    normal, uniform = block.noise["normal"], block.noise["uniform"]
    n = normal.numel()
    assert abs(normal.mean()) < 4 / math.sqrt(n) and abs(normal.var() - 1) < 4 * math.sqrt(2 / n)
    assert abs(uniform.mean() - 0.5) < 4 / math.sqrt(12 * n) and uniform.min() >= 0 and uniform.max() < 1
    counts = torch.bincount(block.index.flatten(), minlength=50)  # 10,000 draws of 50 values
    chi2 = ((counts - 200).square() / 200).sum()
    assert abs(chi2 - 49) < 4 * math.sqrt(2 * 49)


def test_recording_sees_the_parameters_of_its_step_and_does_not_disturb_them(data):
    seen = {}

    def record(now):
        seen[now.steps] = {name: p.clone() for name, p in now.params.items()}
        assert now.records == [{"step": step} for step in seen if step < now.steps]
        assert len(now.losses) == (4 if now.steps == 70 else now.steps // 20)  # of whole blocks, and the last
        return [{"step": now.steps}]

    recorded = train(data, start(1), [3], record=record, record_at=[0, 1, 25, 40, 70])
    assert [row["step"] for row in recorded.records] == [0, 1, 25, 40, 70]
    assert gap(seen[0], start(1)) == 0
    assert gap(seen[25], train(data, start(1), [3], steps=25).params) == 0
    assert gap(seen[70], train(data, start(1), [3]).params) == 0


def test_progress_is_told_steps_and_losses(data):
    calls = []
    fitted = train(data, start(2), [3, 4], progress=lambda done, total, losses: calls.append((done, total, losses)))
    assert [call[:2] for call in calls] == [(20, 70), (40, 70), (60, 70), (70, 70)]
    assert torch.equal(torch.stack([call[2] for call in calls]), fitted.losses)


def test_data_may_be_anything_with_a_length_and_an_index(data):
    class Rendered:
        def __len__(self):
            return len(data)

        def __getitem__(self, index):
            return data[index]

    assert gap(train(Rendered(), start(1), [3]).params, train(data, start(1), [3]).params) == 0


def terms(params, x, noise, scalars):
    ridge = scalars["ridge"] * (params["w1"].square().sum() + params["w2"].square().sum())
    return {"squared error": loss(params, x, noise, {"ridge": 0.0}), "ridge": ridge}


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_term(data):
    params = start(3)
    params["w2"][1] = 1e200  # its square is infinite
    with pytest.raises(FloatingPointError, match=r"step 1: the term 'squared error' of member 1 \(seed 8\)"):
        train(data, params, [7, 8, 9], terms=terms)
    with pytest.raises(FloatingPointError, match=r"step 1: the term 'ridge' of member 0"):
        train(data, start(3), [7, 8, 9], ridge=torch.tensor([math.inf, 0.0, 0.0]), terms=terms)


def test_the_step_at_which_it_broke_is_found_by_replaying_the_block(data):
    """A datum that is not a number: the first step whose minibatch holds it, counted by hand."""
    data[17, -1] = math.nan
    block = Block([3], 20, BATCH, len(data), {"eps": Noise("normal", (BATCH, DATA - 1))}, data)
    step = 0
    while True:
        if step % 20 == 0:
            block.fill(step // 20)
        if (block.at(step % 20)[0] == 17).any():
            break
        step += 1
    assert step > 5
    with pytest.raises(FloatingPointError, match=rf"step {step + 1}: the term 'squared error'"):
        train(data, start(1), [3], terms=terms, steps=400)


def test_a_gradient_that_is_not_finite_is_named_too(data):
    def root(params, x, noise, scalars):
        return torch.sqrt(params["w2"].sum() * 0.0) + 0.0 * params["w1"].sum() + 0.0 * params["b1"].sum()

    with pytest.raises(FloatingPointError, match="the gradient of the term 'loss' in 'w2' of member 0"):
        train(data, start(1), [3], loss=root)


def test_wrong_arguments_are_refused(data):
    with pytest.raises(ValueError, match="leading axis of 3 members"):
        train(data, start(2), [1, 2, 3])
    with pytest.raises(ValueError, match="record_at must lie between 0 and the 70 steps"):
        train(data, start(1), [1], record=lambda *_: [], record_at=[71])
    with pytest.raises(ValueError, match="learning_rate needs one value, or one for each of the 2 members"):
        train(data, start(2), [1, 2], Adagrad((0.1, 0.1, 0.1)))
    with pytest.raises(ValueError, match="scalar 'ridge'"):
        train(data, start(2), [1, 2], ridge=torch.zeros(3))
    with pytest.raises(ValueError, match="compile must be"):
        train(data, start(1), [1], compile="yes")
    with pytest.raises(ValueError, match="steps must be at least 1"):
        train(data, start(1), [1], steps=0)
    with pytest.raises(ValueError, match="'adagrad' or 'adam'"):
        training.make_optimiser("sgd")
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        training.make_optimiser("adam", [0.1, 0.0])
    with pytest.raises(ValueError, match="'normal', 'uniform' or 'steps'"):
        Noise("cauchy", (1,))


def test_compiled_and_eager_steps_agree(data):
    """The whole step through the compiler, optimiser included."""
    compiled = train(data, start(2), [3, 4], Adam((0.01, 0.02)), compile=True)
    if not compiled.compiled:
        pytest.skip("no compiler here")
    assert gap(compiled.params, train(data, start(2), [3, 4], Adam((0.01, 0.02))).params) < 1e-10


def test_without_a_compiler_a_sentence_and_the_same_numbers(data, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler here"):
        fitted = train(data, start(1), [3], compile=True)
    assert not fitted.compiled
    assert gap(fitted.params, train(data, start(1), [3]).params) == 0


def test_a_step_that_does_not_compile_trains_uncompiled(data):
    def reads_the_host(params, x, noise, scalars):
        torch._dynamo.graph_break()
        return loss(params, x, noise, scalars)

    with pytest.warns(UserWarning, match="compiling the step failed"):
        fitted = train(data, start(1), [3], loss=reads_the_host, compile=True)
    assert gap(fitted.params, train(data, start(1), [3]).params) == 0


def test_long_runs_compile_by_themselves():
    from elbo.training.step import BREAK_EVEN, wants_compile

    assert wants_compile("auto", BREAK_EVEN) and not wants_compile("auto", BREAK_EVEN - 1)
    assert wants_compile(True, 1) and not wants_compile(False, 10**9)


def test_devices():
    assert training.resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="use 'auto', 'cpu' or 'cuda'"):
        training.resolve_device("gpu")
    if not torch.cuda.is_available():
        assert training.resolve_device("auto").type == "cpu"
        with pytest.raises(RuntimeError, match="no CUDA device here"):
            training.resolve_device("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_captured_block_is_the_launched_one(data):
    """Whole blocks replay a graph; pausing in every block launches step by step. Same numbers."""
    params = {name: p.cuda() for name, p in start(2).items()}
    captured = train(data.cuda(), params, [3, 4])
    pauses = [at for at in range(70) if at % 20 == 10]
    launched = train(data.cuda(), params, [3, 4], record=lambda *_: [], record_at=pauses)
    assert gap(captured.params, launched.params) < 1e-10
