"""What was typed may stand for other settings; what comes from files and names never does."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

import geospot_gpu as gs
from geospot_gpu.config import objects, overrides, settings
from geospot_gpu.config.overrides import keep_text, literal
from geospot_gpu.errors import GeospotError
from tests.helpers.commands import Geospot

BASE = ("points=table", "points.region=region", "encoder=none", "regions.min_points=1")
NAME = "${oc.env:SECRET}"
TEXTS = st.one_of(
    st.text(),
    st.text("ab${}\\'\",:[]() \n\t\0."),
    st.lists(st.sampled_from(["${", "}", "\\", "$", "oc.env:HOME", "'", '"', "a"])).map("".join),
)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SECRET", "hunter2")
    return "hunter2"


def write_points(path: Path, *names: str) -> None:
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"region": list(names) * 5})
    table["lon"], table["lat"] = generator.uniform(0, 50, (2, len(table)))
    table.to_csv(path, index=False)


@given(TEXTS)
@example("\\${a}")
@example("\\\\\\${")
def test_a_literal_stands_for_itself(text: str) -> None:
    if text != "???":  # which is what OmegaConf calls missing
        config = OmegaConf.create({"text": literal(text)})
        assert config.text == text
        assert OmegaConf.to_container(config, resolve=True) == {"text": text}


@given(TEXTS)
@example("\\${a}")
def test_any_name_can_be_typed(text: str) -> None:
    typed = QuotedString(literal(text), Quote.single).with_quotes()
    for setting in (f"target={typed}", f"target=[{typed}]"):
        parsed = OverridesParser.create().parse_override(keep_text(setting, {"target"})).value()
        found = OmegaConf.create({"target": parsed})
        if text != "???":
            assert OmegaConf.to_container(found, resolve=True) in (
                {"target": text},
                {"target": [text]},
            )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (r"\${b}", "${b}"),
        (r"a\${oc.env:SECRET}.csv", "a${oc.env:SECRET}.csv"),
        (r"\\\${b}", "\\${b}"),
        (r"[\${b},x]", ["${b}", "x"]),
        (r"{\${b}:2}", [["${b}", 2]]),
        ("${other}", "there"),
        ("[${other},x]", ["there", "x"]),
        (r"\\${other}", "\\there"),
        (r"\${b} ${other}", "${b} there"),
    ],
)
def test_a_backslash_makes_it_part_of_a_name(typed: str, meant: object) -> None:
    setting = keep_text(f"target={typed}", {"target"})
    parsed = OverridesParser.create().parse_override(setting).value()
    found = OmegaConf.create({"target": parsed, "other": "there"})
    assert OmegaConf.to_container(found, resolve=True) == {"target": meant, "other": "there"}


CONFIG: dict[str, Any] = {
    "out": "o",
    "device": "cpu",
    "points": {"source": "table", "path": "p.csv", "region": "region"},
    "against": {},
    "regions": {"min_points": 1, "exclude": [], "include": None},
    "encoder": {"name": "none"},
    "cost": {"geo_scale": 20015},
    "solver": {"name": "sinkhorn", "epsilon": 0.01, "tolerance": 1e-3, "max_iterations": 10},
}


def changed(key: str, value: object) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    *groups, name = key.split("/")
    group = config
    for one in groups:
        group = group[one]
    group[name] = value
    return config


@given(TEXTS, st.lists(TEXTS))
@example("???", ["???"])
def test_text_of_a_manifest_is_text(text: str, names: list[str]) -> None:
    config = json.loads(json.dumps(changed("points/path", text)))
    config["regions"]["exclude"] = names
    config["regions"]["include"] = names
    found = settings.of_manifest(config, "manifest.json")
    assert (found.points.path, found.regions.exclude, found.regions.include) == (text, names, names)
    assert found.cost.geo_scale == 20015.0
    assert isinstance(found.cost.geo_scale, float)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("points/path", 7, "config.points.path must be text"),
        ("points/path", {"_target_": "os.system"}, "config.points.path must be text"),
        ("points", "${regions}", "config.points must be a group of settings"),
        ("points/_target_", "os.system", "config.points has no setting '_target_'"),
        ("hydra", {"run": {"dir": "/"}}, "config has no setting 'hydra'"),
        ("\x1b[2J", 1, r"config has no setting '\x1b[2J'"),
        ("encoder", {"name": "evil"}, "config.encoder.name must be one of geoclip, precomputed"),
        ("encoder", {"name": ["none"]}, "config.encoder.name must be one of geoclip"),
        ("encoder", ["none"], "config.encoder.name must be one of geoclip"),
        ("solver/max_iterations", 1e3, "must be a whole number"),
        ("solver/max_iterations", True, "must be a whole number"),
        ("solver/epsilon", "0.1", "config.solver.epsilon must be a numb"),
        ("solver/relaxation", 1, "relaxation must be true or false"),
        (
            "solver",
            {"name": "geomloss", "relaxation": True},
            "config.solver has no setting 'relaxation'",
        ),
        ("regions/min_points", 10**400, "config.regions.min_points must be a number of usual"),
        ("regions/min_points", 2**60, "regions.min_points=1152921504606846976 is too large"),
        ("regions/degrees", float("nan"), "config.regions.degrees must be a number of usual"),
        ("regions/degrees", 10**400, "config.regions.degrees must be a number of usual"),
        ("regions/exclude", "A", "config.regions.exclude must be a list"),
        ("regions/exclude", ["A", 7], "config.regions.exclude[1] must be text"),
        ("regions/exclude", None, "config.regions.exclude must be a list"),
        ("cost", None, "config.cost must be a group of settings"),
    ],
)
def test_a_crafted_manifest_is_one_line(key: str, value: object, message: str) -> None:
    with pytest.raises(GeospotError) as raised:
        settings.of_manifest(changed(key, value), "m.json")
    said = str(raised.value)
    assert said.startswith("m.json: ")
    assert message in said
    assert said.endswith(": run geospot sweep again in a new folder")


def test_a_manifest_does_not_say_where_to_write() -> None:
    geoclip = {"name": "geoclip", "cache": "/somebody/else"}
    assert settings.of_manifest(changed("encoder", geoclip), "m.json").encoder.cache is None


def test_a_path_in_a_manifest_is_no_interpolation(tmp_path: Path) -> None:
    found = settings.of_manifest(changed("points/path", f"{tmp_path}/{NAME}.csv"), "m.json")
    with pytest.raises(GeospotError, match=r"\$\{oc\.env:SECRET\}\.csv: .*no such file"):
        objects.make_regions(found, objects.make_encoder(found), "cpu")


@pytest.mark.slow
def test_files_and_regions_that_look_like_interpolations(
    geospot_here: Geospot, tmp_path: Path
) -> None:
    """A literal is written in one way, and works in every later command."""
    names = [NAME, "B", "C", "D"]
    write_points(tmp_path / f"{NAME}.csv", *names)
    scores = [
        (a, b, 0.9 - 0.1 * abs(i - j)) for i, a in enumerate(names) for j, b in enumerate(names)
    ]
    table = pd.DataFrame(scores, columns=["source", "target", "score"])
    table.to_csv(tmp_path / f"s{NAME}.csv", index=False)
    typed = NAME.replace("$", "\\$")
    own = [*BASE, f"points.path={typed}.csv"]
    said = [
        geospot_here("sweep", *own, f"out=run{typed}"),
        geospot_here("sweep", *own, "-m", "out=grid", f"regions.exclude=[{typed}],[B]"),
        geospot_here("nearest", *own, f"target={typed}", "k=2", f"out=near{typed}"),
    ]
    of = f"sweep=run{typed}"
    score = (f"scores=s{typed}.csv", "scores.kind=accuracy")
    said += [
        geospot_here("transfer", of, *score, f"out=t{typed}"),
        geospot_here("explain", of, f"source={typed}", "target=B", f"out=e{typed}"),
        geospot_here("select", of, f"target={{{typed}:2,B:1}}", "budget=9", f"out=s{typed}"),
        geospot_here("select", of, f"target=[{typed}]", "budget=9", "over=points", "out=p"),
    ]
    for done in said:
        assert done.returncode == 0, done.stderr
        assert "hunter2" not in done.stdout + done.stderr
    assert said[4].stdout.startswith(f"{NAME} - B: divergence")
    assert gs.open_run(tmp_path / f"run{NAME}").source.values.tolist() == sorted(names)
    folders = sorted(path.name for path in (tmp_path / "grid").iterdir() if path.is_dir())
    assert folders == [f"regions.exclude=['{NAME}']", "regions.exclude=[B]"]
    assert not list(tmp_path.glob("*hunter2*"))


def test_a_folder_that_looks_like_an_interpolation(geospot_here: Geospot, tmp_path: Path) -> None:
    inside = tmp_path / NAME
    inside.mkdir()
    write_points(inside / "points.csv", "A", "B", "C")
    path = "points.path=points.csv"
    by_folder = "points.path=${hydra:runtime.cwd}/points.csv"
    said = [
        geospot_here("sweep", *BASE, path, "out=run", folder=inside),
        geospot_here("sweep", *BASE, by_folder, "out=here", folder=inside),
        geospot_here("sweep", *BASE, path, "-m", "out=m", "regions.exclude=[A],[B]", folder=inside),
    ]
    for done in said:
        assert done.returncode == 0, done.stderr
        assert "hunter2" not in done.stdout + done.stderr
    assert sorted(path.name for path in inside.iterdir()) == ["here", "m", "points.csv", "run"]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert len(gs.open_run(inside / "m" / "regions.exclude=[A]").source) == 2
    manifest = json.loads((inside / "run" / "manifest.json").read_text())
    assert manifest["config"]["points"]["path"] == str(inside / "points.csv")


def test_variables_are_for_those_who_type_them(
    geospot_here: Geospot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_points(tmp_path / "points.csv", "A", "B")
    write_points(tmp_path / f"{NAME}.csv", "A", "B")
    monkeypatch.setenv("TABLE", "points.csv")
    monkeypatch.setenv("ODD", f"{NAME}.csv")  # what a variable holds is the name of a file, no more
    for variable in ("TABLE", "ODD"):
        path = f"points.path=${{oc.env:{variable}}}"
        done = geospot_here("sweep", *BASE, path, f"out={variable}")
        assert done.returncode == 0, done.stderr
    assert overrides.environment(["out=${oc.env:SECRET}"])("SECRET") == "hunter2"
    with pytest.raises(GeospotError, match="are for the command line alone"):
        overrides.environment(["out=o"])("SECRET")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("${b}.csv", r"points.path: ${...} cannot be filled in (Interpolation key 'b' not found)"),
        ("${oc.env:NOPE}", "points.path: ${...} cannot be filled in (KeyError raised while"),
        ("${nope:1}", "points.path: ${...} cannot be filled in (Unsupported interpolation type"),
        ("${points.path}", "points.path: ${...} cannot be filled in (Recursive interpolation"),
        ('"${b"', "a value has ${ and cannot be read: close it with }"),
        ("${b", "cannot read 'points.path=${b' as key=value: quote a value"),
    ],
)
def test_what_cannot_be_filled_in_says_how_to_write_a_name(
    geospot_here: Geospot, typed: str, message: str
) -> None:
    done = geospot_here("sweep", *BASE, f"points.path={typed}", "out=o")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.endswith("write \\${ where ${ is part of a name\n")
    assert done.stderr.count("\n") == 1
