"""Who is let in: this machine's own page, and nobody else's."""

import pytest
from served import CHANGES, PORT, line, serving

from sfumato.app.studio.guard import MOST_BODY, MOST_UPLOAD, POLICY, Access


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("studio")) as served:
        yield served


@pytest.fixture(scope="module")
def behind_a_token(tmp_path_factory):
    base = f"http://192.0.2.7:{PORT}"
    with serving(tmp_path_factory.mktemp("studio"), token="s3cret-enough", host="192.0.2.7", base=base) as served:
        yield served


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}", f"LOCALHOST:{PORT}"])
def test_the_names_of_this_machine_are_ours(studio, host):
    assert studio.get("/api/runs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1.evil.example:{PORT}", "",
     f"127.0.0.1:{PORT}.evil.example", f"127.0.0.1:{PORT}@evil.example", f"[::1]x:{PORT}", f"[::1:{PORT}",
     f"0.0.0.0:{PORT}", f"127.0.0.2:{PORT}", f"2130706433:{PORT}", f"localhost.:{PORT}", f" localhost:{PORT}"],
)  # fmt: skip
def test_any_other_name_is_not(studio, host):
    answer = studio.get("/api/runs", headers={"host": host})
    assert answer.status_code == 421, line(answer)


def test_what_changes_something_needs_our_header(studio):
    answer = studio.client.post("/api/runs", json={"job": {"kind": "generate"}})
    assert (answer.status_code, line(answer)) == (
        403,
        "requests that change something need the header X-Sfumato: 1",
    )


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", f"https://127.0.0.1:{PORT}", "http://127.0.0.1", f"http://localhost:{PORT}",
     f"http://127.0.0.1:{PORT}.evil.example", f"http://127.0.0.1:{PORT + 1}", "", "file://"],
)  # fmt: skip
def test_another_origin_changes_nothing(studio, origin):
    answer = studio.client.post("/api/runs", json={}, headers={**CHANGES, "Origin": origin})
    assert (answer.status_code, line(answer)) == (403, "another page may not use the studio")


def test_our_own_origin_may(studio):
    headers = {**CHANGES, "Origin": f"http://127.0.0.1:{PORT}", "Sec-Fetch-Site": "same-origin"}
    assert studio.client.post("/api/runs", json={}, headers=headers).status_code == 422


@pytest.mark.parametrize("site", ["cross-site", "same-site", "CROSS-SITE", "whatever"])
@pytest.mark.parametrize("path", ["/", "/api/hello", "/api/pictures/1/file", "/static/style.css"])
def test_what_another_page_asks_for_is_refused(studio, site, path):
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert studio.get(path, headers=headers).status_code == 403


def test_a_link_to_the_page_can_be_followed_but_not_to_the_rest(studio):
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert studio.get("/", headers=visit).status_code == 200
    assert studio.get("/", headers={**visit, "Sec-Fetch-Dest": "iframe"}).status_code == 403
    assert studio.get("/api/runs", headers=visit).status_code == 403


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_a_body_is_json(studio, kind):
    answer = studio.client.post("/api/runs", content=b"{}", headers={**CHANGES, "Content-Type": kind})
    assert answer.status_code == 415, line(answer)
    assert studio.client.post("/api/runs", content=b"{}", headers=CHANGES).status_code == 415, (
        "or says nothing of itself"
    )


def test_json_may_say_its_letters(studio):
    headers = {**CHANGES, "Content-Type": "Application/JSON; charset=utf-8"}
    assert studio.client.post("/api/runs", content=b"{}", headers=headers).status_code == 422


def _pieces(size: int):
    for _ in range(size // 100_000 + 1):
        yield b" " * 100_000


@pytest.mark.parametrize(("path", "most"), [("/api/runs", MOST_BODY), ("/api/uploads", MOST_UPLOAD)])
def test_a_large_body_is_refused_whether_it_says_so_or_not(studio, path, most):
    headers = {**CHANGES, "Content-Type": "application/json"}
    said = studio.client.post(path, content=b"", headers={**headers, "Content-Length": str(most + 1)})
    silent = studio.client.post(path, content=_pieces(most), headers=headers)
    assert "content-length" not in silent.request.headers
    for answer in (said, silent):
        assert answer.status_code == 413, answer.text
        assert f"{most // 1_000_000} MB" in line(answer)


@pytest.mark.parametrize("length", ["-1", "+5", "abc", "1e9", "９", "9" * 30, "5, 5", ""])
def test_a_length_that_is_no_number_is_refused(studio, length):
    headers = [*CHANGES.items(), ("Content-Type", "application/json"), ("Content-Length", length.encode())]
    answer = studio.client.post("/api/runs", content=b"{}", headers=headers)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("name", ["Host", "Origin", "Content-Type", "Content-Length", "X-Sfumato", "Sec-Fetch-Site"])
def test_a_header_that_counts_stands_there_once(studio, name):
    headers = [
        *CHANGES.items(),
        ("Host", f"127.0.0.1:{PORT}"),
        ("Content-Type", "application/json"),
        (name, "1"),
        (name, "1"),
    ]
    answer = studio.client.post("/api/runs", content=b"{}", headers=headers)
    assert answer.status_code == 400, answer.text


def test_all_answers_forbid_what_the_page_does_not_need(studio):
    paths = ("/", "/static/style.css", "/api/runs", "/api/runs/99", "/nothing", "/api/runs/x")
    refused = [studio.client.post("/api/runs"), studio.get("/", headers={"host": "evil.example"})]
    for answer in (*map(studio.get, paths), *refused):
        headers = answer.headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert not {name for name in headers if name.startswith("access-control")}
        if answer.request.url.path.startswith("/api"):
            assert headers["cache-control"] == "no-store"


def test_a_preflight_is_not_answered_with_a_permission(studio):
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = studio.client.options("/api/runs", headers=headers)
    assert answer.status_code == 403
    assert not {name for name in answer.headers if name.startswith("access-control")}


def test_an_error_of_ours_is_one_line_and_a_traceback_in_the_log_alone(studio, monkeypatch, caplog):
    def fail(*_):
        raise ZeroDivisionError("something private")

    monkeypatch.setattr(studio.parts.store, "runs", fail)
    answer = studio.get("/api/runs")
    assert (answer.status_code, "private" in answer.text) == (500, False)
    assert line(answer).startswith("something went wrong")
    assert "something private" in caplog.text


def test_no_websockets(studio):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), studio.client.websocket_connect("/api/events"):
        pass


# The token.


def test_without_the_token_there_is_nothing(behind_a_token):
    for path in ("/", "/static/style.css", "/api/hello", "/api/runs", "/viewer/turn.js", "/nothing"):
        assert behind_a_token.get(path).status_code == 401, path
    assert behind_a_token.post("/api/runs", {}).status_code == 401


@pytest.mark.parametrize("token", ["", "s3cret-enougH", "s3cret-enough.", "ß", "%00", "s3cret"])
def test_a_wrong_token_opens_nothing(behind_a_token, token):
    assert behind_a_token.get("/", params={"token": token}).status_code == 401
    cookie = f"sfumato-{PORT}={token}".encode()
    assert behind_a_token.get("/", headers={"Cookie": cookie}).status_code == 401
    assert behind_a_token.get("/api/runs", params={"token": "s3cret-enough"}).status_code == 401, (
        "only the page takes it"
    )


def test_the_token_becomes_a_cookie_and_leaves_the_address(behind_a_token):
    answer = behind_a_token.get("/?token=s3cret-enough")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    try:
        assert behind_a_token.get("/").status_code == 200, "the client keeps the cookie"
        assert behind_a_token.get("/api/runs").status_code == 200
    finally:
        behind_a_token.client.cookies.clear()


def test_a_studio_for_others_knows_its_addresses():
    one = Access("192.0.2.7", 80, "token-token")
    assert one.is_ours("192.0.2.7")
    assert one.is_ours("192.0.2.7:80")
    assert not one.is_ours("192.0.2.8:80")
    everywhere = Access("0.0.0.0", PORT, "token-token")
    assert everywhere.is_ours(f"192.0.2.8:{PORT}")
    assert everywhere.is_ours(f"[2001:db8::1]:{PORT}")
    assert not everywhere.is_ours(f"evil.example:{PORT}"), "a name can be moved here by whoever owns it"
    assert not Access("0.0.0.0", PORT, None).is_ours(f"192.0.2.8:{PORT}")
    assert not Access(token=None).knows("")
