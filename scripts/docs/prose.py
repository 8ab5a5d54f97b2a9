"""Prose of this project as doxygen understands it: names become links, everything else stays what it says.

Doxygen takes a link to something that does not exist for a warning, and warnings fail the build. So every name that looks like one of
the header's is made a link here, whether the header has it or not, unless it is known to be something else.
"""

import re

# Names that look like the header's and are not: variables of the environment and the build.
FOREIGN = re.compile(r"SANDLOCK_(SPAWN|TEST_\w+|PROFILES|H)\b|sandlock_(gopath)\b")

# Stands for "*" after "/", which doxygen takes for a comment in any comment; build.sh puts it back.
STAR = "\ue000"

STATUSES = (
    "INVALID_ARGUMENT STATE UNSUPPORTED PERMISSION NOT_FOUND SYSTEM CHILD_SETUP EXEC TIMEOUT STALE BUFFER_TOO_SMALL "
    "WOULD_DEADLOCK CALLBACK LIMIT INTERNAL"
).split()


def slug(text):
    """The id of a heading, as forges make it."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).strip().lower().replace("`", "")
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


class Prose:
    """`names` are those that the header declares; `families` maps beginnings of constants, "SANDLOCK_LIMIT_", to their topics."""

    def __init__(self, names, families):
        self.names = names
        self.families = families

    def text(self, text, link=None):
        """Paragraphs, with fenced blocks and code spans. With `link`, which makes of a link's text and target what is to stand there, they
        are Markdown, else comments, in which "*" and "_" are nothing but themselves."""
        links = r"\[[^]]*\]\([^)\s]+\)|<https?://[^>\s]+>|" if link else ""
        parts = re.split(rf"(^```.*?^```[^\n]*$|{links}``.+?``|`[^`]+`)", text, flags=re.M | re.S)
        return "".join(self._part(part, link) for part in parts).replace("/*", f"/{STAR}")

    def _part(self, part, link):
        if part.startswith("```"):
            return fenced(part)
        if part.startswith("`"):
            return self.code(part.strip("`"))
        if link and (match := re.fullmatch(r"\[([^]]*)\]\(([^)\s]+)\)|<(https?://[^>\s]+)>", part)):
            return match[3] or link(self.text(match[1], link), match[2])
        return self.plain(part, literal=link is None)

    def code(self, text):
        """A code span, which is a link if it is nothing but a name."""
        name = text.removesuffix("()")
        if name in self.names:
            return f"<code>#{text}</code>"
        if "'" in text:  # doxygen would have the span end there
            return "<code>" + re.sub(r"[^\w\s'()]", self._escape, text) + "</code>"
        return "`" + text + "`"

    def plain(self, text, literal=False):
        """Text without code spans and links. `literal`: without emphasis, too."""
        text = re.sub(r"[\\@%&<>#\"]|::|--(?=[a-z])", self._escape, text)
        if literal:
            text = re.sub(r"(?<!/)\*(?! )|(?<!\w)_", r"\\\g<0>", text)
        text = re.sub(r"\bSANDLOCK_[A-Z0-9_]*(\\?\*)?|\bsandlock_\w+(\(\))?", self._name, text)
        return re.sub(r"\b(%s)(?=(?:, [A-Z_]+)*:\s)" % "|".join(STATUSES), r'@ref SANDLOCK_ERROR_\1 "\1"', text)

    @staticmethod
    def _escape(match):
        sign = match[0]
        line = match.string[: match.start()].rpartition("\n")[2]
        if sign in "#>" and not line.strip(" #>"):
            return sign  # a heading or a quotation
        return {"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;"}.get(sign, "\\" + sign)

    def _name(self, match):
        name = match[0]
        if FOREIGN.match(name):
            return name
        if name.endswith("*"):
            family = name.rstrip("\\*")
            if family not in self.families:
                raise SystemExit(f"there are no constants {name}")
            return f'@ref {self.families[family]} "{family}*"'
        return "#" + name


def fenced(block):
    """A block of code between lines of ```, as doxygen wants it."""
    first, *lines, _ = block.split("\n")
    language = first.strip("`").strip()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    lines = [line[indent:] for line in lines]
    known = {"c": ".c", "cpp": ".cpp", "python": ".py"}.get(language, ".unparsed")
    return "\n".join([f"@code{{{known}}}", *lines, "@endcode"])
