"""Many jobs to files: the same bytes whatever happens on the way."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato.app import batch
from sfumato.app.batch_jobs import Line, Shard, parse_seeds, parse_shard, read_lines
from sfumato.app.executor import submit
from sfumato.app.jobs import Generate
from sfumato.app.provenance import read_provenance
from sfumato.backends.network import NetworkDenoiser
from sfumato.backends.registry import load
from sfumato.core.estimates import Sum
from sfumato.errors import SfumatoError, UsageError
from sfumato.files import locked
from sfumato.models.text_unet import TextUNetConfig
from sfumato.models.weights import load_weights, save_weights
from sfumato.training.recipe import load_recipe

FEW = ("--steps", "3")


def content(folder: Path) -> dict[str, bytes]:
    """Every file in a folder; nothing of it is hidden but the locks."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if not name.endswith(".lock")}


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob("??/*.png"))


def index(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


@pytest.fixture
def jobs(tmp_path, drawing, mask):
    """Jobs of several kinds: such that go together and such that do not."""
    return write(
        tmp_path / "jobs.jsonl",
        {"kind": "generate", "prompt": "3"},
        {"kind": "generate", "prompt": "8", "guidance": 5, "negative": "4"},
        {"kind": "generate", "prompt": "1", "guidance": 1},
        {"kind": "generate", "prompt": "1", "sampler": "ddim"},
        {"kind": "edit", "image": drawing.name, "begin": 1, "prompt": "0", "steps": 4},
        {"kind": "edit", "image": drawing.name, "begin": 2, "prompt": "0", "steps": 4},
        {"kind": "inpaint", "image": drawing.name, "mask": mask.name, "prompt": "6", "steps": 3},
        {"kind": "denoise", "image": drawing.name, "t": 75, "method": "one-step"},
        {"kind": "anagram", "readings": [{"prompt": "6"}, {"prompt": "9", "view": "rotate:180"}]},
        {"kind": "hybrid", "far": "0", "near": "3"},
        {"kind": "hybrid", "far": "8", "near": "3"},
    )


@pytest.fixture
def run(sfumato, tiny_model):
    """Run a batch that should go well."""

    def run(jobs, out, *more, model=tiny_model):
        done = sfumato("batch", jobs, "--model", model, *FEW, "-o", out, "--json", *more)
        assert done.code == 0, done.err
        return json.loads(done.out)

    return run


@pytest.fixture
def coarse(monkeypatch):
    """Arithmetic that depends on how many rows go together, as it does in the last bits, for all to see."""
    output, combine = NetworkDenoiser._output, Sum.combine

    def coarse_output(self, x, *more):
        return output(self, x, *more) * (1 + len(x) / 100)

    def coarse_sum(self, x, *more):
        estimate = combine(self, x, *more)
        return replace(estimate, eps=estimate.eps * (1 + len(x) / 100))

    monkeypatch.setattr(NetworkDenoiser, "_output", coarse_output)
    monkeypatch.setattr(Sum, "combine", coarse_sum)


# What comes of it


def test_each_job_with_each_seed_is_a_picture_that_carries_its_job(run, jobs, tmp_path):
    told = run(jobs, tmp_path / "out", "--seeds", "0-2,7")
    assert (told["jobs"], told["made"], told["there"], told["failed"]) == (44, 44, 0, 0)
    rows = index(tmp_path / "out")
    assert [row["file"] for row in rows] == [str(p.relative_to(tmp_path / "out")) for p in pictures(tmp_path / "out")]
    assert {row["job"]["seed"] for row in rows} == {0, 1, 2, 7}
    for row in rows:
        facts = read_provenance(tmp_path / "out" / row["file"])
        assert facts["models"] == row["models"]
        for name, value in row["job"].items():
            given = facts["job"][name]
            assert (given if not isinstance(value, dict) else given["name"]) == (
                value if not isinstance(value, dict) else value["name"]
            )
        assert row["file"].startswith(f"{row['file'][:2]}/{row['job']['kind']}-")
    assert set(content(tmp_path / "out")) == {"index.jsonl", *(row["file"] for row in rows)}


def test_the_jobs_are_those_of_the_commands(sfumato, run, tiny_model, tmp_path, drawing, mask):
    """The same defaults, so the same names: these are hashes of the jobs."""
    common = ("--model", tiny_model, *FEW, "-o", tmp_path / "one")
    commands = [
        ("generate", "3"),
        ("generate", "8", "--guidance", 5, "--negative", "4"),
        ("edit", drawing, "--start", 1, "--prompt", "0"),
        ("edit", drawing, "--start", 1, "--prompt", "0", "--mask", mask),
        ("inpaint", drawing, "--mask", mask, "--prompt", "6"),
        ("denoise", drawing, "--t", 75),
        ("anagram", "6", "9"),
        ("anagram", "6", "9", "--image", drawing, "--mask", mask, "--start", 1),
        ("hybrid", "0", "3"),
    ]
    for command in commands:
        done = sfumato(*command, *common)
        assert done.code == 0, done.err
    readings = [{"prompt": "6"}, {"prompt": "9", "view": "rotate:180"}]
    jobs = write(
        tmp_path / "jobs.jsonl",
        {"kind": "generate", "prompt": "3"},
        {"kind": "generate", "prompt": "8", "guidance": 5, "negative": "4"},
        {"kind": "edit", "image": drawing.name, "begin": 1, "prompt": "0"},
        {"kind": "edit", "image": drawing.name, "begin": 1, "prompt": "0", "mask": mask.name},
        {"kind": "inpaint", "image": str(drawing), "mask": mask.name, "prompt": "6"},
        *({"kind": "denoise", "image": drawing.name, "t": 75, "method": m} for m in ("noised", "blur", "one-step")),
        {"kind": "denoise", "image": drawing.name, "t": 75, "method": "iterative"},
        {"kind": "anagram", "readings": readings},
        {"kind": "anagram", "readings": readings, "image": drawing.name, "mask": mask.name, "begin": 1},
        {"kind": "hybrid", "far": "0", "near": "3"},
    )
    run(jobs, tmp_path / "many")
    singly = {path.name for path in (tmp_path / "one").glob("*.png") if not path.name.startswith("sheet")}
    assert {path.name for path in pictures(tmp_path / "many")} == singly


@pytest.mark.parametrize("command", ["edit", "inpaint", "denoise", "hybrid", "generate"])
def test_steps_are_those_of_the_commands(sfumato, tiny_model, tmp_path, drawing, mask, command):
    fields = {
        "edit": {"image": drawing.name, "begin": 32},
        "inpaint": {"image": drawing.name, "mask": mask.name},
        "denoise": {"image": drawing.name, "t": 0, "method": "noised"},
        "hybrid": {"far": "0", "near": "3", "image": drawing.name, "begin": 33},
        "generate": {"prompt": "3"},
    }[command]
    jobs = write(tmp_path / "jobs.jsonl", {"kind": command, **fields})
    assert sfumato("batch", jobs, "--model", tiny_model, "-o", tmp_path / "out").code == 0
    (row,) = index(tmp_path / "out")
    assert row["job"]["steps"] == (load(tiny_model).defaults.steps if command == "generate" else 34)


def test_a_job_may_be_what_a_picture_carries(sfumato, run, jobs, tmp_path):
    run(jobs, tmp_path / "out")
    carried = [read_provenance(path)["job"] for path in pictures(tmp_path / "out")]
    run(write(tmp_path / "again.jsonl", *carried), tmp_path / "again")
    assert content(tmp_path / "again") == content(tmp_path / "out")


def test_the_line_says_more_than_the_command_and_that_more_than_the_model(run, tmp_path):
    jobs = write(tmp_path / "jobs.jsonl", {"kind": "generate", "guidance": 3}, {"kind": "generate", "seed": 9})
    run(jobs, tmp_path / "out", "--guidance", 4, "--sampler", "ddim")
    rows = [(row["job"]["guidance"], row["job"]["seed"], row["job"]["sampler"]) for row in index(tmp_path / "out")]
    assert sorted(rows) == [(3, 0, "ddim"), (4, 9, "ddim")]


def test_a_table_and_a_text_are_lists_of_jobs_too(run, tmp_path):
    table = write(
        tmp_path / "jobs.csv",
        "kind,prompt,guidance,readings,last_step",
        "generate,3,2.5,,false",
        "",
        'anagram,,,"[{""prompt"": ""6""}, {""prompt"": ""9"", ""view"": ""flip""}]",',
    )
    run(table, tmp_path / "table")
    one, two = sorted((row["job"] for row in index(tmp_path / "table")), key=lambda job: job["kind"])
    assert [(reading["prompt"], reading["view"]) for reading in one["readings"]] == [("6", "identity"), ("9", "flip")]
    assert (two["prompt"], two["guidance"], two["last_step"]) == ("3", 2.5, False)
    text = tmp_path / "jobs.txt"
    text.write_bytes("\ufeff# digits\r\n3\r\n\r\n 8 \r\n".encode())
    run(text, tmp_path / "text", "--seed", 3, "-n", 2)
    rows = [(row["job"]["prompt"], row["job"]["seed"]) for row in index(tmp_path / "text")]
    assert sorted(rows) == [("3", 3), ("3", 4), ("8", 3), ("8", 4)]


def test_seeds_and_shards():
    assert parse_seeds("0-99") == (range(100),)
    assert parse_seeds("3, 5,8-9") == (range(3, 4), range(5, 6), range(8, 10))
    for wrong in ("", "a", "9-3", "-1", "1-", "3,3", "1-5,5-9", f"{2**63}"):
        with pytest.raises(UsageError, match="--seeds"):
            parse_seeds(wrong)
    assert parse_shard("3/8") == Shard(3, 8)
    for wrong in ("", "3", "0/8", "9/8", "1/2/3", "a/b", "-1/-1"):
        with pytest.raises(UsageError, match="1/8 to 8/8"):
            parse_shard(wrong)
    made = [Generate(steps=3, guidance=1, seed=seed) for seed in range(200)]
    for of in (1, 2, 7):
        owners = [[index for index in range(1, of + 1) if Shard(index, of).has(job)] for job in made]
        assert all(len(owner) == 1 for owner in owners)
        assert {owner[0] for owner in owners} == set(range(1, of + 1))


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> tuple[str, str]:
    """Files of a text-to-image model of 16 pixels and of one that makes its pictures 32 large."""
    folder = tmp_path_factory.mktemp("stages")
    for recipe, size, guide in (("text", 16, 0), ("upsample", 32, 3)):
        torch.manual_seed(size)
        network = TextUNetConfig(("a", "lion", "red"), size=size, widths=(32,), text_width=32, guide=guide).build()
        torch.nn.init.normal_(network.last.weight, std=0.05)
        facts = {
            "recipe": load_recipe(recipe).with_changes({"low_res": 16 if guide else None}).model_dump(mode="json"),
            "data": {"pixel_range": (-1.0, 1.0)},
        }
        save_weights(folder / f"{size}.safetensors", network.config, network.state_dict(), facts)
    return str(folder / "16.safetensors"), str(folder / "32.safetensors")


def test_cascades_are_those_of_the_commands_and_do_not_depend_on_their_company(
    sfumato, run, stages, coarse, tmp_path, drawing
):
    small, large = stages
    common = ("--seed", 2, "--model", small, *FEW, "-o", tmp_path / "one")
    assert sfumato("generate", "a lion", "--larger", large, *common).code == 0
    assert sfumato("upscale", drawing, "--model", large, "--prompt", "a lion", "--seed", 2, *common[4:]).code == 0
    lines = [
        {"kind": "generate", "prompt": "a lion", "larger": [large]},
        {"kind": "generate", "prompt": "a red lion", "larger": [{"model": large}]},
        {"kind": "generate", "prompt": "a lion"},
        {"kind": "upscale", "model": large, "image": drawing.name, "prompt": "a lion"},
        {"kind": "hybrid", "far": "a lion", "near": "red", "larger": [large]},
    ]
    told = run(write(tmp_path / "jobs.jsonl", *lines), tmp_path / "many", "--seeds", "0-9", model=small)
    assert told["made"] == 50
    singly = {path.name for path in (tmp_path / "one").glob("*.png")}
    assert len(singly) == 2
    assert singly < {path.name for path in pictures(tmp_path / "many")}
    for k, line in enumerate(lines):
        run(write(tmp_path / f"{k}.jsonl", line), tmp_path / "others", "--seeds", f"{k}-9", model=small)
    made = content(tmp_path / "many")
    assert all(made[name] == data for name, data in content(tmp_path / "others").items() if name != "index.jsonl")


def test_unknown_words_are_told_once(sfumato, stages, tmp_path):
    jobs = write(tmp_path / "jobs.txt", "a lion", "a zebra", "a zebra")
    done = sfumato("batch", jobs, "--model", stages[0], *FEW, "-o", tmp_path / "out", "--seeds", "0-3")
    assert done.code == 0
    (line,) = done.err.splitlines()
    assert line.startswith("note: ")
    assert "'zebra'" in line


# The same bytes whatever happens


@pytest.mark.thorough
def test_order_company_and_shards_change_no_byte(run, jobs, coarse, tmp_path, monkeypatch):
    seeds = ("--seeds", "0-4")
    run(jobs, tmp_path / "whole", *seeds)
    expected = content(tmp_path / "whole")
    assert len(expected) == 56

    lines = jobs.read_text().splitlines()
    random.Random(1).shuffle(lines)
    run(write(tmp_path / "shuffled.jsonl", *lines), tmp_path / "shuffled", *seeds)
    assert content(tmp_path / "shuffled") == expected

    for k, line in enumerate(lines):  # some alone, and then the others
        run(write(tmp_path / f"{k}.jsonl", line), tmp_path / "singly", "--seed", 1 + k % 3)
    assert run(jobs, tmp_path / "singly", *seeds)["made"] == 44
    assert content(tmp_path / "singly") == expected

    made = [run(jobs, tmp_path / "shards", *seeds, "--shard", f"{k}/3")["made"] for k in (2, 3, 1)]
    assert sum(made) == 55
    assert all(made)
    assert content(tmp_path / "shards") == expected

    monkeypatch.setattr(batch, "WINDOW", 7)
    run(jobs, tmp_path / "windows", *seeds)
    assert content(tmp_path / "windows") == expected


def test_what_is_there_is_not_made_again(run, jobs, tmp_path, monkeypatch):
    run(jobs, tmp_path / "out")
    expected = content(tmp_path / "out")
    times = {path: path.stat().st_mtime_ns for path in pictures(tmp_path / "out")}
    monkeypatch.setattr(batch, "run", pytest.fail)
    told = run(jobs, tmp_path / "out")
    assert (told["made"], told["there"]) == (0, 11)
    assert times == {path: path.stat().st_mtime_ns for path in pictures(tmp_path / "out")}
    (tmp_path / "out" / "index.jsonl").unlink()
    run(jobs, tmp_path / "out")
    assert content(tmp_path / "out") == expected


def test_what_is_cut_off_missing_or_left_over_is_put_right(run, jobs, tmp_path):
    out = tmp_path / "out"
    run(jobs, out)
    expected, (first, second, third, *_) = content(out), pictures(out)
    first.unlink()
    second.write_bytes(second.read_bytes()[:-20])
    third.write_bytes(b"")
    (out / "index.jsonl").write_text('{"file": 3}\nnot JSON\n{"file": "gone.png"}\n')
    (out / ".index.jsonl.abcdefgh.part").write_bytes(b"half")
    (out / ".batch" / "1-of-1").mkdir()
    (out / ".batch" / "1-of-1" / ".generate.png.abcdefgh.part").write_bytes(b"half")
    assert run(jobs, out)["made"] == 3
    assert content(out) == expected


def test_other_weights_make_other_files(run, tiny_model, tmp_path):
    jobs = write(tmp_path / "jobs.txt", "3")
    model = tmp_path / "model.safetensors"
    model.write_bytes(Path(tiny_model).read_bytes())
    run(jobs, tmp_path / "out", model=str(model))
    weights = load_weights(model)
    state = {name: value + 0.01 for name, value in weights.network.state_dict().items()}
    save_weights(model, weights.network.config, state, weights.facts)
    assert run(jobs, tmp_path / "out", model=str(model))["made"] == 1
    one, two = index(tmp_path / "out")
    assert one["job"] == two["job"]
    assert one["models"] != two["models"]


def test_equal_jobs_are_made_once(run, tmp_path):
    told = run(write(tmp_path / "jobs.txt", "3", "3", "8", "3"), tmp_path / "out")
    assert (told["jobs"], told["made"], told["repeated"]) == (4, 2, 2)


def test_two_jobs_of_one_name_are_told(sfumato, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "_place", lambda job, models: "ab/same.png")
    jobs = write(tmp_path / "jobs.txt", "3", "8")
    done = sfumato("batch", jobs, "--model", tiny_model, *FEW, "-o", tmp_path / "out")
    assert done.code == 1
    assert "jobs.txt:2: its file would have the name of another job's, ab/same.png" in done.err


# What goes wrong


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"kind": "generate"}\n{"kind": "generate"\n', "a.jsonl:2: not JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: a job is an object"),
        ("a.jsonl", "[" * 100_000, "a.jsonl:1: not JSON"),
        ("a.jsonl", '{"prompt": "3"}\n', "a.jsonl:1: kind: none is given; choose one of generate, edit"),
        ("a.jsonl", '{"kind": ["x"]}\n', "a.jsonl:1: kind: ['x']"),
        ("a.jsonl", '\n\n{"kind": "generate", "steps": "x"}\n', "a.jsonl:3: steps: "),
        ("a.jsonl", '{"kind": "generate", "guidance": NaN}\n', "a.jsonl:1: guidance: "),
        ("a.jsonl", '{"kind": "generate", "colour": 1}\n', "a.jsonl:1: colour: "),
        ("a.jsonl", '{"kind": "generate", "model": "x"}\n', "a.jsonl:1: model: unknown model 'x'"),
        ("a.jsonl", '{"kind": "generate", "model": 3}\n', "a.jsonl:1: model: a name"),
        ("a.jsonl", '{"kind": "edit", "begin": 1}\n', "a.jsonl:1: image: "),
        ("a.jsonl", '{"kind": "edit", "begin": 1, "image": "x.png"}\n', "a.jsonl:1: image: cannot read the picture"),
        ("a.jsonl", '{"kind": "edit", "begin": 1, "image": {"name": "x", "png": "x"}}\n', "a.jsonl:1: image.png: "),
        ("a.jsonl", '{"kind": "inpaint", "image": "ring.png", "mask": "x.png"}\n', "a.jsonl:1: mask: cannot read"),
        ("a.jsonl", '{"kind": "inpaint", "mask": "mask.png"}\n', "a.jsonl:1: mask: it is about the image"),
        ("a.csv", "kind,prompt\ngenerate,3\ngenerate\n", "a.csv:3: 1 cells under 2 names"),
        ("a.csv", "kind,colour\ngenerate,\n", "a.csv:1: colour: no job has such a field"),
        ("a.csv", "kind,kind\n", "a.csv:1: each column wants its own name"),
        ("a.csv", 'kind,prompt\n"generate\n,"3\n', "a.csv:2: not a table"),
        ("a.csv", "kind,steps\ngenerate,x\n", "a.csv:2: steps: "),
        ("a.csv", "kind,readings\nanagram,6 9\n", "a.csv:2: readings: a list in JSON"),
        ("a.txt", "# nothing\n", "a.txt asks for nothing"),
        ("a.txt", "\x00\xff".encode("latin-1"), "a.txt is not text in UTF-8"),
        ("a.yaml", "3", "a.yaml is no list of jobs; give a .jsonl, .csv or .txt file"),
        ("b.txt", None, "cannot read"),
    ],
)
def test_a_wrong_line_is_told_before_anything_runs(sfumato, tiny_model, tmp_path, drawing, mask, name, text, message):
    if text is not None:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    done = sfumato("batch", tmp_path / name, "--model", tiny_model, *FEW, "-o", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seeds", "x"), "--seeds wants"),
        (("--seeds", "0-3", "--seed", 3), "give one or the other"),
        (("--seeds", "0-3", "-n", 3), "give one or the other"),
        (("--shard", "9/8"), "--shard wants"),
        (("--executor", "cloud"), "choose one of local, slurm"),
        (("--slurm", "partition=gpu"), "for --executor slurm"),
        (("--executor", "slurm"), "--shards 8"),
        (("--executor", "slurm", "--shards", 2, "--shard", "1/2"), "leave --shard out"),
    ],
)
def test_requests_that_cannot_be_meant_are_one_line(sfumato, tiny_model, tmp_path, options, message):
    jobs = write(tmp_path / "jobs.txt", "3")
    done = sfumato("batch", jobs, "--model", tiny_model, *FEW, "-o", tmp_path / "out", *options)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
    assert not (tmp_path / "out").exists()


def test_a_seed_in_a_line_and_in_the_command_is_told(sfumato, tiny_model, tmp_path):
    jobs = write(tmp_path / "jobs.jsonl", {"kind": "generate", "seed": 3})
    done = sfumato("batch", jobs, "--model", tiny_model, *FEW, "-o", tmp_path / "out", "--seeds", "0-3")
    assert done.code == 2
    assert "jobs.jsonl:1: seed: " in done.err


def test_a_job_that_cannot_be_made_is_told_and_the_others_go_on(sfumato, tiny_model, tmp_path):
    jobs = write(tmp_path / "jobs.txt", "3", "11", "8", "twelve")
    command = ("batch", jobs, "--model", tiny_model, *FEW, "-o", tmp_path / "out", "--seeds", "0-1")
    done = sfumato(*command)
    assert done.code == 1
    one, two, last = done.err.splitlines()
    assert one.startswith(f"{jobs}:2: unknown class")
    assert two.startswith(f"{jobs}:4: unknown class")
    assert last == f"error: 4 of 8 jobs could not be made; the others are in {tmp_path / 'out'}"
    assert len(pictures(tmp_path / "out")) == len(index(tmp_path / "out")) == 4
    told = json.loads(sfumato(*command, "--json").out)
    assert (told["made"], told["there"], told["failed"]) == (0, 4, 4)
    assert [row["line"] for row in told["errors"]] == [2, 4]


def test_a_job_that_fails_on_its_way_takes_no_other_with_it(sfumato, tiny_model, tmp_path, monkeypatch):
    real = batch.run

    def run(jobs, load):
        if any(job.prompt == "8" for job in jobs):
            raise UsageError("the prompt is too long")
        return real(jobs, load)

    monkeypatch.setattr(batch, "run", run)
    jobs = write(tmp_path / "jobs.txt", "3", "8", "4")
    done = sfumato("batch", jobs, "--model", tiny_model, *FEW, "-o", tmp_path / "out")
    assert done.code == 1
    assert f"{jobs}:2: the prompt is too long" in done.err
    assert [path.name.split("-")[1] for path in pictures(tmp_path / "out")] in (["3", "4"], ["4", "3"])


def test_two_processes_cannot_make_one_shard(sfumato, tiny_model, tmp_path):
    jobs, out = write(tmp_path / "jobs.txt", "3"), tmp_path / "out"
    command = ("batch", jobs, "--model", tiny_model, *FEW, "-o", out)
    with locked(out / ".batch" / "1-of-2.lock", ""):
        done = sfumato(*command, "--shard", "1/2")
        assert done.code == 2
        assert f"another process makes shard 1/2 in {out}" in done.err
        assert sfumato(*command, "--shard", "2/2").code == 0


def test_ctrl_c_says_how_to_go_on(sfumato, tiny_model, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sfumato.app.run.steps", interrupted)
    done = sfumato("batch", write(tmp_path / "jobs.txt", "3"), "--model", tiny_model, *FEW, "-o", tmp_path / "out")
    assert (done.code, done.out) == (130, "")
    assert done.err.strip() == "stopped; what is made is whole, and the same command makes the rest"


@pytest.mark.parametrize("part", [pytest.param(slice(2, None, 9)), pytest.param(slice(None), marks=pytest.mark.slow)])
def test_a_disk_that_is_full_at_any_write_costs_nothing_but_time(sfumato, run, tiny_model, tmp_path, part):
    jobs = write(tmp_path / "jobs.txt", "3", "8", "4")

    def counted(out, at=None) -> tuple[int, int, str]:
        """How often the disk was asked; what became of it when it is full at one of these."""
        asked = 0
        with pytest.MonkeyPatch.context() as patch:

            def full(real):
                def call(*arguments, **keywords):
                    nonlocal asked
                    asked += 1
                    if asked == at:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    return real(*arguments, **keywords)

                return call

            for name in ("mkdir", "fsync", "replace", "rename"):
                patch.setattr(os, name, full(getattr(os, name)))
            patch.setattr(tempfile, "mkstemp", full(tempfile.mkstemp))
            done = sfumato("batch", jobs, "--model", tiny_model, *FEW, "-o", out)
        return asked, done.code, done.err

    writes, code, _ = counted(tmp_path / "quiet")
    assert code == 0
    expected, failed = content(tmp_path / "quiet"), 0
    for at in range(1, writes + 1)[part]:
        out = tmp_path / str(at)
        _, code, err = counted(out, at)
        failed += code == 1
        # (A folder that is there already and one that cannot be synced are no reason to stop.)
        assert code == 0 or err.endswith("No space left on device; make room on that disk\n"), err
        assert all(path.read_bytes() == expected[str(path.relative_to(out))] for path in pictures(out))
        run(jobs, out)
        assert content(out) == expected
    assert failed


@pytest.mark.parametrize(
    ("kills", "seeds"),
    [pytest.param(3, 20, marks=pytest.mark.thorough), pytest.param(20, 150, marks=pytest.mark.slow)],
    ids=["three", "twenty"],
)
def test_kill_9_at_random_moments_changes_nothing(run, jobs, tiny_model, tmp_path, kills, seeds):
    run(jobs, tmp_path / "quiet", "--seeds", f"0-{seeds - 1}")
    expected, out, moments, writing = content(tmp_path / "quiet"), tmp_path / "out", random.Random(), 0
    command = [sys.executable, "-m", "sfumato", "batch", str(jobs), "--model", tiny_model, *FEW, "-o", str(out)]
    for _ in range(kills):
        process = subprocess.Popen([*command, "--seeds", f"0-{seeds - 1}", "--quiet"])
        before = len(pictures(out))
        while process.poll() is None and len(pictures(out)) <= before:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.3))
        assert process.poll() is None, f"the batch was over before it could be killed {kills} times"
        process.send_signal(signal.SIGKILL)
        process.wait()
        writing += bool(list(out.rglob("*.part")))
        assert all(path.read_bytes() == expected[str(path.relative_to(out))] for path in pictures(out))
    left = len(expected) - 1 - len(pictures(out))
    run(jobs, out, "--seeds", f"0-{seeds - 1}")
    assert content(out) == expected
    print(f"{kills} kills, {writing} in the middle of a write, {left} of {len(expected) - 1} left")


def test_a_million_lines_are_read_one_by_one(tmp_path):
    path = tmp_path / "jobs.jsonl"
    with path.open("w") as file:
        for _ in range(3):
            file.write('{"kind": "generate"}\n')
        file.write("wrong\n")
    lines = read_lines(path)
    assert [next(lines) for _ in range(3)] == [Line(k, {"kind": "generate"}) for k in (1, 2, 3)]
    with pytest.raises(UsageError, match=r"jobs\.jsonl:4"):
        next(lines)


def test_models_are_loaded_anew_with_each_window(tiny_model, tmp_path, monkeypatch):
    loaded = []

    def loader():
        model = load(tiny_model)
        loaded.append(model)
        return lambda name, dtype: model

    monkeypatch.setattr(batch, "WINDOW", 4)
    asked = (batch.Asked(1, Generate(model=tiny_model, seed=k, steps=1, guidance=1, prompt="3")) for k in range(10))
    summary = batch.make(asked, tmp_path / "out", loader)
    assert (summary.made, len(loaded)) == (10, 3)


# On a cluster


def test_a_cluster_that_is_not_there_is_one_line(sfumato, tiny_model, tmp_path, monkeypatch):
    jobs = write(tmp_path / "jobs.txt", "3")
    command = ("batch", jobs, "--model", tiny_model, *FEW, "-o", tmp_path / "out", "--executor", "slurm", "--shards", 2)
    monkeypatch.setitem(sys.modules, "submitit", None)
    done = sfumato(*command)
    assert (done.code, done.err) == (1, "error: a cluster needs submitit: pip install 'sfumato[cluster]'\n")


def test_slurm_that_is_not_there_and_settings_that_it_does_not_know(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SfumatoError, match="Slurm is not on this machine; submit where sbatch is, or run --shard i/n"):
        submit(print, [1], tmp_path, {})
    with pytest.raises(SfumatoError, match="Slurm cannot be asked for that: Unknown argument 'colour'"):
        submit(print, [1], tmp_path, {"colour": "red"}, cluster="local")


@pytest.mark.parametrize("cluster", ["debug", pytest.param("local", marks=pytest.mark.slow)])
def test_slurm_is_given_one_task_for_each_shard(sfumato, run, jobs, tiny_model, tmp_path, monkeypatch, cluster):
    """What Slurm would run is run here: in this process, or in processes of their own."""
    pytest.importorskip("submitit")
    import cloudpickle
    from submitit.helpers import DelayedSubmission

    given, submitted = {}, []

    def here(function, arguments, folder, settings):
        given.update(settings)
        function = cloudpickle.loads(cloudpickle.dumps(function))
        submitted.extend(submit(function, arguments, folder, settings, cluster=cluster))
        return submitted

    monkeypatch.setattr("sfumato.app.executor.submit", here)
    out = tmp_path / "out"
    command = ("batch", jobs, "--model", tiny_model, *FEW, "-o", out, "--executor", "slurm", "--shards", 3)
    done = sfumato(*command, "--slurm", "partition=gpu", "--slurm", "gpus_per_node=1")
    assert done.code == 0, done.err
    assert "3 tasks are queued" in done.out
    assert given == {"partition": "gpu", "gpus_per_node": 1}
    # What it queues again when it stops a task is the task.
    again = submitted[0].submission()._checkpoint_function()
    assert isinstance(again, DelayedSubmission)
    for job in submitted:
        (job.submission() if cluster == "debug" else job).result()
    again.result()
    run(jobs, tmp_path / "whole")
    made = {name: data for name, data in content(out).items() if not name.startswith(".batch/slurm")}
    assert made == content(tmp_path / "whole")


def test_a_line_without_a_model_gets_the_one_that_knows_its_prompts(sfumato, tmp_path, monkeypatch):
    monkeypatch.setattr("sfumato.app.defaults.MODEL", "nobody")
    readings = [{"prompt": "6", "view": "identity"}, {"prompt": "9", "view": "flip"}]
    lines = [
        {"kind": "generate", "prompt": "3", "steps": 1},
        {"kind": "hybrid", "far": "3", "near": "4", "steps": 1},
        {"kind": "anagram", "readings": readings, "steps": 1},
    ]
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    done = sfumato("batch", tmp_path / "jobs.jsonl", "-o", tmp_path / "out", "--quiet")
    assert done.code == 0, done.err
    (tmp_path / "jobs.jsonl").write_text(json.dumps({"kind": "generate", "prompt": "a lion"}), encoding="utf-8")
    assert "unknown model 'nobody'" in sfumato("batch", tmp_path / "jobs.jsonl", "-o", tmp_path / "more").err
