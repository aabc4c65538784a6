"""Training: the same weights whether or not it was killed, stopped, or shared by processes."""

from __future__ import annotations

import csv
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from torch import nn

from diverloop.decoders.ranks import join
from diverloop.decoders.training import plain_groups, train
from diverloop.decoders.training_files import checkpoints, read_mark, read_weights
from diverloop.decoders.training_plan import ParameterGroup, TrainPlan
from diverloop.runtime.errors import BundleError, ConfigError, TrainingStopped

STEPS = 12


class Toy(nn.Module):
    """Two blocks in a list, as FSDP shards them, with dropout and a running statistic."""

    def __init__(self, width=8):
        super().__init__()
        self.first = nn.Linear(4, width)
        self.blocks = nn.ModuleList([nn.Linear(width, width) for _ in range(2)])
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(width, 1)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + self.drop(torch.tanh(block(x)))
        return self.last(x)


def toy(width=8):
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        return Toy(width)


def draw(rng):
    x = torch.from_numpy(rng.standard_normal((6, 4)).astype(np.float32))
    return x, x.sum(dim=1, keepdim=True)


def loss_of(module, batch):
    x, y = batch
    error = (module(x).float() - y).square().mean()
    size = module.last(module.first(x)).abs().mean()  # a second use of parts, as readouts are
    return error + 0.01 * size, {"error": error, "size": size.item()}


def plan_of(out, **changed):
    settings = {
        "out": Path(out), "steps": STEPS, "batch": 6, "learning_rate": 0.02, "save_every_s": 0.0,
        "log_every": 2, "tensorboard": False, "device": "cpu",
    }  # fmt: skip
    return TrainPlan(**(settings | changed))


def run(out, module=None, **changed):
    module = module or toy()
    return train(module, loss_of, draw, plain_groups(module), plan_of(out, **changed))


def weights(out):
    return read_weights(checkpoints(Path(out) / "checkpoints")[0])


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def assert_close(a, b):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=1e-5, rtol=0)


def rows(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def curve(out):
    """The log, but for what the clock says."""
    clocked = ("seconds", "samples_per_s")
    return [
        {name: cell for name, cell in row.items() if name not in clocked}
        for row in rows(Path(out) / "log.csv")
    ]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("uninterrupted")
    run(out)
    return out


# --- a run in one piece ----------------------------------------------------------------------


def test_the_loss_goes_down_and_the_report_says_where_the_weights_are(tmp_path):
    module = toy()
    report = run(tmp_path, module, steps=150, save_every_s=1e6)
    losses = [float(row["loss"]) for row in rows(tmp_path / "log.csv")]
    assert losses[-1] < 0.3 * losses[0]
    assert report.steps == 150
    assert report.resumed_from == 0
    assert report.loss == pytest.approx(losses[-1], rel=1e-4)
    assert_same(read_weights(report.checkpoint), dict(module.state_dict()))


def test_the_learning_rate_rises_then_follows_a_cosine_to_its_floor(tmp_path):
    plan = plan_of(tmp_path, steps=1000, warmup=0.1, floor=0.01)
    rates = np.array([plan.rate_at(step) for step in range(1000)])
    assert (np.diff(rates[:100]) > 0).all()
    assert (np.diff(rates[100:]) < 0).all()
    assert rates[100] == pytest.approx(1.0)
    assert rates[550] == pytest.approx(0.505, abs=0.01)
    assert rates[-1] == pytest.approx(0.01)
    assert rates.min() > 0


def test_the_log_has_a_row_every_few_steps_with_every_part_of_the_loss(uninterrupted):
    found = rows(uninterrupted / "log.csv")
    assert list(found[0]) == [
        "step", "seconds", "loss", "error", "size", "lr", "grad_norm", "samples_per_s",
    ]  # fmt: skip
    assert [int(row["step"]) for row in found] == [2, 4, 6, 8, 10, 12]
    assert all(float(row["samples_per_s"]) > 0 for row in found)


def test_progress_is_told_after_every_step(tmp_path):
    told = []
    module = toy()
    train(module, loss_of, draw, plain_groups(module), plan_of(tmp_path, steps=3),
          lambda text, done, of: told.append((text.split()[0], done, of)))  # fmt: skip
    assert told == [("loss", 1, 3), ("loss", 2, 3), ("loss", 3, 3)]


def test_validation_sees_an_evaluating_module_without_gradients(tmp_path):
    seen = []

    def validate(module):
        seen.append((module.training, torch.is_grad_enabled()))
        return {"score": float(len(seen))}

    module = toy()
    report = train(module, loss_of, draw, plain_groups(module),
                   plan_of(tmp_path, steps=7, validate_every=3), None, validate)  # fmt: skip
    assert seen == [(False, False)] * 3
    assert module.training
    assert [row["step"] for row in rows(tmp_path / "validation.csv")] == ["3", "6", "7"]
    assert report.validation == {"score": 3.0}


def test_validation_does_not_change_what_is_learnt(tmp_path, uninterrupted):
    module = toy()
    train(module, loss_of, draw, plain_groups(module), plan_of(tmp_path, validate_every=1), None,
          lambda module: {"noise": float(torch.rand(1))})  # fmt: skip
    assert_same(weights(tmp_path), weights(uninterrupted))


def test_drawing_ahead_in_threads_changes_nothing(tmp_path, uninterrupted):
    run(tmp_path, read_ahead=2)
    assert_same(weights(tmp_path), weights(uninterrupted))


def test_torch_draws_on_as_if_nothing_had_been_trained(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(tmp_path, steps=2)
    assert torch.equal(torch.rand(3), expected)


def test_bfloat16_learns_and_keeps_the_weights_in_float32(tmp_path):
    report = run(tmp_path, steps=100, precision="bf16", save_every_s=1e6)
    losses = [float(row["loss"]) for row in rows(tmp_path / "log.csv")]
    assert losses[-1] < 0.5 * losses[0]
    assert {value.dtype for value in read_weights(report.checkpoint).values()} == {torch.float32}


def test_a_group_has_its_own_learning_rate_and_decay(tmp_path):
    module, before = toy(), toy()
    groups = [
        ParameterGroup(names=tuple(name for name, _ in module.named_parameters() if cond(name)),
                       learning_rate=rate, weight_decay=0.0)
        for cond, rate in ((lambda n: n.startswith("first"), 0.0),
                           (lambda n: not n.startswith("first"), 1.0))
    ]  # fmt: skip
    train(module, loss_of, draw, groups, plan_of(tmp_path, steps=2))
    assert torch.equal(module.first.weight, before.first.weight)
    assert not torch.equal(module.last.weight, before.last.weight)


# --- killed, stopped, gone on with -------------------------------------------------------------


def child(*arguments):
    return [sys.executable, str(Path(__file__).resolve()), *map(str, arguments)]


@pytest.mark.parametrize("moment", ["between", "writing"])
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, uninterrupted, moment):
    with subprocess.Popen(child(moment, tmp_path), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if moment == "between" and line.strip() == "step 5":
                process.kill()
        process.wait(timeout=100)
    assert process.returncode == -signal.SIGKILL
    report = run(tmp_path)
    assert 0 < report.resumed_from < STEPS
    assert_same(weights(tmp_path), weights(uninterrupted))
    assert curve(tmp_path) == curve(uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, uninterrupted, number):
    before = signal.getsignal(number)
    n_drawn = 0

    def draw_and_signal(rng):
        nonlocal n_drawn
        n_drawn += 1
        if n_drawn == 4:
            os.kill(os.getpid(), number)
        return draw(rng)

    module = toy()
    with pytest.raises(TrainingStopped, match=r"step 4 of 12: the same command goes on from"):
        train(module, loss_of, draw_and_signal, plain_groups(module),
              plan_of(tmp_path, save_every_s=1e6))  # fmt: skip
    assert signal.getsignal(number) is before
    assert run(tmp_path, save_every_s=1e6).resumed_from == 4
    assert_same(weights(tmp_path), weights(uninterrupted))


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_lives(tmp_path):
    def draw_and_run(rng):
        with pytest.raises(ConfigError, match="Another process on this machine trains in"):
            run(tmp_path, steps=1)
        return draw(rng)

    module = toy()
    plan = plan_of(tmp_path, steps=1)
    assert train(module, loss_of, draw_and_run, plain_groups(module), plan).steps == 1


def test_checkpoints_of_an_earlier_version_are_not_begun_over(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-000000007.safetensors").write_bytes(b"a single file")
    with pytest.raises(ConfigError, match="written by an earlier version"):
        run(tmp_path)


def test_checkpoints_are_cut_into_files_of_the_wanted_size(tmp_path, uninterrupted):
    run(tmp_path, shard_bytes=100)
    newest = checkpoints(tmp_path / "checkpoints")[0]
    assert len(list(newest.glob("*.safetensors"))) > 5
    assert_same(weights(tmp_path), weights(uninterrupted))


def test_a_finished_run_is_not_run_again(uninterrupted):
    before = checkpoints(uninterrupted / "checkpoints")
    report = run(uninterrupted)
    assert report.resumed_from == report.steps == STEPS
    assert math.isnan(report.loss)
    assert checkpoints(uninterrupted / "checkpoints") == before


def test_the_two_newest_checkpoints_are_kept_and_no_part_of_one(uninterrupted):
    names = sorted(path.name for path in (uninterrupted / "checkpoints").iterdir())
    assert names == ["step-000000011", "step-000000012"]


def test_a_damaged_checkpoint_is_passed_over(tmp_path, uninterrupted):
    run(tmp_path)
    newest = checkpoints(tmp_path / "checkpoints")[0]
    (shard,) = newest.glob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-8] + bytes(8))
    with pytest.raises(BundleError, match="has been altered since it was written"):
        read_weights(newest)
    assert run(tmp_path).resumed_from == STEPS - 1
    assert_same(weights(tmp_path), weights(uninterrupted))


def test_checkpoints_that_are_all_damaged_are_refused(tmp_path):
    run(tmp_path, steps=1)
    (only,) = checkpoints(tmp_path / "checkpoints")
    (only / "index.json").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="cannot be read as a checkpoint"):
        run(tmp_path, steps=1)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"learning_rate": 0.03}, "learning_rate was 0.02, now 0.03"),
        ({"steps": 20}, "steps was 12, now 20"),
        ({"accumulate": 2}, "batches_per_step was 1, now 2"),
        ({"module": toy(16)}, r"model.first.weight was \[8, 4\], now \[16, 4\]"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(uninterrupted, changed, named):
    with pytest.raises(ConfigError, match=named):
        run(uninterrupted, **changed)


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    for data in ("a", "b"):
        module = toy()
        arguments = (module, loss_of, draw, plain_groups(module), plan_of(tmp_path, steps=1))
        if data == "a":
            train(*arguments, identity={"corpus": data})
    with pytest.raises(ConfigError, match=r"identity\.corpus was 'a', now 'b'"):
        train(*arguments, identity={"corpus": "b"})


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_loss_that_is_no_number_stops_the_run_and_spares_the_checkpoint(tmp_path, where):
    n_calls = 0

    def breaks(module, batch):
        nonlocal n_calls
        n_calls += 1
        loss, parts = loss_of(module, batch)
        if n_calls < 4:
            return loss, parts
        zero = (module.first.weight * 0).sum()
        return loss + (zero.sqrt() if where == "gradient" else math.nan), parts

    module = toy()
    with pytest.raises(TrainingStopped, match=r"At step 3 the loss is .*learning_rate below 0.02"):
        train(module, breaks, draw, plain_groups(module), plan_of(tmp_path))
    newest = checkpoints(tmp_path / "checkpoints")[0]
    assert read_mark(newest).step == 3
    assert all(value.isfinite().all() for value in read_weights(newest).values())


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0), ("batch", 0), ("accumulate", 0), ("learning_rate", 0.0),
        ("learning_rate", math.nan), ("weight_decay", -1.0), ("warmup", 1.0), ("floor", 1.5),
        ("clip_norm", 0.0), ("betas", (0.9, 1.0)), ("precision", "fp16"), ("sharding", "zero"),
        ("device", "tpu"), ("save_every_s", -1.0), ("seed", -1), ("shard_bytes", 0),
    ],
)  # fmt: skip
def test_a_plan_refuses_what_cannot_be(tmp_path, name, value):
    with pytest.raises(ConfigError, match=name):
        plan_of(tmp_path, **{name: value})


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([], "is in no group"),
        ([*plain_groups(toy()), ParameterGroup(names=("first.weight",))], "in another group too"),
        ([ParameterGroup(names=("nowhere",))], "is not in the model"),
    ],
)
def test_groups_hold_every_parameter_exactly_once(tmp_path, groups, said):
    with pytest.raises(ConfigError, match=said):
        train(toy(), loss_of, draw, groups, plan_of(tmp_path))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_asked_for_in_vain(tmp_path):
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        run(tmp_path, device="cuda")


# --- several processes -----------------------------------------------------------------------


@pytest.mark.timeout(300)  # three processes import torch, on a machine that may be busy
@pytest.mark.long
def test_two_processes_learn_what_one_learns_from_as_many_batches(tmp_path):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend",
        "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1",
        *child("processes", tmp_path)[1:],
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    run(tmp_path / "one", accumulate=4, log_every=1)
    for name in ("ddp", "fsdp"):
        assert_close(weights(tmp_path / name), weights(tmp_path / "one"))
    # The sharded run was stopped on the way, by a signal to one process, and went on.
    assert done.stdout.split() == ["stopped"] * 2
    one, two = ([float(row["loss"]) for row in rows(tmp_path / name / "log.csv")]
                for name in ("one", "fsdp"))  # fmt: skip
    assert two == pytest.approx(one, abs=1e-4)


def test_a_run_of_two_processes_goes_on_in_one(tmp_path):
    # What counts is how many batches an update sees, not who saw them.
    two = plan_of(tmp_path, accumulate=2).shaping(2)
    assert two == plan_of(tmp_path, accumulate=4, sharding="fsdp").shaping(1)


def in_processes(out):
    """What each of two processes does: a run with DDP, one with FSDP that is stopped half-way."""
    run(out / "ddp", accumulate=2)
    n_drawn = 0

    def draw_and_signal(rng):
        nonlocal n_drawn
        n_drawn += 1
        if n_drawn == 10 and ranks.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(rng)

    ranks = join("cpu")
    plan = plan_of(out / "fsdp", accumulate=2, sharding="fsdp", save_every_s=1e6, log_every=1)
    module = toy()
    try:
        train(module, loss_of, draw_and_signal, plain_groups(module), plan)
    except TrainingStopped:
        sys.stdout.write("stopped\n")
    report = run(out / "fsdp", accumulate=2, sharding="fsdp", save_every_s=1e6, log_every=1)
    assert report.resumed_from == 5


def killed(moment, out):
    """A run that says where it is, and kills itself while it writes a checkpoint if so asked."""
    n_written = 0
    replace = os.replace

    def replace_or_die(*paths):
        nonlocal n_written
        n_written += 1
        if n_written == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    if moment == "writing":
        os.replace = replace_or_die
    module = toy()

    def say(_text, done, _of):
        sys.stdout.write(f"step {done}\n")
        sys.stdout.flush()
        if done == 6 and moment == "between":
            signal.pause()  # the kill is on its way; without it the run would be over first

    train(module, loss_of, draw, plain_groups(module), plan_of(out), say)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "processes":
        in_processes(Path(sys.argv[2]))
    else:
        killed(sys.argv[1], Path(sys.argv[2]))
