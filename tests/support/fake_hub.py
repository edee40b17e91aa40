"""A hub of models on this machine: a cache as huggingface_hub lays it out, and a server that speaks like the hub."""

import contextlib
import hashlib
import json
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import huggingface_hub
from huggingface_hub import constants, hf_api

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def safetensors(values: int = 4) -> bytes:
    """A file of one tensor of so many bytes."""
    header = json.dumps({"x": {"dtype": "U8", "shape": [values], "data_offsets": [0, values]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(values)


def pipeline(*, half: bool = True, shards: int = 2, text: bool = True) -> dict[str, bytes]:
    """The files of a repository in the layout of DeepFloyd IF, tiny, with all that must not be downloaded."""
    index = {
        "_class_name": "IFPipeline",
        "requires_safety_checker": True,
        "unet": ["diffusers", "UNet2DConditionModel"],
        "scheduler": ["diffusers", "DDPMScheduler"],
        "tokenizer": ["transformers", "T5Tokenizer"],
        "text_encoder": ["transformers", "T5EncoderModel"],
        "safety_checker": ["deepfloyd_if", "IFSafetyChecker"],
        "watermarker": ["deepfloyd_if", "IFWatermarker"],
        "image_encoder": [None, None],
    }
    files = {
        ".gitattributes": b"",
        "README.md": b"# IF",
        "IF.ckpt": b"pickle",
        "IF.safetensors": safetensors(999),
        "model_index.json": json.dumps(index).encode(),
        "scheduler/scheduler_config.json": b"{}",
        "tokenizer/spiece.model": b"words",
        "tokenizer/tokenizer_config.json": b"{}",
        "unet/.ipynb_checkpoints/config-checkpoint.json": b"{}",
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.bin": b"pickle",
        "unet/diffusion_pytorch_model.safetensors": safetensors(80),
        "safety_checker/config.json": b"{}",
        "safety_checker/model.safetensors": safetensors(),
        "watermarker/config.json": b"{}",
        "watermarker/diffusion_pytorch_model.safetensors": safetensors(),
    }
    if half:
        files["unet/diffusion_pytorch_model.fp16.safetensors"] = safetensors(40)
    if text:
        files |= {"text_encoder/config.json": b"{}", "text_encoder/pytorch_model.bin.index.json": b"{}"}
        for name, dtype, size in (("model", "", 60), ("model.fp16", ".fp16", 30)):
            names = [f"{name}-{k + 1:05}-of-{shards:05}.safetensors" for k in range(shards)]
            files |= {f"text_encoder/{shard}": safetensors(size) for shard in names}
            index = {"metadata": {}, "weight_map": {f"w{k}": shard for k, shard in enumerate(names)}}
            files[f"text_encoder/model.safetensors.index{dtype}.json"] = json.dumps(index).encode()
    return files


def cached(cache, repo: str, files: dict[str, bytes], commit: str = COMMIT, ref: str | None = "main"):
    """Put a snapshot into a cache. Returns its folder."""
    home = cache / f"models--{repo.replace('/', '--')}"
    folder = home / "snapshots" / commit
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    folder.mkdir(parents=True, exist_ok=True)
    if ref:
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / ref).write_text(commit)
    return folder


def use_cache(monkeypatch, folder):
    """Let huggingface_hub keep its files in a folder, without a token of the user's."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return folder / "hub"


class Hub:
    """What a server of models has, and what it was asked for."""

    def __init__(self, repos: dict[str, dict[str, bytes]]) -> None:
        self.repos, self.url = repos, ""
        self.commit, self.gated = COMMIT, False
        self.refuses: tuple[int, str] | None = None
        """A status and an error code with which files are refused."""
        self.asked: list[str] = []
        """The files that were downloaded."""
        self.stops_at: str | None = None
        """The file whose download breaks off in the middle."""

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer to a path."""
        parts = unquote(urlsplit(path).path).strip("/").split("/")
        if parts[:2] == ["api", "models"] and len(parts) >= 4:
            return self._about(parts[2] + "/" + parts[3], parts[4:])
        repo, name = "/".join(parts[:2]), "/".join(parts[4:])
        if len(parts) < 5 or name not in self.repos.get(repo, {}):
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        if self.refuses:
            return self.refuses[0], {"X-Error-Code": self.refuses[1]}, b""
        data = self.repos[repo][name]
        return 200, {"ETag": f'"{_digest(data)}"', "X-Repo-Commit": self.commit}, data

    def _about(self, repo: str, rest: list[str]) -> tuple[int, dict[str, str], bytes]:
        if repo not in self.repos:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        if rest[:1] == ["revision"] and rest[1] not in {"main", self.commit}:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        files = self.repos[repo].items()
        if rest[:1] == ["tree"]:
            tree = [{"type": "file", "path": name, "size": len(data), "oid": _digest(data)} for name, data in files]
            return 200, {}, json.dumps(tree).encode()
        siblings = [{"rfilename": name, "size": len(data), "blobId": _digest(data)} for name, data in files]
        facts = {"id": repo, "sha": self.commit, "siblings": siblings, "gated": self.gated, "private": False}
        return 200, {}, json.dumps({**facts, "cardData": {"license": "openrail++"}}).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


@contextlib.contextmanager
def serving(monkeypatch, repos):
    """A hub on this machine to which huggingface_hub speaks."""
    hub = Hub(repos)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            status, headers, body = hub.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                name = self.path.partition(f"/resolve/{hub.commit}/")[2]
                if name:
                    hub.asked.append(name)
                self.wfile.write(body[: len(body) // 2] if name and name == hub.stops_at else body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    point_to(monkeypatch, hub.url)
    try:
        yield hub
    finally:
        huggingface_hub.close_session()
        server.shutdown()
        server.server_close()
        thread.join()


def point_to(monkeypatch, url: str) -> None:
    """Let huggingface_hub take the hub to be at a URL."""
    huggingface_hub.close_session()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(hf_api.api, "endpoint", url)
