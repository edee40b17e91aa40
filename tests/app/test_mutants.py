"""A thousand broken files: each is refused in one line or read, within 2 seconds of work and 512 MiB."""

import subprocess
import sys
from pathlib import Path

import pytest
from mutants import foreign

from sfumato.app.pictures import read_picture
from sfumato.errors import UsageError

SCRIPT = """
import io, resource, signal, sys, tempfile, warnings
from pathlib import Path

sys.path.insert(0, {support!r})
warnings.simplefilter("ignore")
import mutants
from sfumato.app.jobs import parse_job
from sfumato.app.provenance import read_provenance
from sfumato.app.pictures import read_mask, read_picture
from sfumato.app.run import make_batches
from sfumato.backends import registry
from sfumato.errors import SfumatoError

models = {{}}
def load(name, dtype):
    if (name, dtype) not in models:
        models[name, dtype] = registry.load(name, "cpu", dtype)
    return models[name, dtype]

def late(*_):
    raise TimeoutError
signal.signal(signal.SIGVTALRM, late)

folder = Path(tempfile.mkdtemp())
good = folder / "good.png"
good.write_bytes(mutants.pictures()[1])
load("digits", "float32")
for data in mutants.pictures():  # decoders and plugins are there before memory is counted
    good.write_bytes(data)
    read_picture(good, (3, 64, 64))
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 512 * 2**20,) * 2)

read = refused = 0
def tell(what, action):
    global read, refused
    signal.setitimer(signal.ITIMER_VIRTUAL, 2)
    try:
        action()
        read += 1
    except SfumatoError as error:
        assert 0 < len(str(error)) < 1000, what
        refused += 1
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

def job_of(path):
    facts = read_provenance(path)
    make_batches([parse_job(facts["job"])], load)

for k, data in enumerate(mutants.mutated_pictures(600)):
    path = folder / f"{{k}}.png"
    path.write_bytes(data)
    tell(("picture", k), lambda: read_picture(path, (3, 64, 64)))
    tell(("mask", k), lambda: read_mask(path, good, (3, 64, 64)))
    tell(("provenance", k), lambda: read_provenance(path))
    path.unlink()
for k, facts in enumerate(mutants.mutated_jobs(400)):
    path = folder / f"{{k}}.png"
    path.write_bytes(mutants.carrying(facts))
    tell(("job", k, str(facts)[:300]), lambda: job_of(path))
    path.unlink()
for k, job in enumerate(mutants.endless()):
    path = folder / f"{{k}}.png"
    path.write_bytes(mutants.carrying({{"schema": 3, "job": job, "models": []}}))
    tell(("endless", k), lambda: job_of(path))
for k, text in enumerate(("", "[]", "{{", "null", "1", '{{"schema": 3}}', "x" * 10**6, "[" * 100_000)):
    path = folder / f"{{k}}.png"
    path.write_bytes(mutants.carrying(text))
    tell(("text", k), lambda: job_of(path))
print(read, refused)
"""


def test_a_thousand_broken_files_are_read_or_refused():
    support = str(Path(__file__).parents[1] / "support")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(support=support)], capture_output=True, text=True, timeout=540, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    read, refused = map(int, done.stdout.split())
    assert read + refused == 3 * 600 + 400 + 3 + 8
    assert read > 100  # some are harmless,
    assert refused > 1000  # most are not


@pytest.mark.parametrize("data", foreign(), ids=lambda data: data[:4].hex())
def test_other_formats_are_refused(data, tmp_path):
    path = tmp_path / "picture.png"  # whatever the name says
    path.write_bytes(data)
    with pytest.raises(UsageError, match="not a PNG, JPEG, WebP or GIF"):
        read_picture(path, (3, 64, 64))
