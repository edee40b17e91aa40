"""The notebook runs in a kernel of its own, offline, and shows what it did when it was last run."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image


def outputs(cell) -> list[tuple[str, str]]:
    """What a cell puts out: text, or a picture."""
    found = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        if "image/png" in data:
            found.append(("picture", "".join(data["image/png"])))
        else:
            text = output["text"] if output["output_type"] == "stream" else data["text/plain"]
            found.append(("text", "".join(text)))
    return found


def grey(picture: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("L"), dtype=float)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what Jupyter's packages warn of is theirs
def test_it_runs_and_shows_what_it_did(tool, monkeypatch):
    pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    monkeypatch.setenv("SFUMATO_DATA", "nothing")
    kept = json.loads(tool.NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    now = tool.run_notebook(tool.NOTEBOOK).cells
    assert len(now) == len(kept)
    for new, old in zip(now, kept, strict=True):
        assert [kind for kind, _ in outputs(new)] == [kind for kind, _ in outputs(old)]
        for (kind, here), (_, there) in zip(outputs(new), outputs(old), strict=True):
            if kind == "text":
                assert here == there
            else:
                assert np.abs(grey(here) - grey(there)).mean() < 6, "run tools/pages.py"


def test_its_cells_are_tidy(tool):
    book = json.loads(tool.NOTEBOOK.read_text(encoding="utf-8"))
    assert tool.NOTEBOOK.stat().st_size < 200_000
    assert set(book["metadata"]) == {"kernelspec"}
    for cell in book["cells"]:
        pictures = [kind for kind, _ in outputs(cell) if kind == "picture"]
        assert not pictures or cell["metadata"]["alt"], "a cell that shows a picture says what it is"


def test_it_runs_without_a_kernel_too(tool, tmp_path, monkeypatch):
    """As far as its first pictures; all of it is the slow test's."""
    cells = [c for c in json.loads(tool.NOTEBOOK.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in cells[:1]:
        exec("".join(cell["source"]), names)
    for cell in cells:
        compile("".join(cell["source"]), "cell", "exec")
    assert names["model"].name == "digits"
