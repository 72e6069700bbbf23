# SPDX-License-Identifier: Apache-2.0
"""All faults of a header, by rule: what `run.py` draws from.

Operators are told from brackets of template arguments and from pointers by the blanks around them, which the format
gives to binary operators alone. What is taken for a fault by mistake does not compile, and is dropped then.
"""

import collections
import re

TOKEN = re.compile(
    r"""(?P<none>//[^\n]*|/\*.*?\*/|^[ \t]*\#(?:[^\n\\]|\\.)*)|(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<name>[A-Za-z_]\w*)|(?P<number>\.?\d(?:[eEpP][+-]|[\w.]|'\d)*)
    |(?P<sign>->\*|<=>|->|::|\+\+|--|&&|\|\||[-+*/%&|^!=]=|[<>]=(?!=)|\S)""", re.M | re.S | re.X)
NUMBER = re.compile(r"(\d+)([uUlL]*)|((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(f?)")
Token = collections.namedtuple("Token", "kind text start end")
Fault = collections.namedtuple("Fault", "file first last what edits original faulty")

BINARY = {"+": ("Plus", "-"), "-": ("Minus", "+"), "*": ("Times", "/"), "/": ("Over", "*"), "<": ("Less", "<="),
          "<=": ("AtMost", "<"), ">": ("More", ">="), ">=": ("AtLeast", ">"), "==": ("Equal", "!="),
          "!=": ("Unequal", "==")}
SCOPES = {"namespace", "struct", "class", "union"}
NEVER_RUN = {"static_assert", "sizeof", "decltype", "noexcept", "alignas", "alignof", "assert", "__attribute__",
             "requires"}
NO_STATEMENT = set("alignas auto break case class const constexpr continue default do else for goto if namespace return "
                   "static struct switch template throw try typedef using while".split())


def pairs_of(tokens):
    """For each bracket the index of its partner, and whether each token is the < or > of template arguments."""
    partner, open_, angle = {}, [], set()
    for i, t in enumerate(tokens):
        if t.text in "([{" and t.kind == "sign":
            open_.append(i)
        elif t.text == "<" and i and tokens[i - 1].kind == "name" and (
                tokens[i - 1].end == t.start or tokens[i - 1].text == "template"):
            open_.append(i)
        elif t.text in (")", "]", "}", ">") and t.kind == "sign":
            if t.text == ">":
                if not open_ or tokens[open_[-1]].text != "<" or tokens[i - 1].end != t.start:
                    continue
            else:
                while open_ and tokens[open_[-1]].text == "<":
                    open_.pop()
            if open_:
                j = open_.pop()
                partner[i], partner[j] = j, i
                if t.text == ">":
                    angle.update((i, j))
    return partner, angle


def bodies(tokens, partner):
    """Which tokens stand in the body of a function that runs, not of one that is a constant."""
    inside, scopes, head = [False] * len(tokens), ["scope"], 0
    for i, t in enumerate(tokens):
        inside[i] = scopes[-1] == "body"
        if t.text == "{":
            words, j = [], head
            while j < i:
                words.append(tokens[j].text)
                j = partner[j] + 1 if tokens[j].text in ("(", "<") and partner.get(j, 0) > j else j + 1
            if scopes[-1] != "scope":
                scopes.append("scope" if scopes[-1] == "body" and SCOPES & set(words) else scopes[-1])
            elif {"concept", "constexpr", "consteval", "enum"} & set(words) or ("=" in words and "operator" not in words):
                scopes.append("skip")
            elif SCOPES & set(words):
                scopes.append("scope")
            else:
                scopes.append("body" if "(" in words else "skip")
        elif t.text == "}" and len(scopes) > 1:
            scopes.pop()
        if t.text in ("{", "}", ";") or (t.text == ":" and tokens[i - 1].text in ("public", "private", "protected")):
            head = i + 1
    return inside


def constants(tokens, partner, inside):
    """Takes out of `inside` what the compiler evaluates, and what declares."""
    def take_out(first, last):
        for k in range(first, last + 1):
            inside[k] = False

    for i, t in enumerate(tokens):
        following = tokens[i + 1].text if i + 1 < len(tokens) else ""
        if t.text == "<" and i in partner:
            take_out(i, partner[i])
        elif t.text == "[" and i in partner and (following == "[" or (
                tokens[i - 1].kind == "name" and tokens[i - 2].kind == "name" and tokens[i - 2].text != "return")):
            take_out(i, partner[i])
        elif t.text in NEVER_RUN:
            j = i + 1
            while j < len(tokens) and tokens[j].text in ("(", "{") and j in partner:
                take_out(i, partner[j])
                j = partner[j] + 1
        elif t.text == "constexpr" and tokens[i - 1].text == "if":
            take_out(i, partner[i + 1])
        elif t.text in ("constexpr", "using", "typedef", "case"):
            j = i
            while tokens[j].text not in ((":",) if t.text == "case" else (";", ")", "{")):
                j = max(j, partner.get(j, j)) + 1
            j = partner.get(j, j) if tokens[j].text == "{" else j
            take_out(i, j)


def faults_of(file, text):
    """All faults of a header."""
    tokens = [Token(m.lastgroup, m.group(), m.start(), m.end()) for m in TOKEN.finditer(text) if m.lastgroup != "none"]
    partner, angle = pairs_of(tokens)
    inside = bodies(tokens, partner)
    constants(tokens, partner, inside)
    found = []

    def add(first, last, what, edits, faulty):
        """`edits`: (start, end, replacement), with @ for the number; `faulty`: the same for whoever reads it."""
        begin = text.rfind("\n", 0, tokens[first].start) + 1
        end = text.find("\n", tokens[last].end - 1)
        seen = text[begin:end]
        for start, stop, new in reversed(faulty):
            seen = seen[:start - begin] + new + seen[stop - begin:]
        line = lambda place: text.count("\n", 0, place) + 1
        found.append(Fault(file, line(tokens[first].start), line(tokens[last].end - 1), what, edits,
                           " ".join(text[begin:end].split()), " ".join(seen.split())))

    def operand(i, step, ends):
        """The index after the last token of the operand that begins at i, to the right or to the left."""
        while 0 <= i < len(tokens) and tokens[i].text not in ends:
            closes = tokens[i].text in ((")", "]", "}") if step > 0 else ("(", "[", "{"))
            if closes:
                break
            jump = partner.get(i, i)
            i = (jump if (jump - i) * step > 0 else i) + step
        return i

    def block_of(i):
        """The bracket around token i."""
        j = operand(i - 1, -1, ())
        return tokens[j].text if j >= 0 else "{"

    for i, t in enumerate(tokens):
        if not inside[i]:
            continue
        before, after = tokens[i - 1], tokens[i + 1]
        spaced = before.end < t.start and t.end < after.start
        replace = lambda new, shown: add(i, i, t.text, [(t.start, t.end, new)], [(t.start, t.end, shown)])
        if t.text in BINARY and spaced and before.text not in ("operator", "template") and i not in angle:
            if before.kind in ("name", "number", "text") and before.text != "return" or before.text in (")", "]", "}"):
                name, other = BINARY[t.text]
                replace(f"{t.text} faults::{name}{{@}} {t.text}", other)
        elif t.text in ("&&", "||") and spaced:
            ends = ("?", ":", ",", ";", "=", "return")
            first = operand(i - 1, -1, ends + (("||",) if t.text == "&&" else ())) + 1
            last = operand(i + 1, 1, ends + (("||", "&&") if t.text == "&&" else ("||",))) - 1
            add(first, last, t.text, [
                (tokens[first].start, tokens[first].start, f"faults::{'both' if t.text == '&&' else 'either'}(@, bool("),
                (t.start, t.end, "), [&] { return bool("), (tokens[last].end, tokens[last].end, "); })")],
                [(tokens[first].start, tokens[first].start, "("), (t.start, t.end, "||" if t.text == "&&" else "&&"),
                 (tokens[last].end, tokens[last].end, ")")])
        elif t.text in ("!", "-") and not spaced and t.end == after.start and (
                before.kind == "sign" and before.text not in (")", "]", "}") or before.text == "return"):
            replace(f"faults::{'Not' if t.text == '!' else 'Negative'}{{@}}->*", "")
        elif t.kind == "number" and (number := NUMBER.fullmatch(t.text)):
            whole, suffix, real, of_float = number.groups()
            for other in ({"0": [1], "1": [0, 2]}.get(whole, [int(whole) + 1]) if whole else [2 * float(real)]):
                fault = f"{other}{suffix or of_float or ''}"
                replace(f"faults::constant(@, {t.text}, {fault})", fault)
        elif t.text in ("min", "max") and [x.text for x in tokens[i - 2:i]] == ["std", "::"] and after.text == "(" and \
                tokens[i + 2].text != "{":
            add(i - 2, i, t.text, [(tokens[i - 2].start, after.end,
                                    f"faults::{'least' if t.text == 'min' else 'greatest'}(@, ")],
                [(t.start, t.end, "max" if t.text == "min" else "min")])
        elif t.text in ("+=", "-=", "*=", "/="):
            last = operand(i + 1, 1, (";", ",")) - 1
            name = "negated" if t.text in ("+=", "-=") else "inverted"
            other = {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="}[t.text]
            add(i, last, t.text, [(after.start, after.start, f"faults::{name}(@, "),
                                  (tokens[last].end, tokens[last].end, ")")], [(t.start, t.end, other)])
        # A statement: an assignment or a call.
        heads = before.text in (";", "{", "}", "else") or (
            before.text == ")" and tokens[partner.get(i - 1, 1) - 1].text in ("if", "for", "while", "constexpr"))
        if heads and t.text not in NO_STATEMENT | NEVER_RUN and (t.kind == "name" or t.text in ("++", "--", "*", "(")) \
                and block_of(i) == "{":
            end = operand(i, 1, (";",))
            flat, j = [], i
            while j < end:
                flat.append(tokens[j])
                j = partner[j] + 1 if partner.get(j, 0) > j else j + 1
            declares = any(b.kind == "name" and a.end < b.start and (a.kind == "name" or a.text in ("<", "&", "*", "&&")
                           and flat[k and k - 1].end == a.start) for k, (a, b) in enumerate(zip(flat, flat[1:])))
            acts = any(x.text in ("=", "+=", "-=", "*=", "/=", "++", "--", "|=", "^=") for x in flat) or (
                tokens[end - 1].text == ")")
            if tokens[end].text == ";" and acts and not declares:
                add(i, end, "left out", [(t.start, t.start, "faults::on(@) ? void() : void("),
                                         (tokens[end].start, tokens[end].start, ")")], [(t.start, tokens[end].end, ";")])
    return found
