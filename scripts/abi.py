#!/usr/bin/env python3
"""The steps of the ABI gate (docs/ABI.md) that libabigail has no means for.

    abi.py source HEADER [DUMP]  writes C that defines every function of the header, and holds every constant, so that its
                                 debug information says all that a compiled program knows of the header; with a dump,
                                 structures have as many members as they have there
    abi.py growth HEADER DUMP    writes C that compiles if what structures have beyond the dump lies beyond their size there
"""

import re
import sys
import xml.etree.ElementTree

# What grows or changes with every release, and of which programs know that it does.
NOT_ABI = ("SANDLOCK_VERSION_NUMBER", "SANDLOCK_EVENT_ALL")


class Header:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            # Without comments and what is for C++ alone.
            text = re.sub(r"//[^\n]*|/\*.*?\*/", "", file.read(), flags=re.DOTALL)
        text = re.sub(r"#ifdef __cplusplus.*?#endif", "", text, flags=re.DOTALL).replace("\\\n", " ")
        self.directives = re.findall(r"^#.*", text, re.MULTILINE)
        self.text = re.sub(r"^#.*", "", text, flags=re.MULTILINE)
        # Constants by the word after SANDLOCK_. Initialisers and texts are for the compiler of the program.
        self.groups = {}
        for directive in self.directives:
            found = re.match(r"#define (SANDLOCK_([A-Z0-9]+)\w*) +([^{\"\s]+)\s*$", directive)
            if found and found[1] not in NOT_ABI:
                self.groups.setdefault(found[2].lower(), []).append(found[1])
        self.functions = [
            statement
            for statement in statements(self.text)
            if not statement.startswith("typedef") and re.search(r"\bsandlock_\w+ ?\([^()]*\)$", statement)
        ]
        if len(self.functions) < 100 or len(self.groups) < 10:
            sys.exit(f"{path} has {len(self.functions)} functions and {len(self.groups)} groups of constants: what is it?")

    def structures(self):
        """Each as (its text, its name, the text of its members)."""
        found = re.finditer(r"typedef struct \{([^{}]*)\} (\w+);", self.text)
        return [(match[0], match[2], [part.strip() for part in match[1].split(";")[:-1]]) for match in found]


def statements(text):
    """Splits at the semicolons that are not within braces."""
    depth, start = 0, 0
    for place, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == ";" and depth == 0:
            yield " ".join(text[start:place].split())
            start = place + 1


def dumped_structures(path):
    """{name: (bytes, number of members)}."""
    found = {}
    for declared in xml.etree.ElementTree.parse(path).getroot().iter("class-decl"):
        if declared.get("is-declaration-only") != "yes":
            bits = int(declared.get("size-in-bits"))
            found[declared.get("name")] = bits // 8, len(declared.findall("data-member"))
    if "sandlock_capabilities" not in found:
        sys.exit(f"{path} does not have the header's structures")
    return found


def source(header, dumped):
    text = header.text
    for whole, name, members in header.structures():
        _, count = dumped.get(name, (0, len(members)))
        text = text.replace(whole, f"typedef struct {{ {'; '.join(members[:count])}; }} {name};")
    print("\n".join(header.directives))
    print(text)
    for group, names in header.groups.items():
        values = ", ".join(f"value_of_{name} = {name}" for name in names)
        print(f"enum constants_{group} {{ {values} }} constants_{group};")
    for function in header.functions:
        print(f"{function} {{ __builtin_trap(); }}")


def growth(header, dumped):
    print("#include <sandlock.h>")
    for _, name, members in header.structures():
        if members[0] != "size_t size":
            sys.exit(f"{name} does not start with its size, so it could never grow")
        size, count = dumped.get(name, (0, len(members)))
        for member in members[count:]:
            member = re.search(r"(\w+)$", member)[1]
            wrong = f"{name}.{member} lies where it had padding, in which a program of before may have anything"
            print(f'_Static_assert(offsetof({name}, {member}) >= {size}, "{wrong}");')


def main():
    if len(sys.argv) == 4 and sys.argv[1] in ("source", "growth"):
        step = source if sys.argv[1] == "source" else growth
        step(Header(sys.argv[2]), dumped_structures(sys.argv[3]))
    elif len(sys.argv) == 3 and sys.argv[1] == "source":
        source(Header(sys.argv[2]), {})
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
