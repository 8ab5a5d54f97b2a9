#!/usr/bin/env python3
"""Fails if a link is broken.

    links.py --site DIRECTORY     every href and src of every page leads to a file in the directory, and to an anchor in it
    links.py FILE.md...           every relative link of these leads to a file, and to a heading in it

What leads elsewhere is not fetched: only its form is checked.
"""

import html.parser
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))
from prose import slug  # noqa: E402


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.anchors = set()
        self.links = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors.update(attrs[name] for name in ("id", "name") if attrs.get(name))
        self.links += [attrs[name] for name in ("href", "src") if attrs.get(name) is not None]


def malformed(link):
    """Why a link that leads elsewhere is none, if it is none."""
    parts = urlsplit(link)
    if re.search(r"[\s<>\"]", link):
        return "has characters that no address has"
    if parts.scheme in ("http", "https") and not re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?", parts.netloc):
        return "has no host"
    if parts.scheme not in ("http", "https", "mailto", "javascript", "data"):
        return "has an unknown scheme"
    return None


class Checker:
    def __init__(self, anchors_of):
        self.anchors_of = anchors_of
        self.cache = {}
        self.broken = []
        self.count = 0

    def check(self, source, link):
        self.count += 1
        if re.match(r"[\w.+-]+:|//", link):
            why = malformed(link)
        else:
            path, _, fragment = link.partition("#")
            target = Path(os.path.normpath(source.parent / unquote(path.partition("?")[0]))) if path else source
            why = self._missing(target, unquote(fragment))
        if why:
            self.broken.append(f"{source}: {link}: {why}")

    def _missing(self, target, fragment):
        if not target.exists():
            return "there is no such file"
        if fragment and target not in self.cache:
            self.cache[target] = self.anchors_of(target)
        if fragment and fragment not in self.cache[target]:
            return "there is no such anchor"
        return None


def check_site(site):
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if "files" not in path.relative_to(site).parts[:1]}
    checker = Checker(lambda path: pages[path].anchors if path in pages else set())
    for path, page in pages.items():
        for link in page.links:
            checker.check(path, link)
    # The tree at the side and the search know pages by scripts.
    for path in sorted(site.rglob("*.js")):
        # Those of the search lie in a directory of their own, those of the tree are relative to the pages beside them.
        for link in re.findall(r"""["']((?:\.\./)?[\w.-]+\.html(?:#[\w.-]+)?)["']""", path.read_text(encoding="utf-8")):
            checker.check(path, link)
    if not pages:
        checker.broken.append(f"{site}: there are no pages")
    return checker


def headings(path):
    """The anchors that forges give to the headings of a Markdown file."""
    found = []
    for title in re.findall(r"^#+ (.+)$", without_code(path.read_text(encoding="utf-8"), False), flags=re.M):
        found.append(slug(title) + (f"-{found.count(slug(title))}" if slug(title) in found else ""))
    return set(found)


def without_code(text, spans=True):
    text = re.sub(r"^( *)```.*?^\1```", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "`code`", text) if spans else text


def check_markdown(paths):
    checker = Checker(headings)
    for path in paths:
        text = without_code(path.read_text(encoding="utf-8"))
        inline = re.findall(r"\[[^]]*\]\(([^)\s]*)(?: [^)]*)?\)", text)
        defined = re.findall(r"^ *\[[^]]+\]: *(\S+)", text, flags=re.M)
        for link in inline + defined + re.findall(r"<(https?:[^>]*)>", text):
            checker.check(path, link)
    return checker


def main(arguments):
    if arguments[:1] == ["--site"] and len(arguments) == 2:
        checker = check_site(Path(arguments[1]))
    elif arguments and not arguments[0].startswith("-"):
        checker = check_markdown([Path(argument) for argument in arguments])
    else:
        sys.exit(__doc__)
    for line in checker.broken:
        print(line)
    print(f"{checker.count} links, {len(checker.broken)} broken")
    sys.exit(1 if checker.broken else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
