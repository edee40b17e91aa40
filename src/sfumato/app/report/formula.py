"""Formulas as MathML, which browsers draw themselves, from a line such as `x_t = √{ᾱ_t} x_0 + √{1 − ᾱ_t} ε`."""

from __future__ import annotations

import re
import unicodedata

from sfumato.app.report.figures import Html, text

_TOKEN = re.compile(r'\s*("[^"]*"|\d+(?:[.,]\d+)*|frac|[_^{}√]|\w[\u0302\u0304]?|\S)')
_ACCENTS = {"\u0302": "^", "\u0304": "¯"}


def formula(line: str) -> Html:
    """A displayed formula.

    Letters are variables (a hat or bar over one stays over it), digits numbers, quoted words upright; `_` and `^` take
    the next letter or `{group}`, `√{…}` a root, `frac{…}{…}` a fraction, `Σ` a sum, `;` a
    comma and a space. Raises ValueError for anything unbalanced.
    """
    # Letters come apart from their accents; signs such as ≠ stay whole.
    apart = (unicodedata.normalize("NFD", sign) if sign.isalpha() else sign for sign in line.strip())
    tokens = _TOKEN.findall("".join(apart))
    body = _row(tokens)
    if tokens:
        raise ValueError(f"unbalanced formula: {line}")
    return Html(f'<math display="block">{body}</math>')


def _row(tokens: list[str]) -> str:
    """Markup up to the end or a closing brace."""
    out = []
    while tokens and tokens[0] != "}":
        base = _atom(tokens)
        scripts: dict[str, str] = {}
        while tokens and tokens[0] in {"_", "^"}:
            kind = tokens.pop(0)
            scripts[kind] = _atom(tokens)
        match sorted(scripts):
            case []:
                out.append(base)
            case ["_"]:
                out.append(f"<msub>{base}{scripts['_']}</msub>")
            case ["^"]:
                out.append(f"<msup>{base}{scripts['^']}</msup>")
            case _:
                out.append(f"<msubsup>{base}{scripts['_']}{scripts['^']}</msubsup>")
    return f"<mrow>{''.join(out)}</mrow>"


def _atom(tokens: list[str]) -> str:
    if not tokens:
        raise ValueError("a formula ends too early")
    token = tokens.pop(0)
    if token == "{":
        inner = _row(tokens)
        if not tokens:
            raise ValueError("a brace of a formula is not closed")
        tokens.pop(0)
        return inner
    if token == "√":
        return f"<msqrt>{_atom(tokens)}</msqrt>"
    return f"<mfrac>{_atom(tokens)}{_atom(tokens)}</mfrac>" if token == "frac" else _leaf(token)


def _leaf(token: str) -> str:
    if token == ";":
        return '<mo>,</mo><mspace width="1.6em"></mspace>'
    if token[0] == '"':
        return f"<mtext>{text(token[1:-1])}</mtext>"
    if token == "Σ":
        return "<mo>∑</mo>"
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    if not token[0].isalpha():
        return f"<mo>{text(token)}</mo>"
    letter = f"<mi>{token[0]}</mi>"
    return f'<mover accent="true">{letter}<mo>{_ACCENTS[token[1]]}</mo></mover>' if len(token) > 1 else letter
