"""Make the README's pictures with the bundled models:  python tools/pictures.py"""

from __future__ import annotations

from pathlib import Path

import torch

import sfumato as sf
from sfumato.app.output import save_image, sheet
from sfumato.core.pixels import from_unit, to_unit
from sfumato.core.views import IDENTITY, Rotate
from sfumato.evaluation.illusions import anagram_table
from sfumato.evaluation.judge import load_judge
from sfumato.evaluation.judges import Among
from sfumato.evaluation.matcher import load_matcher
from sfumato.evaluation.samples import Sampling
from sfumato.training.captions import caption

FOLDER = Path(__file__).parent.parent / "docs/images"
PAIRS = [("6", "9"), ("0", "0"), ("1", "1"), ("8", "8"), ("9", "6"), ("2", "2"), ("5", "5"), ("7", "4")]
SEEDS = range(16)
WORDS = {
    "a panda": "panda",
    "a rocket ship": "rocket",
    "a sticker of a tiger face": "tiger face",
    "an oil painting of a sunflower": "sunflower",
}
"""Prompts, and the names that the judge has for what they ask for."""

IN_COLOUR = [
    ("dog", "cat face", "flip"),
    ("wolf", "horse face", "rotate:180"),
    ("castle", "panda", "flip"),
    ("teddy bear", "duck", "rotate:90"),
    ("water wave", "volcano", "negate"),
]
"""Names of the judge, as the picture is and through a view."""


def emerging() -> None:
    """Six digits at seven moments of their way from noise: each row a digit, each column a step."""
    model = sf.load("digits")
    rows = []
    for digit, seed in (("3", 0), ("8", 2), ("5", 1)):
        told = list(sf.trace(model, sf.guided(digit, scale=2), seeds=[seed], steps=34))
        moments = [0, 8, 16, 20, 24, 27, 29, 31, 32, 34]
        rows += [to_unit(told[at].x, model)[0] for at in moments]
    save_image(sheet(torch.stack(rows), columns=10, zoom=3), FOLDER / "emerging.png")


def words() -> None:
    """Four prompts at moments of their way from noise: of sixteen seeds that of which the judge is surest."""
    model, judge = sf.load("emoji", dtype="bfloat16"), load_matcher()
    moments, scale = [0, 3, 6, 9, 12, 15, 18, 21, 23, 25], model.defaults.guidance
    rows = []
    for prompt, name in WORDS.items():
        tree = sf.guided(prompt, scale=scale)
        made = sf.sample(model, tree, seeds=SEEDS, steps=25)
        sure = judge.probabilities(made, judge.names)[:, judge.names.index(name)]
        best = SEEDS[int(sure.argmax())]
        print(prompt, f"shown: seed {best}, probability {float(sure.max()):.2f}")
        told = list(sf.trace(model, tree, seeds=[best], steps=25))
        rows += [to_unit(told[at].x, model)[0].clamp(0, 1) for at in moments]
    save_image(sheet(torch.stack(rows), columns=len(moments), zoom=1), FOLDER / "words.png")


def anagrams() -> None:
    """For each pair the seed of sixteen whose weakest reading the judge is surest of: above upright, below turned."""
    model, judge = sf.load("digits"), load_judge()
    scale = model.defaults.guidance_of(illusion=True)
    how = Sampling(model.defaults.steps, scale)
    table = anagram_table(model, PAIRS, judge, how, seeds=SEEDS)
    upright = []
    for score in table.scores:
        first, second = (sf.guided(name, scale=scale) for name in score.wanted)
        tree = sf.anagram([first, second], [IDENTITY, Rotate(180)])
        upright.append(sf.sample(model, tree, seeds=[score.best_seed], steps=how.steps))
        print(score.wanted, f"{score.both} of {score.count} seeds; shown: seed {score.best_seed}")
    above = torch.cat(upright)
    save_image(sheet(torch.cat([above, Rotate(180)(above)]), columns=len(PAIRS), zoom=3), FOLDER / "anagrams.png")


def anagrams_in_colour() -> None:
    """The same of words, each pair with its own view: of sixty-four seeds, for fewer succeed."""
    model, judge = sf.load("emoji", dtype="bfloat16"), load_matcher()
    how = Sampling(model.defaults.steps, model.defaults.guidance)
    above, below = [], []
    for first, second, spelled in IN_COLOUR:
        view = sf.view(spelled)
        among = Among(judge, judge.names)
        table = anagram_table(
            model, [(first, second)], among, how, views=(IDENTITY, view), seeds=range(64), prompt=caption
        )
        score = table.scores[0]
        print(
            score.wanted,
            spelled,
            f"{score.both} of {score.count} seeds; shown: seed {score.best_seed}",
            score.best_weakest,
        )
        tree = sf.anagram([sf.guided(caption(name), scale=how.guidance) for name in score.wanted], [IDENTITY, view])
        made = sf.sample(model, tree, seeds=[score.best_seed], steps=how.steps)
        above.append(made)
        below.append(to_unit(view(from_unit(made, model)), model).clamp(0, 1))
    save_image(sheet(torch.cat(above + below), columns=len(above), zoom=2), FOLDER / "anagrams-in-colour.png")


if __name__ == "__main__":
    emerging()
    words()
    anagrams()
    anagrams_in_colour()
