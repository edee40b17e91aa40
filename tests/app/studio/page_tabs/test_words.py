"""Small things that are said and drawn: readings in words, numbers of a curve, labels from folders."""


def reading(look, prompt, read, probability):
    return {"look": look, "prompt": prompt, "read": read, "probability": probability, "right": prompt == read}


def test_a_failure_is_told_in_words_and_success_needs_none(modules):
    bad = [reading("identity", "6", "6", 0.98), reading("rotate:180", "9", "5", 0.12)]
    assert modules("readings.js", "(m, r) => m.told(r)", bad) == "Upside down it is read as 5, not 9."
    assert modules("readings.js", "(m, r) => m.told(r)", bad[:1]) == ""
    assert "look for yourself" in modules("readings.js", "(m, r) => m.told(r)", [])


def test_many_seeds_are_counted_and_the_best_come_first(modules):
    good = [reading("identity", "6", "6", 0.98), reading("rotate:180", "9", "9", 0.7)]
    bad = [reading("identity", "6", "6", 0.98), reading("rotate:180", "9", "5", 0.12)]
    pictures = [{"seed": 1, "readings": bad}, {"seed": 2, "readings": good}]
    said = modules("readings.js", "(m, p) => m.tally(p)", pictures)
    assert said.startswith("1 of 2 seeds is read as asked in every way; the best one's weakest reading has 70\u00a0%.")
    assert modules("readings.js", "(m, p) => p.sort(m.byWeakest).map((each) => each.seed)", pictures) == [2, 1]
    assert modules("readings.js", "(m, p) => m.tally(p.slice(0, 1))", pictures) == ""


def test_a_probability_is_never_rounded_to_certainty(modules):
    said = modules("readings.js", "(m, list) => list.map(m.percent)", [0, 0.004, 0.5, 0.996, 1])
    assert said == ["0\u00a0%", "<1\u00a0%", "50\u00a0%", ">99\u00a0%", "100\u00a0%"]


def test_a_smoothed_curve_is_a_weighted_mean_from_its_first_point_on(modules):
    points = [[1, 4.0], [2, 2.0], [3, 0.0]]
    assert modules("curve.js", "(m, p) => m.smoothed(p, 0)", points) == points
    smooth = modules("curve.js", "(m, p) => m.smoothed(p, 0.5)", points)
    assert [y for _, y in smooth] == [4.0, (0.25 * 4 + 0.5 * 2) / 0.75, (0.125 * 4 + 0.25 * 2) / 0.875]


def test_names_of_folders_are_labels_where_there_are_several(modules):
    code = """(m, paths) => m.grouped(paths.map((path) => ({path, file: path})))
      .map(({label, files}) => [label, files.length])"""
    several = ["set/cat/1.png", "set/cat/2.png", "set/dog/1.png", "set/.DS_Store", "set/dog/._1.png"]
    assert modules("dataset.js", code, several) == [["cat", 2], ["dog", 1]]
    assert modules("dataset.js", code, ["mine/1.png", "mine/2.png"]) == [["", 2]]
    assert modules("dataset.js", code, ["10/a.png", "2/a.png"]) == [["2", 1], ["10", 1]]


def test_weights_are_written_as_on_the_command_line(modules):
    code = """(m, texts) => texts.map((text) => {
      try { return m.parseEnds(text, "it"); } catch (error) { return error.message; }
    })"""
    found = modules("reading-rows.js", code, ["", "2", "2..0.5", "a", "2..", "1..2..3"])
    assert found[:3] == [None, 2, [2, 0.5]]
    assert all(text.startswith("it wants a number, or two such as 2..0.5") for text in found[3:])


def test_ink_shows_on_the_paper_until_somebody_chooses(modules):
    code = """(m) => {
      const none = () => {};
      const tools = m.brushTools({ mask: false, undo: none, redo: none, negate: none, wipe: none, changed: none });
      const inks = [false, true, false].map((colour) => (tools.setColours(colour), tools.ink[0]));
      tools.setColours(true);
      const sheet = document.createElement("div");
      sheet.append(...[tools.element].flat());
      sheet.querySelectorAll("button.ink")[3].click();
      const red = tools.ink.join();
      tools.setColours(true);
      return [...inks, tools.ink.join() === red];
    }"""
    light, dark, again, kept = modules("brush-tools.js", code)
    assert (light, again, kept) == (255, 255, True)
    assert dark < 64
