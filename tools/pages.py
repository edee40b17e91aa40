"""Run what the pages of the documentation show:  python tools/pages.py [PAGE.md ...]

A page is read from top to bottom in an empty folder, as a reader would type it: its Python in one namespace (blocks
`python`, and `pycon` with the answers that must come), its commands (blocks `console`) where `<!-- run -->` stands
above. Every other command is at least one that the program understands.

Called as a program, it puts the pictures that the examples of the tutorial make where its pages show them, and runs the
notebook and keeps what it puts out: do this when the bundled models have changed. A minute or two.
"""

from __future__ import annotations

import base64
import contextlib
import doctest
import io
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from PIL import Image, ImageDraw

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NOTEBOOK = ROOT / "examples" / "tour.ipynb"
SHOWN = re.compile(r"!\[[^\]]*\]\(((?:\.\./)*images/tutorial/([\w.-]+))\)")
"""A picture that a page shows and makes: its path from the page, and its name."""
OTHERS = {"cd", "hf", "make", "open", "pip", "python", "sbatch", "torchrun"}
"""Programs that pages may call beside ours."""

_FENCE = re.compile(r"^(?:<!-- (run) -->\n)?```(python|pycon|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`(sfumato [^`]+)`")


@dataclass(frozen=True)
class Block:
    """A piece of a page that can be run."""

    kind: Literal["python", "pycon", "console"]
    text: str
    line: int
    """Of its first line in the page."""
    run: bool


@dataclass(frozen=True)
class Command:
    """A command of a console block."""

    words: tuple[str, ...]
    answer: str
    """What the page says that it prints; empty where the page does not say."""


def blocks(page: Path) -> list[Block]:
    """What of a page can be run, from top to bottom."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(kind, body, text.count("\n", 0, at.start(3)) + 1, bool(run) or kind != "console")  # type: ignore[arg-type]
        for at in _FENCE.finditer(text)
        for run, kind, body in [at.groups()]
    ]


def commands(text: str) -> list[Command]:
    """The commands of a console block. Raises ValueError for a block that does not begin with one."""
    found: list[tuple[str, list[str]]] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
        elif line.strip():
            raise ValueError(f"a console block begins with a command, not {line!r}")
    return [Command(tuple(shlex.split(words, comments=True)), "\n".join(answer).strip()) for words, answer in found]


def inline_commands(page: Path) -> list[str]:
    """The commands in the text of a page, but for those with a gap or a placeholder in them."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = [" ".join(words.split()) for words in _INLINE.findall(prose)]
    return [words for words in found if not re.search(r"…|\||\b[A-Z]{2,}\b", words)]


def ours(words: tuple[str, ...]) -> list[str] | None:
    """The arguments of sfumato in a command; None where it is another program's, which must be one of OTHERS."""
    if Path(words[0]).name == "sfumato":
        return list(words[1:])
    if words[0] in {"python", "torchrun"} and "-m" in words:
        at = words.index("-m")
        return list(words[at + 2 :]) if words[at + 1] == "sfumato" else None
    if words[0] not in OTHERS:
        raise ValueError(f"the page calls {words[0]!r}, which is not one of {', '.join(sorted(OTHERS))}")
    script = next((word for word in words if word.startswith("tools/")), None)
    if script is not None and not (ROOT / script).is_file():
        raise ValueError(f"there is no {script}")
    return None


def understood(arguments: list[str], *, named: bool = False) -> None:
    """Raise what the program would, were it called with these arguments; nothing is run.

    A command that is only `named`, as in a sentence on `sfumato rerun`, may lack its arguments.
    """
    import typer

    import sfumato.app.cli  # noqa: F401 (its function main hides the module of the same name)

    arguments = [word for word in arguments if word != "--help"]
    if not arguments:
        return
    import_module("sfumato.app.cli.main")
    command = typer.main.get_command(sys.modules["sfumato.app.cli.main"].app)
    context, rest = command.make_context("sfumato", list(arguments)), arguments
    while hasattr(command, "resolve_command") and rest:
        name, command, rest = command.resolve_command(context, rest)
        if hasattr(command, "resolve_command"):
            context = command.make_context(name, list(rest), parent=context)
        elif rest or not named:
            command.make_context(name, rest, parent=context)


@dataclass
class Reader:
    """Who types a page in, in a folder with some pictures of their own."""

    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def read(self, page: Path) -> None:
        """Run a page. Raises what goes wrong, and AssertionError where an answer is another one than the page says."""
        for block in blocks(page):
            if block.run:
                where = f"{page.name}, line {block.line}"
                with contextlib.chdir(self.folder):
                    getattr(self, f"_{block.kind}")(block.text, where)

    def _python(self, text: str, where: str) -> None:
        exec(compile(text, where, "exec"), self.names)

    def _pycon(self, text: str, where: str) -> None:
        test = doctest.DocTestParser().get_doctest(text, {}, where, where, 0)
        test.globs = self.names
        said = io.StringIO()
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        result = doctest.DocTestRunner(optionflags=flags).run(test, out=said.write, clear_globs=False)
        assert not result.failed, f"{where}\n{said.getvalue()}"

    def _console(self, text: str, where: str) -> None:
        for command in commands(text):
            arguments = ours(command.words)
            assert arguments is not None, f"{where}: only commands of sfumato are run, not {command.words[0]}"
            code, out, err = called(_globbed(arguments))
            assert code == 0, f"{where}: {shlex.join(command.words)} ended with {code}: {err}"
            if command.answer:
                _same(command.answer, out, where)


def called(arguments: list[str]) -> tuple[int, str, str]:
    """What the program does: exit code, and what it says on standard output and standard error."""
    from sfumato.app.cli import main

    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code
    return int(code or 0), out.getvalue(), err.getvalue()  # type: ignore[call-overload]


def given(folder: Path) -> None:
    """The pictures that a reader is supposed to have: a drawing, a mask for it, and a photo."""
    drawing = Image.new("L", (112, 112))
    pen = ImageDraw.Draw(drawing)
    pen.arc((32, 14, 80, 58), -150, 90, fill=255, width=11)
    pen.arc((28, 50, 84, 100), -90, 150, fill=255, width=11)
    drawing.save(folder / "drawing.png")
    mask = Image.new("L", (112, 112))
    mask.paste(255, (0, 0, 56, 112))
    mask.save(folder / "mask.png")
    photo = Image.radial_gradient("L").resize((96, 72))
    Image.merge("RGB", (photo, photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT), photo)).save(folder / "photo.jpg")


def pages() -> list[Path]:
    """All pages with something to run, the README too; decisions show nothing that is run."""
    return [ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if "adr" not in page.parts)]


def made(page: Path) -> Iterator[tuple[Path, Path]]:
    """Run a page; each picture that it shows and makes: where it was made, and where it is shown from."""
    shown = SHOWN.findall(page.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given(folder)
        Reader(folder).read(page)
        for path, file in shown:
            yield folder / file, (page.parent / path).resolve()


def run_notebook(path: Path) -> dict[str, Any]:
    """The notebook with what its cells put out now, in a kernel of its own and an empty folder."""
    import nbclient
    import nbformat

    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(book, timeout=300, kernel_name="python3", record_timing=False)
        client.execute(cwd=folder)
    book.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            _small(output)
    return book


def main() -> None:
    """Make the pictures of the pages named, or of all and the notebook."""
    chosen = [Path(name).resolve() for name in sys.argv[1:]]
    for page in chosen or [page for page in pages() if SHOWN.search(page.read_text(encoding="utf-8"))]:
        for there, here in made(page):
            here.parent.mkdir(parents=True, exist_ok=True)
            here.write_bytes(there.read_bytes())
            print(here.relative_to(ROOT))
    if not chosen:
        import nbformat

        nbformat.write(run_notebook(NOTEBOOK), NOTEBOOK)
        print(NOTEBOOK.relative_to(ROOT))


def _small(output: Any) -> None:
    """A picture once, as a PNG that is no larger than it must be."""
    data = output.get("data", {})
    data.pop("image/jpeg", None)
    if "image/png" in data:
        packed = io.BytesIO()
        Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).save(packed, "PNG", optimize=True)
        data["image/png"] = base64.b64encode(packed.getvalue()).decode()


def _globbed(arguments: list[str]) -> list[str]:
    """As a shell does it: a pattern is the files that it fits, where there are any."""
    return [
        file for word in arguments for file in (sorted(map(str, Path().glob(word))) if "*" in word else []) or [word]
    ]


def _same(answer: str, out: str, where: str) -> None:
    """`…` in an answer stands for anything."""
    pattern = ".*?".join(re.escape(" ".join(part.split())) for part in answer.split("…"))
    assert re.fullmatch(pattern, " ".join(out.split()), re.DOTALL), (
        f"{where}: the page says\n{answer}\nand it is\n{out}"
    )


if __name__ == "__main__":
    main()
