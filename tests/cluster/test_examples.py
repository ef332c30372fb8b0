"""The examples for SLURM and Kubernetes do what they say."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.folders import ROOT

EXAMPLES = ROOT / "examples" / "cluster"
LONG = 60.0

SCONTROL = """#!/usr/bin/env bash
[[ "$*" == "show hostnames node[1-3]" ]] && printf '%s\\n' node1 node2 node3
"""

SRUN = """#!{python}
# The nodes that are asked for are processes of this machine.
import itertools, os, signal, subprocess, sys

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends its steps, as srun does

given = list(itertools.takewhile(lambda word: word.startswith("--"), sys.argv[1:]))
options = dict(word[2:].partition("=")[::2] for word in given)
command = sys.argv[1 + len(given) :]
asked = options.get("nodelist", "node1,node2,node3").split(",")
nodes = [node for node in asked if node not in options.get("exclude", "").split(",")]
assert len(nodes) == int(options["nodes"]) and options["ntasks-per-node"] == "1", options
with open(os.environ["STEPS"], "a") as steps:
    steps.write(" ".join(nodes) + ": " + " ".join(command) + "\\n")
running = [subprocess.Popen(command) for _ in nodes]
try:
    sys.exit(max(one.wait() for one in running))
finally:
    for one in running:
        one.terminate()
    for one in running:
        one.wait()
"""

HOSTNAME = """#!/usr/bin/env bash
echo 127.0.0.1
"""

RAY = """#!{python}
# In the place of Ray: a head that answers, and nodes that find it, until they are ended.
import os, signal, socket, sys

options = dict(word[2:].partition("=")[::2] for word in sys.argv[2:])
assert len(os.environ["RAY_AUTH_TOKEN"]) == 64 and "block" in options, options
if "head" in options:
    server = socket.create_server((options["node-ip-address"], int(options["port"])))
else:
    host, _, port = options["address"].partition(":")
    socket.create_connection((host, int(port)), 10)
    with open(os.environ["JOINED"], "a") as joined:
        joined.write("joined\\n")
signal.pause()
"""

GEOSPOT = """#!{python}
# In the place of geospot: waits for two nodes beside the head.
import os, sys, time
from pathlib import Path

assert sys.argv[1:] == ["sweep", "engine=ray", "out=a b"], sys.argv
joined = Path(os.environ["JOINED"])
while not joined.exists() or len(joined.read_text().splitlines()) < 2:
    time.sleep(0.05)
print("sweeping on", os.environ["RAY_ADDRESS"].partition(":")[0])
sys.exit(3)
"""


def test_the_batch_script_starts_ray_on_all_nodes_and_ends_it(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    stubs = {"scontrol": SCONTROL, "srun": SRUN, "hostname": HOSTNAME}
    for name, text in (stubs | {"ray": RAY, "geospot": GEOSPOT}).items():
        stub = tmp_path / "bin" / name
        stub.write_text(text.replace("{python}", sys.executable))
        stub.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "node[1-3]",
        "SLURM_CPUS_PER_TASK": "1",
        "STEPS": str(tmp_path / "steps"),
        "JOINED": str(tmp_path / "joined"),
    }
    script = subprocess.Popen(
        [str(EXAMPLES / "slurm.sh"), "out=a b"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = script.communicate(timeout=LONG)
    finally:
        group = subprocess.run(["pgrep", "--session", str(script.pid)], capture_output=True).stdout
        for pid in group.split():
            os.kill(int(pid), signal.SIGKILL)
    assert out == "sweeping on 127.0.0.1\n", err
    assert script.returncode == 3, "that of geospot"
    steps = (tmp_path / "steps").read_text().splitlines()
    assert [re.sub(r":\d{5}", ":PORT", step.split(" --node-ip")[0]) for step in sorted(steps)] == [
        "node1: ray start --head",
        "node2 node3: ray start --address=127.0.0.1:PORT --num-cpus=1 --num-gpus=0 --block",
    ]
    assert not group.split(), "nothing is left running"


def test_the_ray_job_is_one() -> None:
    job: dict[str, Any] = yaml.safe_load((EXAMPLES / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert spec["entrypoint"].startswith("geospot sweep engine=ray out=/runs/")
    cluster = spec["rayClusterSpec"]
    pinned = (ROOT / "constraints-cpu.txt").read_text().split()
    assert f"ray=={cluster['rayVersion']}" in pinned
    assert cluster["authOptions"] == {"mode": "token"}
    head = cluster["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    (group,) = cluster["workerGroupSpecs"]
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    images = set()
    for pods in (head, group):
        pod = pods["template"]["spec"]
        (container,) = pod["containers"]
        images.add(container["image"])
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }
        assert container["resources"]["requests"] == container["resources"]["limits"]
    assert len(images) == 1, "the same versions everywhere"
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] >= 1
    assert int(limits["cpu"]) >= limits["nvidia.com/gpu"], "a core for each GPU"
