"""Several processes train as one would: the same samples and losses, one that writes, and an end of one is told."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from magicpoint.cli import main
from magicpoint.core.types import Labels
from magicpoint.io.images import write_png
from magicpoint.io.labels import LABELS
from magicpoint.io.records import write_records
from magicpoint.training.distributed import Processes, in_any, over_all
from magicpoint.training.state import load_state
from magicpoint.training.synchronised_norm import SynchronisedBatchNorm, synchronise_batch_norm
from magicpoint.training.tasks.base import open_task

RANKS = Path(__file__).parent / "ranks.py"
ONE = Processes(0, 1, torch.device("cpu"))

pytestmark = pytest.mark.skipif(os.name == "nt", reason="torchrun on Windows has another store")


def torchrun(*words, options=("--standalone", "--nproc-per-node", "2"), **environment):
    command = [sys.executable, "-m", "torch.distributed.run", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(
        [*command, str(RANKS), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.fixture(scope="module")
def ranks():
    spec = importlib.util.spec_from_file_location("ranks", RANKS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_process_is_as_if_there_were_no_others():
    assert ONE.from_first(lambda: 3) == 3
    assert ONE.agree({"loss": 0.1}, True) == ({"loss": 0.1}, True)
    network = nn.Linear(2, 2)
    assert ONE.wrap(network, sync_batch_norm=False) is network
    assert over_all(torch.tensor(3.0), 7) == 3.0
    assert [in_any(holds, ONE.device) for holds in (True, False)] == [True, False]
    error = RuntimeError("Connection closed by peer")
    assert ONE.explain(error, 3) is error


@pytest.mark.parametrize("momentum", [0.1, None])
def test_synchronised_batch_norm_of_one_process_is_batch_norm(momentum):
    torch.manual_seed(0)
    plain, own = (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, 1e-3, momentum)).double() for _ in range(2))
    own.load_state_dict(plain.state_dict())
    before = dict(own.named_parameters())
    assert synchronise_batch_norm(own) is own
    assert isinstance(own[1], SynchronisedBatchNorm)
    assert all(parameter is before[name] for name, parameter in own.named_parameters())
    for _ in range(2):
        image = torch.rand(3, 1, 6, 8, dtype=torch.float64) + 100
        results = [network(image) for network in (plain, own)]
        assert torch.allclose(*results, atol=1e-9)
        for result in results:
            (result**3).mean().backward()
    for (name, value), other in zip(plain.named_parameters(), own.parameters(), strict=True):
        assert torch.allclose(value.grad, other.grad, atol=1e-9), name
    assert all(torch.allclose(plain.state_dict()[name], value, atol=1e-9) for name, value in own.state_dict().items())
    assert torch.equal(own.eval()(image), nn.BatchNorm2d.forward(own[1], own[0](image)))


@pytest.fixture
def labelled(tmp_path):
    """Twelve images with labels, and the words to train on them."""
    records = {}
    for number in range(12):
        noise = np.random.default_rng(number)
        write_png(tmp_path / "images" / f"{number}.png", noise.integers(0, 256, (64, 80), np.uint8))
        points = torch.from_numpy(noise.uniform(8, 56, (6, 2)).astype(np.float32))
        mask = torch.ones(64, 80, dtype=torch.bool)
        records[f"{number}.png"] = Labels(points, torch.full((6,), 0.5), None, (80, 64), mask)
    write_records(tmp_path / "labels.h5", LABELS, records)
    words = ["--task", "superpoint", "--images", tmp_path / "images", "--labels", tmp_path / "labels.h5"]
    words += ["--model.width", "0.125", "--model.descriptor_dim", "16", "--views.size_hw", "48x64", "--workers", "0"]
    words += ["--batch_size", "4", "--accumulate", "2", "--log_every", "1", "--checkpoint_every", "3", "--quiet"]
    words += ["--warmup_steps", "2", "--validate_every", "100000"]
    return list(map(str, words))


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_with_the_whole_batch(ranks, labelled, tmp_path):
    process = torchrun("losses", tmp_path)
    alone = ranks.all_losses(tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert told[0] == told[1]
    for several, one in zip(told[0], alone, strict=True):
        assert several["fault"] == one["fault"]
        assert one["fault"] is not None
    differences = [
        (np.abs(np.subtract(several["losses"], one["losses"])) / np.maximum(1, np.abs(one["losses"]))).max()
        for several, one in zip(told[0], alone, strict=True)
    ]
    assert differences[0] < 1e-7  # 20 steps in float64
    # Descriptors, the matcher and quadrilaterals are float32; without AVX-512 quadrilaterals were 0.0015 apart.
    limit = 1e-5 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 1e-2
    assert max(differences[1:]) < limit


def test_of_the_steps_on_quadrilaterals_one_has_objects_for_one_process_alone(ranks):
    settings = ranks.quads()
    batches = open_task(settings.task, settings).batches(0, 1)
    assert [batches[step].counts.tolist() for step in range(3)] == [[1, 1], [0, 0], [1, 0]]


def wait_for(condition, process):
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def steps_of(out):
    path = out / "last.state"
    return load_state(path)["step"] if path.exists() else 0


@pytest.mark.slow
def test_a_killed_process_is_named_and_the_run_goes_on_from_its_checkpoint(labelled, tmp_path):
    out = tmp_path / "run"
    words = ["train", tmp_path, out, *labelled, "--steps", "100000"]
    process = torchrun(*words, options=["--standalone", "--nproc-per-node", "2", "--max-restarts", "1"])
    try:
        reached = 0
        for restart in range(2):
            wait_for(lambda before=reached: steps_of(out) > before, process)
            killed, reached = time.monotonic(), steps_of(out)
            os.kill(int((tmp_path / f"pid-1-{restart}").read_text()), signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert time.monotonic() - killed < 60
    finally:
        process.kill()
    assert process.returncode == 1
    named = re.findall(r"magicpoint: process 1 \(of 0 to 1\) has ended or cannot be reached in step \d+", errors)
    assert len(named) == 2
    state = load_state(out / "last.state")
    settings = json.loads(state["settings"])
    assert state["step"] >= reached > 0
    assert state["step"] % 3 == 0
    assert settings["precision"] in ("float32", "bfloat16")
    # One process goes on where two were, and does not measure the number format again.
    assert main(["train", str(out), "--resume", "--steps", str(state["step"] + 2), "--quiet"]) == 0
    assert json.loads(load_state(out / "last.state")["settings"])["precision"] == settings["precision"]
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    trained = [line["step"] for line in lines if line["kind"] == "train"]
    assert trained == list(range(1, state["step"] + 3))


def parent_of(pid):
    return int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(pid)]))


def wait_for_steps(out, process, more=1):
    reached = steps_of(out)
    wait_for(lambda: steps_of(out) >= reached + more, process)


@pytest.mark.slow
def test_a_run_goes_on_with_the_machines_that_are_there(labelled, tmp_path):
    """Two launchers in place of two machines: one begins, the other comes, and is gone."""
    out, options = tmp_path / "run", ["--nnodes", "1:2", "--rdzv-backend", "c10d", "--rdzv-id", "job"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        options += ["--rdzv-endpoint", f"127.0.0.1:{free.getsockname()[1]}", "--rdzv-conf", "last_call_timeout=1"]
    options += ["--max-restarts", "1"]
    words = ["train", tmp_path, out, *labelled, "--steps", "100000"]
    # Otherwise torchrun tells a machine that is no longer the first an address of before (torch 2.13).
    shares = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    machines = [torchrun(*words, options=options, **shares)]
    try:
        wait_for_steps(out, machines[0])
        machines.append(torchrun(*words, options=options, **shares))
        wait_for((tmp_path / "pid-1-0").exists, machines[1])
        wait_for_steps(out, machines[0], more=4)
        workers = [int((tmp_path / f"pid-{rank}-0").read_text()) for rank in range(2)]
        [gone] = [pid for pid in workers if parent_of(pid) == machines[1].pid]
        machines[1].kill()
        os.kill(gone, signal.SIGKILL)
        wait_for(lambda: any((tmp_path / f"pid-{rank}-1").exists() for rank in range(2)), machines[0])
        wait_for_steps(out, machines[0])
        machines[0].terminate()
        _, errors = machines[0].communicate(timeout=60)
    finally:
        for process in machines:
            process.kill()
            process.communicate(timeout=60)
    assert re.search(r"magicpoint: process [01] \(of 0 to 1\) has ended or cannot be reached in step \d+", errors)
