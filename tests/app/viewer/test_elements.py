import re
from importlib.resources import files

from sfumato.app.report.document import document
from sfumato.app.viewer.elements import ELEMENTS, ORDER, bundle, modules


def test_all_modules_are_there():
    folder = files("sfumato.app.viewer")
    assert sorted(modules()) == sorted(each.name for each in folder.iterdir() if each.name.endswith(".js"))
    for name in ELEMENTS:
        assert f'customElements.define("sf-{name}"' in modules()[f"{name}.js"]


def test_modules_import_only_each_other_and_in_order():
    for name, source in modules().items():
        statements = re.findall(r"^import .*$", source, re.MULTILINE)
        imported = [re.fullmatch(r'import \{[^}]*\} from "\./(\w+)\.js";', line) for line in statements]
        assert all(imported)
        assert all(ORDER.index(match[1]) < ORDER.index(name.removesuffix(".js")) for match in imported)


def test_the_script_stands_alone():
    script = bundle()
    assert script == bundle()
    assert not re.search(r"^\s*(import|export)\b|\bimport\(", script, re.MULTILINE)
    assert "</script" not in script.lower()
    assert "://" not in script


def test_nothing_that_a_strict_policy_forbids():
    for source in modules().values():
        assert not re.search(
            r"innerHTML|insertAdjacentHTML|eval\(|new Function|\"style\"|\bstyle:|cssText|<style", source
        )


def test_a_page_has_the_script_once_and_only_where_it_is_needed():
    assert "<script" not in document("Plain", "<p>&lt;sf-turn views&gt;</p>")
    page = document("Moving", '<sf-turn views="[]"></sf-turn><sf-compare labels="[]"></sf-compare>')
    assert page.count("<script") == 1
    assert bundle() in page
