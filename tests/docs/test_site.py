"""The built documentation: no warning, no request to any other host, readable on a phone, nothing serious for axe."""

import re

import pytest

pytestmark = pytest.mark.slow
SHOWN = (
    "index",
    "start",
    "tutorial/noise",
    "choices",
    "architecture",
    "commands",
    "api/engine",
    "notebook",
    "glossary",
)


def files(site):
    return sorted(site.rglob("*.html"))


def test_it_builds_with_every_page(site):
    names = {str(file.relative_to(site)) for file in files(site)}
    assert {f"{name}.html" for name in SHOWN} <= names
    assert {"adr/README.html", "adr/0001-one-formula.html", "cluster.html", "studio.html"} <= names


def test_its_files_ask_for_nothing_elsewhere(site):
    for file in files(site):
        text = file.read_text(encoding="utf-8")
        asked = re.findall(r'<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]+)"', text)
        assert asked == [], file.name
    for file in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", file.read_text(encoding="utf-8")), file.name


def test_formulas_are_mathml_and_shapes_are_readable(site):
    noise = (site / "tutorial/noise.html").read_text(encoding="utf-8")
    assert noise.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"') >= 4
    assert "MathJax" not in noise
    api = re.sub(r"<[^>]+>", "", (site / "api/index.html").read_text(encoding="utf-8"))
    assert re.search(r"Float\[Tensor, ('|&#39;|\")b c h w", api)


def test_no_markup_is_left_as_text(site):
    for file in files(site):
        if file.name in {"genindex.html", "search.html", "py-modindex.html"}:
            continue
        article = file.read_text(encoding="utf-8").split("<article", 1)[1].split("</article>")[0]
        prose = re.sub(r"<(pre|code|dt|math)\b.*?</\1>", "", article, flags=re.DOTALL)
        text = re.sub(r"<[^>]+>", "", prose)
        assert not re.search(r"``|`[^`\s]|\]\(|\*\*|&lt;!--", text), (
            file.name,
            re.search(r".{40}(``|`[^`\s]|\]\(|\*\*)", text),
        )


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_pages_load_quietly_and_fit_a_phone(site, address, page_of, colours):
    page = page_of(viewport={"width": 360, "height": 740}, color_scheme=colours)
    for file in files(site):
        page.goto(f"{address}/{file.relative_to(site)}")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, file.name


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_serious(address, page_of, colours):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = page_of(viewport={"width": 1280, "height": 900}, color_scheme=colours)
    for name in SHOWN:
        page.goto(f"{address}/{name}.html")
        found = axe.run(page).response["violations"]
        serious = [
            (violation["id"], [node["html"][:150] for node in violation["nodes"][:3]])
            for violation in found
            if violation["impact"] in {"serious", "critical"}
        ]
        assert serious == [], name


def test_search_finds_a_page(address, page_of):
    page = page_of(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/search.html?q=anagram")
    page.wait_for_selector("#search-results a")
    assert page.locator("#search-results a").count() > 3
