"""The manual, include/sandlock.h, as doxygen understands it: sections become topics, the first comment becomes the main page.

A section begins with a title between two rules, "/// ----". What follows is about the item that comes next, unless there is a third rule:
then what lies before it is about the section.
"""

import re

from prose import Prose

RULE = re.compile(r"-{20,}$")


def without_mark(line):
    """A line of a comment without what makes it one."""
    return re.sub(r"^\s*(///|/\*\*?|\*/?) ?", "", line).removesuffix("*/").rstrip()


class Topic:
    """A section of the header. Those of functions are called "Functions: ..."."""

    def __init__(self, title):
        functions = title.startswith("Functions: ")
        title = title.removeprefix("Functions: ")
        match = re.fullmatch(r"([\w, ]+?)\s*(?:\((\w+)\))?(?:[:,]\s*(.*?))?\s*(?:\((\w+)\))?", title)
        if not match or functions:
            name, about, see = title, "", None
        else:
            name, about, see = match[1], match[3] or "", match[2] or match[4]
        self.title = name[0].upper() + name[1:]
        self.parent = "functions" if functions else "constants"
        self.name = f"{self.parent}_{re.sub(r'[^a-z]+', '_', name.lower())}"
        self.about = about[:1].upper() + about[1:] + ("." if about else "")
        if see:
            self.about += f" See {see}."


class Item:
    """A declaration and its comment."""

    def __init__(self, comment, code, topic):
        self.comment = comment
        self.code = code
        self.topic = topic
        self.name = declared(code)


def declared(code):
    for pattern in (r"#define (\w+)", r"typedef struct \w+ (\w+);", r"^\} (\w+);", r"\(\*(\w+)\)\(", r"typedef \w+ (\w+);", r"(sandlock_\w+)\("):
        match = re.search(pattern, code, flags=re.M)
        if match:
            return match[1]
    raise SystemExit(f"include/sandlock.h: what is declared here?\n{code}")


class Header:
    def __init__(self, text):
        first, _, rest = text.partition("*/")
        self.first = [without_mark(line) for line in first.splitlines()]
        self.topics = []
        self.items = []
        for block in re.split(r"\n\s*\n", rest):
            self._block(block)
        self._place_types()
        names = {item.name for item in self.items}
        self.prose = Prose(names, self._families())

    def _block(self, block):
        lines = block.strip("\n").splitlines()
        comment = [line for line in lines if re.match(r"/// ?|///$|/\*| \* ", line)]
        code = "\n".join(lines[len(comment) :])
        comment = [without_mark(line) for line in comment]
        while comment and not comment[0]:
            comment.pop(0)
        if len(comment) > 2 and RULE.match(comment[0]) and RULE.match(comment[2]):
            self.topics.append(Topic(comment[1]))
            comment = comment[3:]
            third = next((i for i, line in enumerate(comment) if RULE.match(line)), None)
            if third is not None:
                self.topics[-1].about += "\n\n" + "\n".join(comment[:third])
                comment = comment[third + 1 :]
        if comment and code:
            topic = self.topics[-1] if self.topics else None
            self.items.append(Item("\n".join(comment).strip(), code, topic))

    def _place_types(self):
        """Types belong where the functions are that are called after them, or else where they are first used; statuses to their type."""
        functions = [item for item in self.items if item.topic and item.topic.parent == "functions"]
        status = next(topic for topic in self.topics if topic.title == "Status")
        version = next(topic for topic in self.topics if topic.title == "Version")
        for item in self.items:
            if item.topic is None:
                item.topic = version
            elif item.code.startswith("#define SANDLOCK_OK ") or item.code.startswith("#define SANDLOCK_ERROR_"):
                item.topic = status
            elif item.code.startswith("typedef ") and item.name != "sandlock_status":
                stem = item.name.removesuffix("s")
                named = [f.topic for f in functions if re.match(rf"{item.name}_|{stem}_", f.name)]
                used = [f.topic for f in functions if re.search(rf"\b{item.name}\b", f.code)]
                item.topic = max(named, key=named.count) if named else used[0]

    def _families(self):
        """Beginnings of constants, and the topic that most of those that begin like that are in."""
        families = {}
        for item in self.items:
            parts = [] if item.name.endswith("_INIT") else item.name.split("_")
            for count in range(2, len(parts)):
                families.setdefault("_".join(parts[:count]) + "_", []).append(item.topic.name)
        return {family: max(topics, key=topics.count) for family, topics in families.items()}

    # --- what doxygen reads ---

    def declarations(self):
        out = ["/// @file", "/// The manual of libsandlock.", "", "#include <stdbool.h>", "#include <stddef.h>", "#include <stdint.h>", ""]
        for parent, title in (("functions", "Functions and types"), ("constants", "Constants")):
            out += [f"/// @defgroup {parent} {title}", ""]
            for topic in self.topics:
                if topic.parent == parent:
                    out += [*self._comment(f"@defgroup {topic.name} {topic.title}\n@ingroup {parent}\n\n", topic.about), ""]
        for item in self.items:
            out += ["", *self._comment("", item.comment, f"\n\n@ingroup {item.topic.name}"), *self._code(item.code)]
        return "\n".join(out) + "\n"

    def _comment(self, before, text, after=""):
        return [f"/// {line}" for line in (before + self.prose.text(text) + after).split("\n")]

    def _code(self, code):
        """Members of structures have comments of their own."""
        out, comment = [], []
        for line in code.split("\n"):
            if line.strip().startswith("///"):
                comment.append(without_mark(line))
                continue
            if comment:
                out += self._comment("", "\n".join(comment))
                comment = []
            out.append(line)
        return out

    def main_page(self, further):
        """The first comment: a paragraph, then sections between rules: terms with an explanation, and an example."""
        text = "\n".join(line for line in self.first if not line.startswith("SPDX"))
        intro, *sections = re.split(r"^={20,}\n(.+)\n={20,}$", text, flags=re.M)
        out = ["@mainpage libsandlock", self.prose.text(intro.strip())]
        for title, body in zip(sections[::2], sections[1::2]):
            out.append(f"@section {title.lower()} {title}")
            terms = re.split(r"^([A-Z]\w+)(?= {3,}\S)", body, flags=re.M)
            out.append(self.prose.text(re.sub(r"(?:^    .*\n|^\n(?=    ))+", r"\n```c\g<0>\n```\n", terms[0], flags=re.M).strip()))
            for term, explained in zip(terms[1::2], terms[2::2]):
                explained = self.prose.text(self._patterns(" ".join(explained.split())))
                out.append(f"<dl><dt>{term}</dt><dd>{explained}</dd></dl>")
        return "/**\n" + "\n\n".join([*out, further]) + "\n*/\n"

    @staticmethod
    def _patterns(text):
        """Patterns of names are no names."""
        return re.sub(r"\b(?:sandlock|SANDLOCK)_<\w+>(?:_<\w+>)?", r"`\g<0>`", text)
