"""Attacks on a studio that really listens: none reads or writes anything outside, none gets a 500 or a traceback."""

import contextlib
import json
import re
import socket
from dataclasses import dataclass
from urllib.parse import quote

import mutants
import pytest
from PIL import Image
from served import line, listening, png, serving

from sfumato.app.studio.records import Made, NewRun
from sfumato.app.studio.trainings import TrainingRequest, Trainings
from sfumato.backends.registry import bundled_models

CANARY = "canary-7f3a91"
GENERATE = b'{"job": {"kind": "generate"}}'


@dataclass
class Target:
    """A studio, what lies beside it, and how it looked before."""

    port: int
    parts: object
    outside: object
    before: dict

    def ask(self, raw: bytes, wait: float = 60) -> bytes:
        """What comes back for some bytes until the connection is closed, or nothing comes for so many seconds."""
        out = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as connection:
            with contextlib.suppress(OSError):  # it did not want to hear the end
                connection.sendall(raw)
            with contextlib.suppress(ConnectionResetError, TimeoutError):
                while chunk := connection.recv(65536):
                    out += chunk
        return out

    def get(self, path: str | bytes, *headers: str) -> bytes:
        raw = path if isinstance(path, bytes) else path.encode("utf-8")
        return self.ask(self.request(b"GET", raw, *headers))

    def request(self, method: bytes, path: bytes, *headers: str, body: bytes = b"") -> bytes:
        lines = [b"%s %s HTTP/1.1" % (method, path), b"Host: 127.0.0.1:%d" % self.port, b"Connection: close"]
        lines += [header.encode("latin-1") for header in headers]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def post(self, path: bytes, body: bytes, *headers: str) -> bytes:
        own = ("X-Sfumato: 1", "Content-Type: application/json", f"Content-Length: {len(body)}")
        return self.ask(self.request(b"POST", path, *own, *headers, body=body))

    def runs(self) -> int:
        return len(self.parts.store.runs(limit=-1))


def tree(folder) -> dict:
    """Every file below a folder with its content."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("studio.sqlite")]
    return {str(path): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """With a picture, a strip, an upload, a training and links that lead out of it."""
    home = tmp_path_factory.mktemp("home")
    (home / "secret.txt").write_text(CANARY)
    (home / "secret.png").write_text(CANARY)
    folder = home / "studio"
    with listening(folder) as (parts, port):
        (folder / "secret.txt").write_text(CANARY)
        store = parts.store
        store.add_runs([NewRun("pictures", "3", "digits", {"jobs": []})])
        (folder / "pictures" / "a.png").write_bytes(png(Image.new("L", (28, 28))))
        store.add_picture(Made(1, "a.png", {"seed": 1}, "generate", "3", "", "", 28, 28, ()), "digits")
        store.add_runs([Trainings(store).training(TrainingRequest(recipe="class", data="typeset"))])
        run = folder / "runs" / "class-1"
        (run / "samples").mkdir(parents=True)
        (run / "samples" / "epoch-001.png").symlink_to(home / "secret.png")
        (run / "report.html").symlink_to(home / "secret.txt")
        store.add_sample(2, 1, "samples/epoch-001.png")
        (folder / "runs" / "link").symlink_to(home)
        yield Target(port, parts, home, tree(home))


SECRETS = re.compile(rb"root:|" + CANARY.encode() + rb"|SQLite format|Traceback|File \"/|import ")


def harmless(answer: bytes, *, closed: bool = False) -> list[int]:
    """Check that nothing leaks and nothing broke; the statuses of the answers."""
    assert not SECRETS.search(answer), answer[:500]
    statuses = [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
    assert statuses or closed, "it says something"
    assert not [status for status in statuses if status >= 500], answer[:500]
    return statuses


BASES = (
    "/static/", "/static/modules/", "/viewer/", "/api/uploads/", "/api/pictures/", "/api/samples/2/", "/api/frames/",
    "/api/reports/", "/api/runs/", "/",
)  # fmt: skip
TRAVERSALS = (
    "../../../../../../etc/passwd", "..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..%5c..%5csecret.txt", "%252e%252e%252fsecret.txt", "....//....//secret.txt", "/etc/passwd", "%2fetc%2fpasswd",
    "..;/secret.txt", "%00../secret.txt", "file:///etc/passwd", "%c0%ae%c0%ae/secret.txt", "..\\..\\secret.txt", ".",
    "..", "~root", "studio.sqlite", "../secret.txt", "..%2fsecret.txt%00.png", "%u002e%u002e/secret.txt",
    "../studio.sqlite", "C:/secret.txt", "link/secret.txt",
)  # fmt: skip


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("spelling", TRAVERSALS)
def test_no_path_leads_out(target, base, spelling):
    statuses = harmless(target.get(base + spelling))
    assert statuses[0] in {400, 404}, statuses


@pytest.mark.parametrize(
    "id",
    ["0", "-1", "+1", "1.0", "1e0", "0x1", "null", "true", "NaN", "%EF%BC%91", "9" * 19, "9" * 400,
     "1%20", "%201", "1%00", "1;", "1'--", "1,2", "[1]", "%0a1", "1%2f..", "%D9%A1"],
)  # fmt: skip
@pytest.mark.parametrize(
    "path", ["/api/runs/{}", "/api/pictures/{}", "/api/pictures/{}/file", "/api/frames/{}", "/api/samples/2/{}"]
)
def test_what_is_no_number_names_nothing(target, path, id):
    assert harmless(target.get(path.format(id))) == [404]


@pytest.mark.parametrize("path", ["/api/samples/2/1", "/api/reports/2", "/api/frames/1", "/api/frames/2"])
def test_links_out_of_the_folder_are_not_followed(target, path):
    assert harmless(target.get(path)) == [404]


def test_what_is_there_is_there(target):
    """So that the tests above do not pass because nothing is."""
    assert b"HTTP/1.1 200" in target.get("/api/pictures/1/file")
    assert b'"run:class-1"' in target.get("/api/runs/2")
    assert b"HTTP/1.1 200" in target.get("/static/style.css")


METHODS = ("PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "OPTIONS", "get", "FOO", "CONNECT")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", [b"/", b"/api/runs", b"/static/style.css", b"/api/uploads/x"])
def test_other_methods_do_nothing(target, method, path):
    for headers in ((), ("X-Sfumato: 1",)):
        assert harmless(target.ask(target.request(method.encode(), path, *headers)))[0] in {400, 403, 404, 405}


RAW = {
    "two lengths": b"POST /api/runs HTTP/1.1\r\nHost: H\r\nX-Sfumato: 1\r\nContent-Length: 29\r\n"
    b"Content-Length: 0\r\n\r\n" + GENERATE,
    "length and chunks": b"POST /api/runs HTTP/1.1\r\nHost: H\r\nContent-Type: application/json\r\n"
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n"
    b"POST /api/runs HTTP/1.1\r\nHost: H\r\n\r\n",
    "odd chunks": b"POST /api/runs HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks and more": b"POST /api/runs HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunks that lie": b"POST /api/runs HTTP/1.1\r\nHost: H\r\nX-Sfumato: 1\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n{}\r\n",
    "a length below zero": b"POST /api/runs HTTP/1.1\r\nHost: H\r\nX-Sfumato: 1\r\nContent-Length: -5\r\n\r\n",
    "a length of letters": b"POST /api/runs HTTP/1.1\r\nHost: H\r\nX-Sfumato: 1\r\nContent-Length: 0x10\r\n\r\n",
    "two hosts": b"GET /api/runs HTTP/1.1\r\nHost: H\r\nHost: evil.example\r\n\r\n",
    "no host": b"GET /api/runs HTTP/1.1\r\n\r\n",
    "an old protocol": b"GET /api/runs HTTP/1.0\r\n\r\n",
    "an older one": b"GET /api/runs\r\n",
    "a newer one": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a whole address": b"GET http://evil.example/api/runs HTTP/1.1\r\nHost: H\r\n\r\n",
    "a proxy": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: H\r\n\r\n",
    "a null in a header": b"GET /api/runs HTTP/1.1\r\nHost: H\r\nX-A: a\x00b\r\n\r\n",
    "a folded header": b"GET /api/runs HTTP/1.1\r\nHost: H\r\nX-A: a\r\n Host: evil.example\r\n\r\n",
    "a space before the colon": b"GET /api/runs HTTP/1.1\r\nHost : evil.example\r\nHost: H\r\n\r\n",
    "bare line feeds": b"GET /api/runs HTTP/1.1\nHost: evil.example\n\n",
    "a carriage return alone": b"GET /api/runs HTTP/1.1\r\nHost: H\rX: evil\r\n\r\n",
    "a line break in a path": b"GET /api/runs%0d%0aX:1 HTTP/1.1\r\nHost: H\r\n\r\n",
    "a long path": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: H\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nHost: H\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: H\r\n" + b"".join(b"X-%d: a\r\n" % k for k in range(5000)) + b"\r\n",
    "letters that are none": b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\n\r\n",
    "noise": bytes(range(256)) * 8,
    "a handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    "a websocket": b"GET /api/events HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "half a request": b"GET /api/ru",
    "nothing": b"",
}  # fmt: skip


LAWFUL = {"a folded header", "many headers", "a long header"}
"""Odd, but what is odd in them is not looked at."""


@pytest.mark.parametrize("name", RAW)
def test_requests_that_are_none_are_refused_or_cut_off(target, name):
    before = target.runs()
    answer = target.ask(RAW[name].replace(b"Host: H", b"Host: 127.0.0.1:%d" % target.port), wait=1)
    statuses = harmless(answer, closed=True)
    allowed = [200] if name in LAWFUL else range(400, 500)
    assert all(status in allowed for status in statuses), (statuses, answer[:300])
    assert target.runs() == before
    assert b"HTTP/1.1 200" in target.get("/api/runs"), "the next one is served"


def test_a_second_request_in_the_same_connection_is_looked_at_as_well(target):
    before = target.runs()
    first = b"GET /api/runs HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % target.port
    second = b"POST /api/runs HTTP/1.1\r\nHost: evil.example\r\nX-Sfumato: 1\r\nContent-Type: application/json\r\n"
    answer = target.ask(first + second + b"Content-Length: %d\r\n\r\n" % len(GENERATE) + GENERATE, wait=5)
    assert harmless(answer) == [200, 421]
    assert target.runs() == before


def test_a_body_without_end_is_cut_off(target):
    head = target.request(
        b"POST", b"/api/runs", "X-Sfumato: 1", "Content-Type: application/json", "Transfer-Encoding: chunked"
    )
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    answer = target.ask(head + chunk * 100, wait=5)
    assert harmless(answer) == [413]


def job_of(rest: bytes) -> bytes:
    return b'{"job": {"kind": "generate", ' + rest + b"}}"


BOMBS = {
    "nested lists": b"[" * 3_000_000,
    "nested objects": b'{"job":' * 400_000,
    "a long text": job_of(b'"prompt": "' + b"x" * 3_900_000 + b'"'),
    "many numbers": b"[" + b"0," * 1_900_000 + b"0]",
    "many fields": b'{"job": {' + b",".join(b'"k%d": 1' % k for k in range(200_000)) + b"}}",
    "a long number": job_of(b'"seed": ' + b"9" * 4000),
    "no number": job_of(b'"guidance": NaN'),
    "a large number": job_of(b'"guidance": 1e999'),
    "a null byte": job_of(b'"prompt": "\\u0000"'),
    "half a letter": job_of(b'"prompt": "\\ud800"'),
    "a mark of byte order": b"\xef\xbb\xbf{}",
    "something behind": b"{}\x00",
    "other letters": "{}".encode("utf-16"),
    "null": b"null",
    "true": b"true",
    "a text": b'"x"',
    "no job": b'{"job": null}',
    "kinds": b'{"job": {"kind": ["generate"]}}',
    "a kind in a kind": b'{"job": {"kind": {"generate": 1}}}',
    "a prototype": b'{"__proto__": {}, "job": {}}',
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("path", [b"/api/runs", b"/api/trainings", b"/api/datasets"])
def test_json_that_is_none_or_too_much_is_refused(target, path, name):
    assert harmless(target.post(path, BOMBS[name]))[0] in {400, 413, 422}


def test_broken_jobs_are_queued_or_refused(tmp_path):
    with serving(tmp_path / "studio") as studio:
        for job in [
            *(facts["job"] for facts in mutants.mutated_jobs(150, seed=3) if "job" in facts),
            *mutants.endless(),
        ]:
            try:
                body = json.dumps({"job": job}, allow_nan=True)
            except (TypeError, ValueError):
                continue
            headers = {"X-Sfumato": "1", "Content-Type": "application/json"}
            answer = studio.client.post("/api/runs", content=body.encode("utf-8", "surrogatepass"), headers=headers)
            assert answer.status_code in {202, 400, 422, 429}, answer.text
            if answer.status_code != 202:
                line(answer)
        assert {run.order["jobs"][0]["model"] for run in studio.parts.store.runs(limit=-1)} <= bundled_models().keys()


def test_broken_pictures_are_taken_or_refused(target):
    statuses = []
    for data in mutants.mutated_pictures(60, seed=11):
        own = ("X-Sfumato: 1", f"Content-Length: {len(data)}", "Content-Type: image/png")
        path = b"/api/uploads?name=..%2f..%2f..%2fevil.png"
        statuses += harmless(target.ask(target.request(b"POST", path, *own, body=data)))
    assert set(statuses) == {201, 422}


def test_names_that_sqlite_obeys_are_only_texts(target):
    for word in ("'; DROP TABLE runs; --", '" OR 1=1', "%", "_", "\\", "a" * 5000, "\x00", "🦊" * 500):
        assert harmless(target.get(f"/api/pictures?search={quote(word)}&limit=5")) == [200]
    assert target.runs() >= 2


def test_forwarded_headers_change_nothing(target):
    headers = (
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-For: 10.0.0.1",
        "Forwarded: host=evil.example",
        "X-Original-URL: /x",
    )
    assert harmless(target.get("/api/runs", *headers)) == [200]
    assert harmless(target.get("/x", "X-Rewrite-URL: /api/runs")) == [404]


def test_afterwards_all_is_as_it_was(target):
    """The last of this file: what the tests above have tried has written nothing but uploads."""
    after = tree(target.outside)
    uploads = str(target.parts.store.folder / "uploads")
    new = set(after) - set(target.before)
    assert [path for path in new if not path.startswith(uploads)] == []
    assert {path: after.get(path) for path in target.before} == target.before
    assert target.parts.store.runs("running", -1) == []
