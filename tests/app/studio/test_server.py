"""How the studio begins and ends: where it listens, what it says, and the command itself."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from served import listening

from sfumato.app.studio import listening as listening_module
from sfumato.app.studio import server as server_module
from sfumato.app.studio.listening import listening_at
from sfumato.app.studio.log import logging_to
from sfumato.app.studio.server import Settings
from sfumato.app.studio.store import Store
from sfumato.errors import UsageError


def test_where_the_default_port_is_taken_the_next_one_is_had(monkeypatch):
    with listening_at("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        monkeypatch.setattr(listening_module, "PORT", port)
        with listening_at("127.0.0.1", port) as second:
            assert port < second.getsockname()[1] < port + listening_module.NEXT


def test_a_port_that_was_asked_for_and_is_taken_is_told():
    with listening_at("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        taken = pytest.raises(UsageError, match=f"port {port} is taken; choose another with --port")
        with taken, listening_at("127.0.0.1", port):
            pass


def test_an_answer_in_two_pieces_does_not_wait_for_the_first_to_be_acknowledged():
    with listening_at("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("host", ["203.0.113.9", "nowhere.invalid", "a b", ""])
def test_an_address_that_is_none_of_this_machine_is_told(host, monkeypatch):
    def look_up(name, *arguments, **options):
        if name == "203.0.113.9":
            return real(name, *arguments, **options)
        raise OSError("not known")

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(UsageError, match=r"no address of this machine|cannot listen at"), listening_at(host, 0):
        pass


def test_another_address_than_this_machines_gets_a_token(tmp_path):
    local = server_module._with_token(Settings(tmp_path))
    assert local.token is None
    assert local.url == "http://127.0.0.1:7860/"
    assert server_module._with_token(Settings(tmp_path, host="::1")).url == "http://[::1]:7860/"
    one, other = (server_module._with_token(Settings(tmp_path, host="0.0.0.0")) for _ in range(2))
    assert one.token != other.token
    assert re.fullmatch(r"http://127\.0\.0\.1:7860/\?token=[\w-]{32}", one.url)
    assert server_module._with_token(Settings(tmp_path, host="0.0.0.0", token="of-my-own")).token == "of-my-own"


def test_a_weak_token_is_refused(tmp_path):
    for token in ("", "short", "with space", "ümläute-and-more", "a;b;c;d;e;f"):
        with pytest.raises(UsageError, match="--token wants at least 8"):
            server_module._with_token(Settings(tmp_path, token=token))


def test_without_its_packages_it_says_which(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(UsageError, match=r"the studio needs uvicorn; install it: pip install 'sfumato\[studio\]'"):
        server_module.serve(Settings(tmp_path / "studio"))


def test_one_server_a_folder(tmp_path, sfumato):
    store = Store(tmp_path)
    try:
        done = sfumato("studio", "--port", "0", "--no-open", "-o", tmp_path)
    finally:
        store.close()
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: another studio uses {tmp_path}; stop it, or choose another folder with --out\n"


def test_a_file_is_no_folder(tmp_path, sfumato):
    (tmp_path / "file").write_text("")
    done = sfumato("studio", "--no-open", "-o", tmp_path / "file")
    assert (done.code, done.err) == (2, f"error: {tmp_path / 'file'} is a file; give a folder with --out\n")


def test_what_goes_wrong_is_a_line_on_the_terminal_and_a_traceback_in_the_log(tmp_path, capsys):
    with logging_to(tmp_path, debug=False):
        try:
            raise ZeroDivisionError("by zero")
        except ZeroDivisionError:
            logging.getLogger("sfumato.studio").exception("it\nfailed")
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert capsys.readouterr().err == "error: it failed: by zero\n"
    text = (tmp_path / "studio.log").read_text()
    assert "Traceback" in text
    assert "Invalid HTTP" in text


def test_a_studio_that_listens_ends_with_its_streams(tmp_path):
    with listening(tmp_path / "studio") as (parts, port):
        stream = urllib.request.urlopen(f"http://127.0.0.1:{port}/api/events", timeout=10)
        parts.events.publish("hello", {})
        assert b"event: hello" in b"".join(stream.readline() for _ in range(4))
        began = time.monotonic()
    assert stream.read() in {b"", b"\n", b"data: {}\n\n"}
    stream.close()
    assert time.monotonic() - began < 10


@contextmanager
def command(folder, *options):
    """The real command in a process of its own, and the address that it prints."""
    words = [sys.executable, "-m", "sfumato", "studio", "--port", "0", "--no-open", "-o", str(folder), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        line = process.stdout.readline()
        assert line.startswith("sfumato studio: http://127.0.0.1:"), process.stderr.read()
        yield process, line.split()[-1].rstrip("/")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ask(url: str, data: object = None, **headers: str):
    """A request, and the JSON that it is answered."""
    body = None if data is None else data if isinstance(data, bytes) else json.dumps(data).encode()
    kind = {} if data is None else {"Content-Type": "application/json", "X-Sfumato": "1"}
    with urllib.request.urlopen(urllib.request.Request(url, body, {**kind, **headers}), timeout=120) as answer:
        return json.loads(answer.read())


def runs(pid: int) -> bool:
    """Whether a process is there, and not only its exit code."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdecimal():
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found += [int(entry), *children(int(entry))]
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_the_page_and_ends_when_it_is_asked_to(tmp_path, number):
    with command(tmp_path / "studio") as (process, url):
        with urllib.request.urlopen(f"{url}/", timeout=60) as page:
            assert b"sfumato studio" in page.read()
        own = children(process.pid) if sys.platform == "linux" else []
        process.send_signal(number)
        assert process.stdout.readline().startswith("Ctrl-C ends it")
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")
        deadline = time.monotonic() + 20
        while any(runs(child) for child in own) and time.monotonic() < deadline:
            time.sleep(0.05)  # the tracker of multiprocessing sees a moment later that it is alone
        assert [child for child in own if runs(child)] == []


@pytest.mark.slow
def test_a_digit_is_made_from_the_command_to_the_gallery(tmp_path):
    """The real server, worker and reader; the events as a browser hears them."""
    with command(tmp_path / "studio") as (process, url):
        stream = urllib.request.urlopen(f"{url}/api/events", timeout=300)
        asked = {"job": {"kind": "generate", "prompt": "3", "steps": 8, "seed": 4}, "keep": "steps"}
        run = ask(f"{url}/api/runs", asked)
        told: list[tuple[str, dict]] = []
        while not (told and told[-1][0] == "run" and told[-1][1]["state"] in {"done", "failed", "cancelled"}):
            name = stream.readline().decode().strip()
            if name.startswith("event: "):
                told.append((name.removeprefix("event: "), json.loads(stream.readline()[len("data: ") :])))
        last = told[-1][1]
        assert (last["id"], last["state"], last["error"]) == (run["id"], "done", None)
        (shown,) = [data for event, data in told if event == "picture"]
        assert shown["job"]["prompt"] == "3"
        assert shown["readings"][0]["prompt"] == "3"
        previews = [data for event, data in told if event == "preview"]
        assert previews[-1]["step"] == 8
        assert previews[-1]["x0"][0].startswith("data:image/png;base64,")
        with urllib.request.urlopen(url + shown["url"], timeout=60) as answer:
            picture = answer.read()
        # What was made is read again as an upload, and becomes an edit of it.
        upload = ask(f"{url}/api/uploads?name=three.png", picture)
        assert upload["job"] == shown["job"]
        edit = ask(f"{url}/api/runs", {"job": {"kind": "edit", "image": {"upload": upload["id"]}, "begin": 30}})
        while ask(f"{url}/api/runs/{edit['id']}")["state"] in {"queued", "running"}:
            time.sleep(0.2)
        (made,) = ask(f"{url}/api/runs/{edit['id']}")["pictures"]
        assert made["job"]["image"]["made_by"]["job"] == shown["job"]
        frames = ask(f"{url}/api/runs/{run['id']}")["frames"]
        assert (frames["rows"], frames["columns"]) == (2, 9)
        with pytest.raises(urllib.error.HTTPError) as refusal:
            ask(f"{url}/api/runs", {"job": {"kind": "generate", "prompt": "xyzzy"}})
        assert refusal.value.code == 422
        refusal.value.close()
        stream.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
