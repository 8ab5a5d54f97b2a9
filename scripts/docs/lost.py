#!/usr/bin/env python3
"""Fails if something that the header's comments or a Markdown file says is on no page: doxygen drops what it takes for markup of its own.

    lost.py SITE
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

from header import RULE
from prepare import ROOT, Pages, page_id


class Text(HTMLParser):
    """What a page says, without white space."""

    def __init__(self, path):
        super().__init__()
        self.parts = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_data(self, data):
        self.parts.append(data)

    def __str__(self):
        return re.sub(r"\s+", "", "".join(self.parts))


def bare(line):
    return re.sub(r"[\s`]", "", line)


def header_lines():
    """The lines of its comments, but for the titles of sections."""
    before = ""
    for line in (ROOT / "include/sandlock.h").read_text().splitlines():
        match = re.match(r"\s*(?:///|/\*\*?| \*)(?: |$)(.*)", line)
        said = match[1].removesuffix("*/") if match else ""
        if not (re.match(r"[=-]{20,}", said) or "SPDX-License" in said or is_title(before, said)):
            yield said
        before = said


def is_title(before, said):
    return RULE.match(before.strip()) and re.match(r"[A-Z][\w ]*(: |$| \()", said)


def markdown_lines(path):
    """Its lines, cells of tables by themselves, but for the first heading."""
    text = re.sub(r"^# .+$|^```.*$|^\|[-| ]+\|$", "", path.read_text(encoding="utf-8"), flags=re.M)
    text = re.sub(r"\[([^]]*)\]\([^)\s]+\)", r"\1", text)
    for line in text.splitlines():
        for cell in line.split("|") if line.startswith("|") else [line]:
            yield re.sub(r"^\s*(#+|-|\d+\.)\s", "", cell).replace("*", "")


def main(site):
    manual = "".join(str(Text(path)) for path in sorted(site.glob("*.html")) if not path.name.endswith("example.html"))
    lost = [("include/sandlock.h", line) for line in header_lines() if bare(line) not in manual]
    for path in Pages(None, site).paths:
        page = str(Text(site / f"{page_id(path)}.html")).replace("*", "").replace("`", "")
        lost += [(path.relative_to(ROOT), line) for line in markdown_lines(path) if bare(line) not in page]
    for source, line in lost:
        print(f"{source}: on no page: {line.strip()}")
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
