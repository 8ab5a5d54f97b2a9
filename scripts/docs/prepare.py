#!/usr/bin/env python3
"""Writes what doxygen reads, into a directory: the manual, the Markdown files of the repository and the examples.

    prepare.py OUTPUT SITE

Files that the texts link to, and that are no pages, are copied into SITE/files.
"""

import re
import shutil
import sys
from pathlib import Path

from header import Header
from prose import slug

ROOT = Path(__file__).resolve().parents[2]

# The pages besides the manual, in the order in which they are listed.
MARKDOWN = ["README.md", "SECURITY.md", "ARCHITECTURE.md", "docs/*.md", "examples/README.md", "bindings/*/README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
TITLES = {"README.md": "README", "examples/README.md": "About the examples"}
MANUALS = {"sandlock.1": "the command line", "libsandlock.3": "the library at a glance", "sandlock-policy.5": "policies as TOML"}


def title_of(path):
    title = re.search(r"^# (.+)$", path.read_text(), flags=re.M)[1]
    return TITLES.get(path.relative_to(ROOT).as_posix(), title)


def page_id(path):
    return re.sub(r"[^a-z0-9]+", "_", path.relative_to(ROOT).as_posix().removesuffix(".md").lower())


class Pages:
    def __init__(self, header, site):
        self.header = header
        self.site = site
        self.paths = [path for pattern in MARKDOWN for path in sorted(ROOT.glob(pattern))]

    def page(self, path):
        """A Markdown file, its headings with ids and its links to pages of the site."""
        out = []
        for part in re.split(r"(^```.*?^```[^\n]*$)", path.read_text(), flags=re.M | re.S):
            if part.startswith("```"):
                out.append(self.header.prose.text(part))
                continue
            part = self.header.prose.text(part, lambda text, target: self._link(path, text, target))
            out.append(re.sub(r"^(#+) (.+)$", lambda match: self._heading(path, *match.groups()), part, flags=re.M))
        return "".join(out)

    @staticmethod
    def _heading(path, marks, title):
        if len(marks) == 1:
            return f"# {title_of(path)} {{#{page_id(path)}}}"
        return f"{marks} {title} {{#{page_id(path)}_{anchor(title)}}}"

    def _link(self, path, text, target):
        if re.match(r"\w+:", target):
            return f"[{text}]({target})"
        target, _, fragment = target.partition("#")
        found = (path.parent / target).resolve() if target else path
        if (found / "README.md") in self.paths:
            found = found / "README.md"
        if found in self.paths:
            return f'@ref {page_id(found)}{"_" + anchor(fragment) if fragment else ""} "{text}"'
        relative = found.relative_to(ROOT)
        if relative.as_posix() == "include/sandlock.h":
            return f'@ref index "{text}"'
        if relative.parent.name == "examples" and relative.suffix == ".c":
            return f"[{text}]({relative.stem}_8c-example.html)"
        if relative.parts[:2] == ("docs", "man"):
            return f"[{text}]({relative.name}.html)"
        if not found.is_file():
            raise SystemExit(f"{path}: {target} is no page and no file")
        copy = self.site / "files" / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, copy)
        return f"[{text}](files/{relative.as_posix()})"

    def further(self):
        """What there is besides the manual."""
        out = ["@section more More", "- @ref functions and @ref constants, as the header groups them"]
        for path in self.paths:
            out.append(f'- @ref {page_id(path)} "{title_of(path)}"')
        out += [f"- [{name[:-2]}({name[-1]})]({name}.html): {about}" for name, about in MANUALS.items()]
        return "\n".join(out)

    @staticmethod
    def examples():
        """Has doxygen show each example, and link to it from the functions that it calls."""
        return "".join(f"/** @example {path.name} */\n" for path in sorted(ROOT.glob("examples/*.c")))


def anchor(text):
    return re.sub(r"[^a-z0-9]+", "_", slug(text))


def main(output, site):
    header = Header((ROOT / "include/sandlock.h").read_text())
    pages = Pages(header, site)
    output.mkdir(parents=True)
    (output / "sandlock.h").write_text(header.declarations())
    (output / "main.dox").write_text(header.main_page(pages.further()))
    (output / "examples.dox").write_text(pages.examples())
    for number, path in enumerate(pages.paths):  # the order of the pages is that of these names
        (output / f"{number:02}_{page_id(path)}.md").write_text(pages.page(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
