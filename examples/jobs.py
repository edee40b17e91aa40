"""Many pictures, each described by a job: made once, named by what they are, and carrying how they were made."""

import json
from pathlib import Path

import sfumato as sf
from sfumato.app.batch import Asked, make
from sfumato.app.job import Loader
from sfumato.app.jobs import parse_job
from sfumato.app.provenance import read_provenance

out = Path("pictures")
how = {"model": "digits", "steps": 10, "guidance": 2}
jobs = [parse_job({"kind": "generate", "prompt": digit, "seed": k, **how}) for digit in "38" for k in range(2)]
readings = [{"prompt": "6"}, {"prompt": "9", "view": "rotate:180"}]
jobs.append(parse_job({"kind": "anagram", "readings": readings, **how}))


def loader() -> Loader:
    """How a job's model is loaded."""
    return lambda name, dtype: sf.load(name, dtype=dtype)


asked = [Asked(line, job) for line, job in enumerate(jobs, start=1)]
for attempt in ("first", "again"):
    done = make(asked, out, loader)
    print(f"{attempt}: {done.made} made, {done.there} there already")
    assert not done.failed, done.errors
for line in (out / "index.jsonl").read_text().splitlines():
    file = json.loads(line)["file"]
    print(file, read_provenance(out / file)["job"]["seed"])
