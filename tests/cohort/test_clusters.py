"""Workers: as many as memory allows, from a scheduler that answers, or from SLURM."""

from __future__ import annotations

import gc
import os
import socket
import warnings

import pytest

from diverloop.cohort import clusters
from diverloop.cohort.clusters import (
    ClusterConfig,
    SlurmConfig,
    open_client,
    share_memory,
    slurm_cluster,
)
from diverloop.runtime.errors import ConfigError

GB = 10**9


@pytest.mark.parametrize(
    ("asked", "cores", "largest", "workers"),
    [(0, 8, GB, 8), (0, 8, 4 * GB, 4), (0, 8, 40 * GB, 1), (6, 8, 4 * GB, 6), (0, 1, 0, 1)],
)
def test_there_are_as_many_workers_as_have_room_for_the_largest_item(
    asked, cores, largest, workers
):
    assert share_memory(asked, cores, 16 * GB, largest) == (workers, 16 * GB // workers)


def test_settings_of_slurm_are_read_as_they_are_typed():
    texts = ["queue=cpu", "cores=4", "memory=16GB", "directives=--a=1", "directives=--b"]
    config = SlurmConfig.parse(texts)
    assert (config.queue, config.cores, config.memory) == ("cpu", 4, "16GB")
    assert config.directives == ("--a=1", "--b")


@pytest.mark.parametrize(
    ("texts", "words"),
    [(["partition=x"], "no setting of SLURM"), (["queue"], "NAME=VALUE"), (["cores=two"], "whole")],
)
def test_what_is_no_setting_of_slurm_is_refused(texts, words):
    with pytest.raises(ConfigError, match=words):
        SlurmConfig.parse(texts)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"workers": -1}, "0 or more"),
        ({"scheduler": "host:8786"}, "tcp://HOST:PORT"),
        ({"scheduler": "tcp://h:1", "slurm": SlurmConfig()}, "choose one"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        ClusterConfig(**settings)


def test_slurm_is_asked_for_what_was_typed_over_encrypted_connections(tmp_path):
    pytest.importorskip("dask_jobqueue")
    config = SlurmConfig.parse(
        ["queue=cpu", "account=lab", "cores=4", "memory=16GB", "walltime=02:00:00",
         "directives=--constraint=avx", f"shared={tmp_path}"]
    )  # fmt: skip
    with slurm_cluster(config) as cluster:
        script = cluster.job_script()
    for line in ("-p cpu", "-A lab", "--cpus-per-task=4", "-t 02:00:00", "--constraint=avx"):
        assert f"#SBATCH {line}\n" in script
    assert "#SBATCH --mem=15G" in script  # 16 GB are 15 of SLURM's
    assert "--nthreads 1" in script
    assert "--nworkers 4" in script
    assert "tls://" in script
    assert str(tmp_path) in script


SBATCH = """#!/bin/sh
# Takes a script and runs it in the background, in a session of its own, as a node would.
[ -r "$1" ] || { echo "sbatch: error: Unable to open file $1" >&2; exit 1; }
cp "$1" "{folder}/submitted" && setsid sh "{folder}/submitted" >"{folder}/job.log" 2>&1 &
echo $! >"{folder}/$!.job"
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
[ -e "{folder}/$1.job" ] || { echo "scancel: error: Invalid job id $1" >&2; exit 1; }
mv "{folder}/$1.job" "{folder}/$1.cancelled"
kill -TERM -- "-$1"
"""


# dask-jobqueue leaves the files of its certificates to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_jobs_of_a_stand_in_for_slurm_do_the_work_and_are_cancelled_at_the_end(
    tmp_path, monkeypatch
):
    pytest.importorskip("dask_jobqueue")
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / name).write_text(text.replace("{folder}", str(tmp_path)))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    slurm = SlurmConfig.parse(["queue=cpu", "memory=1GB", "interface=lo", f"shared={tmp_path}"])
    with open_client(ClusterConfig(slurm=slurm, workers=1)) as client:
        worker = client.submit(os.getpid).result(timeout=60)
        assert client.submit(abs, -2).result(timeout=10) == 2
    assert worker != os.getpid()
    assert "#SBATCH -p cpu\n" in (tmp_path / "submitted").read_text()
    assert [path.suffix for path in tmp_path.glob("[0-9]*")] == [".cancelled"]
    del client
    gc.collect()


def test_a_scheduler_that_does_not_answer_is_told_in_one_sentence(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(clusters, "_CONNECT_S", 0.3)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        config = ClusterConfig(scheduler=f"tcp://127.0.0.1:{bound.getsockname()[1]}")
        with (
            warnings.catch_warnings(),
            pytest.raises(ConfigError, match="No Dask scheduler answers"),
            open_client(config),
        ):
            pass


def test_work_goes_to_a_scheduler_that_runs_already():
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp",
        host="127.0.0.1", dashboard_address="127.0.0.1:0",
    )  # fmt: skip
    with cluster, open_client(ClusterConfig(scheduler=cluster.scheduler_address)) as client:
        assert client.submit(abs, -2).result() == 2


def test_without_dask_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(clusters, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"diverloop\[cohort\]"), open_client(ClusterConfig()):
        pass
    with pytest.raises(ConfigError, match=r"diverloop\[cluster\]"):
        slurm_cluster(SlurmConfig())
