#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Doxygen reads in place of a file of this repository:  filter.py FILE

Pages (.md) are written for GitHub, doc comments for whoever reads the header. Here both become what Doxygen understands,
line by line, so that its messages name the right ones:

- $...$ and $$...$$ become formulas, and a numbered one a target for links; (7) becomes a link to it;
- headings get GitHub's anchors, links lead to Doxygen's pages;
- in doc comments indented lines are set as they stand, and Shapes, Errors, Source, VJP begin a paragraph;
- a header's opening // comment, below its includes, becomes its description, its folder a topic;
- what means the same in every class and says nothing of its own gets its line of docs/interface.md.
"""
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EQUATION = re.compile(r"\((\d{1,2}[a-e]?|B\d{1,2}[a-e]?)\)")
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "bench/README.md", "tests/golden/README.md"]
PAGES += [f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))]


def anchor(heading):
    """GitHub's name of a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", ""))
    return kept.replace(" ", "-")


def page_label(page):
    return "index" if page == "README.md" else re.sub(r"\W+", "-", page.removesuffix(".md").lower())


def equations():
    """Number -> label, of every equation that has a page to be found on."""
    found = {}
    for page in ("docs/theory.md", "docs/baselines.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for number in re.findall(r"\\tag\{([^}]*)\}", text) + re.findall(r"\| \((B\d+)\) \|$", text, re.M):
            found[number] = "equation-" + number.lower()
    return found


EQUATIONS = equations()


def cite(text):
    """Numbers of equations as links; a number that follows a name is an argument."""
    def link(match):
        before = text[:match.start()]
        if match[1] not in EQUATIONS or re.search(r"[\w)\]]$", before):
            return match[0]
        return f'@ref {EQUATIONS[match[1]]} "({match[1]})"'
    return EQUATION.sub(link, text)


def outside_code(text, change):
    """Applies `change` to what is not between backticks."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))


# --- Pages


def target(page, link):
    """Where a page's link leads in Doxygen, None if there is no page."""
    path, _, fragment = link.partition("#")
    file = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
    if file in PAGES:
        return f"@ref {page_label(file)}-{fragment}" if fragment else f"@ref {page_label(file)}"
    if file.startswith("include/gdssm/"):
        return f"@ref {file.removeprefix('include/')}" if file.endswith(".hpp") else f"@ref {Path(file).name}"
    return None


def prose(page, text):
    """A stretch of a page without code: links, formulas, citations."""
    formulas = []

    def keep(formula):
        formulas.append(formula)
        return f"\0{len(formulas) - 1}\0"

    def display(match):
        number = re.search(r"\\tag\{([^}]*)\}", match[1])
        place = f"@anchor {EQUATIONS[number[1]]} " if number else ""
        return keep(f"{place}\\f[{match[1]}\\f]")

    text = re.sub(r"\$\$(.+?)\$\$", display, text)
    text = re.sub(r"\$([^$]+?)\$", lambda m: keep(f"\\f${m[1]}\\f$"), text)
    text = re.sub(r"\| \((B\d+)\) \|$", lambda m: keep(f"| @anchor {EQUATIONS[m[1]]} ({m[1]}) |"), text, flags=re.M)

    def link(match):
        if "://" in match[2]:
            return keep(match[0])
        leads_to = target(page, match[2])
        name = match[1]
        if leads_to is None:
            return name
        return keep(f"[{name}]({leads_to})")

    text = re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", link, text)
    text = cite(text)
    while "\0" in text:
        text = re.sub(r"\0(\d+)\0", lambda m: formulas[int(m[1])], text)
    return text


def filter_page(page, text):
    out, paragraph, fence = [], [], False

    def flush():
        # Code may hold $ and | anywhere: what is between backticks stays as it is, but for a ' that Doxygen would take
        # for its end.
        held = []

        def hold(match):
            held.append(f"`{match[0]}`" if "'" in match[0] else match[0])
            return f"\x02{len(held) - 1}\x02"

        if paragraph:
            lines = prose(page, re.sub(r"`[^`]+`", hold, "\n".join(paragraph)))
            out.append(re.sub(r"\x02(\d+)\x02", lambda m: held[int(m[1])], lines))
            paragraph.clear()

    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            flush()
            fence = not fence
            # Doxygen knows no such languages.
            out.append(re.sub(r"```(sh|text|cmake)$", "```{.unparsed}", line))
        elif fence:
            out.append(line)
        elif re.match(r"#+ ", line):
            flush()
            marks, heading = line.split(" ", 1)
            label = page_label(page) + ("" if marks == "#" else "-" + anchor(heading))
            out.append(f"{line} {{#{label if label != 'index' else 'mainpage'}}}")
        elif not line.strip():
            flush()
            out.append(line)
        else:
            paragraph.append(line)
    flush()
    return "\n".join(out)


# --- Doc comments

LABELS = "Shapes|Errors|Sources?|VJP|Units|Derivatives?"


def escape(text):
    """What means something to Doxygen and nothing here."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\@#%])", r"\\\1", text)


def comment_prose(text):
    def change(part):
        part = cite(escape(part))
        part = re.sub(r"arXiv:(\d{4}\.\d{4,5}(v\d)?)", r"[arXiv:\1](https://arxiv.org/abs/\1)", part)
        part = re.sub(r"\bdocs/(\w[\w-]*)\.md", r'@ref docs-\1 "docs/\1.md"', part)
        return part
    text = outside_code(text, change)
    return re.sub(rf"(^|\s\s)\s*({LABELS})  +", lambda m: f"{m[1]} @label{{{m[2]}}} ", text)


def filter_comment(lines):
    """The contents of a doc comment, one string a line, without slashes; in brief is what stands before the formula."""
    out, pre, label = [], False, False
    for i, text in enumerate(lines):
        indent = len(text) - len(text.lstrip())
        fixed = indent >= 4 and not (label and indent > 5)
        if pre and not text.strip() and i + 1 < len(lines) and lines[i + 1].startswith("    "):
            fixed = True  # an empty line within
        if not fixed:
            label = bool(re.match(rf" ?({LABELS})  ", text)) or (label and indent > 5)
        if fixed:
            body = cite(escape(text[1:]).replace("`", ""))
            out.append(("" if pre else " @fixed ") + body)
        else:
            out.append(comment_prose(text))
        if pre and not fixed:
            out[-2] += "</pre>"
        pre = fixed
    if pre:
        out[-1] += "</pre>"
    if out and out[0].strip() and not out[0].lstrip().startswith("@"):
        out[0] = " @brief" + out[0]
    return out


# --- Declarations without a comment of their own


def interface():
    """Key -> what it means in every class: the tables of docs/interface.md. A key tells `name`, a member or a type, from
    `name()`, a function of any arguments, and from `name<>()`, a function template; `X::*` is any member of an X. A key
    of two rows means nothing, so that Doxygen refuses its names."""
    page = (ROOT / "docs/interface.md").read_text(encoding="utf-8")
    meanings, twice = {}, set()
    for names, meaning in re.findall(r"^\| (`[^|]*) \| (.*) \|$", page, re.M):
        meaning = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", meaning)
        for name in re.findall(r"`([^`]*)`", names):
            key = name if "operator" in name else re.sub(r"<.*?>", "<>", re.sub(r"\(.*\)", "()", name))
            if key in meanings:
                twice.add(key)
            meanings[key] = meaning
    return {key: meaning for key, meaning in meanings.items() if key not in twice}


def without_template(text):
    """A declaration without `template <...>`."""
    while re.match(r"\s*template\s*<", text):
        depth, i = 0, text.index("<")
        for i in range(i, len(text)):
            depth += {"<": 1, ">": -1}.get(text[i], 0)
            if depth == 0:
                break
        text = text[i + 1:]
    return text.strip()


def declared_name(text):
    """The name that a declaration at class or namespace scope declares, and its keys in docs/interface.md."""
    whole = re.sub(r"\[\[[^\]]*\]\]", " ", text)
    text = without_template(whole)
    if match := re.match(r"using (\w+)\s*=", text):
        return match[1], [match[1]]
    if match := re.match(r"(?:struct|class|enum class|enum)\s+(\w+)", text):
        return match[1], [match[1]]
    if match := re.search(r"(operator\s*\S+?)\s*\(", text):
        name = match[1].replace(" ", "")
        return name, [name]
    bare = re.sub(r"requires\s*\(.*?\)\s", " ", text)
    bare = re.sub(r"<[^<>()]*>", "", re.sub(r"<[^<>()]*>", "", re.sub(r"<[^<>()]*>", "", bare)))
    if (match := re.search(r"(~?\w+)\s*\(", bare)) and "=" not in bare[:match.start()]:
        name = match[1]
        return name, ([f"{name}<>()"] if text != whole.strip() else []) + [f"{name}()"]
    if match := re.search(r"(\w+)\s*(?:[=;{,]|$)", bare):
        return match[1], [match[1]]
    return None, []


class Scanner:
    """Finds a header's declarations: scopes by their braces, comments and strings left out."""

    def __init__(self, lines):
        self.lines = lines
        self.scopes = []  # (kind, name, public)
        self.found = []  # (line, name, keys, class)
        self.hidden = []  # (first, last) lines of what is scratch

    def run(self):
        text, begin, parens, i_line = "", None, 0, 0
        for i_line, line in enumerate(self.lines):
            code = re.sub(r'"(\\.|[^"\\])*"', '""', line)
            code = re.sub(r"'(\\.|[^'\\])'", "' '", code)
            code = re.sub(r"//.*", "", code)
            if code.startswith("#"):
                continue
            for c in code + "\n":
                if begin is None and not c.isspace() and c not in "{};":
                    begin = i_line
                if c in "([":
                    parens += 1
                elif c in ")]":
                    parens -= 1
                if c == "{" and parens == 0:
                    self.open(text, begin if begin is not None else i_line)
                    text, begin = "", None
                elif c == "}" and parens == 0:
                    self.close(i_line)
                    text, begin = "", None
                elif c == ";" and parens == 0:
                    self.declare(text, begin)
                    text, begin = "", None
                elif c == ":" and re.fullmatch(r"\s*(public|private|protected)", text):
                    kind, name, _, first = self.scopes[-1]
                    self.scopes[-1] = (kind, name, "public" in text, first)
                    text, begin = "", None
                else:
                    text += c
        return self

    def visible(self):
        return all(kind in ("namespace", "class") and public and name != "detail"
                   for kind, name, public, _ in self.scopes)

    def declare(self, text, begin):
        if not text.strip() or begin is None or not self.visible():
            return
        if re.match(r"\s*(using namespace|static_assert|friend class|template\s+(class|struct)|friend struct)", text):
            return
        owner = self.scopes[-1] if self.scopes else ("namespace", "", True, 0)
        self.found.append((begin, *declared_name(text), owner[1]))

    def open(self, text, begin):
        # A constructor's initialisers, a default member's braces: whatever is not a scope of declarations is "body".
        if match := re.match(r"\s*(?:inline )?namespace\s*([\w:]*)", text):
            self.scopes.append(("namespace", match[1].split("::")[-1], True, begin))
            return
        head = re.sub(r"requires\b.*?(?=struct|class)", "", without_template(text), flags=re.S)
        if match := re.match(r"\s*(struct|class)\s+(?:\[\[[^\]]*\]\]\s*)?(\w+)[^()]*$", head):
            self.declare(f"struct {match[2]}", begin)
            self.scopes.append(("class", match[2], match[1] == "struct", begin))
            return
        self.declare(text, begin)
        self.scopes.append(("body", "", False, begin))

    def close(self, line):
        kind, name, _, first = self.scopes.pop() if self.scopes else ("", "", True, 0)
        if kind == "class" and name in ("Workspace", "GradientWorkspace", "Scratch") and self.visible():
            self.hidden.append((first, line))


def filter_header(path, text):
    lines = text.split("\n")
    out = list(lines)
    scanner = Scanner(lines).run()

    # Comments: /// blocks, ///< behind a member.
    i = 0
    while i < len(lines):
        match = re.match(r"(\s*)///(?!<)(.*)", lines[i])
        if not match:
            out[i] = re.sub(r"///< (.*)", lambda m: "///< " + comment_prose(m[1]), lines[i])
            i += 1
            continue
        j = i
        while j < len(lines) and re.match(r"\s*///(?!<)", lines[j]):
            j += 1
        contents = [re.sub(r"\s*///", "", line, count=1) for line in lines[i:j]]
        for k, content in enumerate(filter_comment(contents)):
            out[i + k] = match[1] + "///" + content
        i = j

    # The opening comment: below the includes, above the namespace.
    last_include = max((k for k, line in enumerate(lines) if line.startswith("#")), default=0)
    first_namespace = next((k for k, line in enumerate(lines) if line.startswith("namespace")), len(lines))
    opening = [k for k in range(2, first_namespace) if lines[k].startswith("// ") or lines[k] == "//"]
    file, folder = path.relative_to(ROOT / "include").as_posix(), path.parent.name
    if opening and opening[-1] - opening[0] == len(opening) - 1:
        # It comes first, so that the lines below keep their numbers.
        contents = filter_comment([lines[k][2:] for k in opening])
        contents = [content.replace("*/", "*&#47;") for content in contents]
        out[:opening[-1] + 1] = [f"/** @file {file}"] + contents[:-1] + [contents[-1] + " */"] + lines[1:opening[0]]
    else:
        out[0] = f"/** @file {file} */"

    # Declarations that say nothing of their own: several names on one line with one comment, overloads of what has one,
    # deduction guides, and what recurs.
    meanings, said = interface(), set()
    for line, name, keys, owner in scanner.found:
        last = next((k for k in range(line, len(lines)) if re.search(r"[;{}]\s*(//.*)?$", lines[k])), line)
        if name is None:
            continue
        several = re.match(r"(\s*)([^=(]*?[\w>]) (\w+(?:{}| = [\w.]+)?(?:, \w+(?:{}| = [\w.]+)?)+);\s*(?:///< (.*))?$", lines[line])
        if several and "<" not in several[3]:
            meaning = comment_prose(several[4]) if several[4] else None
            names = several[3].split(", ")
            meaning_of = [meaning or meanings.get(re.match(r"\w+", n)[0]) or meanings.get(f"{owner}::*") for n in names]
            if all(meaning_of):
                out[line] = several[1] + " ".join(f"/** @brief {m} */ {several[2]} {n};" for n, m in zip(names, meaning_of))
            continue
        if (line > 0 and re.match(r"\s*///(?!<)", lines[line - 1])) or "///<" in "".join(lines[line:last + 1]):
            said.add((owner, name))
            continue
        keys = ["constructor"] if name == owner else [*keys, f"{owner}::*"]
        if "->" in lines[line] and re.match(rf"{name}\(", lines[line]):
            meaning = "Deduces the arguments of the template."
        elif (owner, name) in said:
            meaning = "@overload"
        else:
            meaning = next((meanings[key] for key in keys if key in meanings), None)
        if meaning:
            meaning = meaning if meaning == "@overload" else comment_prose(meaning)
            out[line] = f"/** {meaning if meaning.startswith('@') else '@brief ' + meaning} */ " + out[line]

    # Scratch is a block's own affair.
    for first, last in scanner.hidden:
        begin = next((k for k in range(first, last) if lines[k].rstrip().endswith("{")), None)
        if begin is not None:
            out[begin] += " /** @cond */"
            out[last] = "/** @endcond */" + out[last]

    if folder != "gdssm" and first_namespace < len(lines):
        out[first_namespace] += f" /** @topic{{{folder}}} */"
        closing = max(k for k, line in enumerate(lines) if line.startswith("}"))
        out[closing] = "/** @} */ " + out[closing]
    return "\n".join(out)


def main():
    path = Path(sys.argv[1]).resolve()
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = filter_page(path.relative_to(ROOT).as_posix(), text)
    elif path.suffix == ".hpp":
        text = re.sub(r"\bexplicit\([^\n]*?\) (?=View\(|operator |ParameterGroups\()", "", text)  # Doxygen takes it for a name
        text = filter_header(path, text)
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
