import functools
import http.server
import importlib.util
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

sys.path.append(str(ROOT / "docs"))  # for its extensions
spec = importlib.util.spec_from_file_location("pages_tool", ROOT / "tools" / "pages.py")
pages = importlib.util.module_from_spec(spec)
sys.modules["pages_tool"] = pages
spec.loader.exec_module(pages)


@pytest.fixture(scope="session")
def tool():
    """What reads the pages."""
    return pages


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The documentation as HTML. A warning is a failure."""
    pytest.importorskip("sphinx", reason="sphinx is not installed")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", "-b", "html", "-d", str(out / "trees")]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(out / "html")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out / "html"


@pytest.fixture(scope="session")
def address(site):
    """Where the documentation is served."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that says nothing of what it is asked."""

    def log_message(self, *_):
        pass
