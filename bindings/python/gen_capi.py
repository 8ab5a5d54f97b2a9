#!/usr/bin/env python3
"""Writes sandlock/capi_table.py, the C API as ctypes knows it, from include/sandlock.h.

    gen_capi.py           writes the table anew
    gen_capi.py --check   fails if it is not what the header says (the tests run this)

Every constant, structure, callback and function of the header is in the table, so the header stays the only place where they are
written down.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = HERE.parent.parent / "include" / "sandlock.h"
TABLE = HERE / "sandlock" / "capi_table.py"

PLAIN = {
    "void": "None",
    "bool": "c_bool",
    "int": "c_int",
    "int32_t": "c_int32",
    "int64_t": "c_int64",
    "uint16_t": "c_uint16",
    "uint32_t": "c_uint32",
    "uint64_t": "c_uint64",
    "size_t": "c_size_t",
    "sandlock_status": "c_int32",
}


def without_comments(text):
    # Lines first: what they say has "/*" in it.
    return re.sub(r"/\*.*?\*/", "", re.sub(r"//[^\n]*", "", text), flags=re.S)


class Header:
    """What the header declares. Whatever it has that is not understood here raises, so that nothing is left out unnoticed."""

    def __init__(self, text):
        text = without_comments(text)
        self.constants = []
        for name, value in re.findall(r"^#define (SANDLOCK_\w+) ([^\n\\{]+)$", text, flags=re.M):
            self.constants.append((name, constant(value.strip())))
        self.structures = {
            name: re.findall(r"([^;]+);", body)
            for body, name in re.findall(r"typedef struct \{(.*?)\} (\w+);", text, flags=re.S)
        }
        self.opaque = set(re.findall(r"typedef struct (\w+) \1;", text))
        self.callbacks = {
            name: (result, split(arguments))
            for result, name, arguments in re.findall(r"typedef (\w+) \(\*(\w+)\)\((.*?)\);", text, flags=re.S)
        }
        functions = text[text.index('extern "C" {') :].split("{", 1)[1]
        functions = "\n".join(line for line in functions.splitlines() if not line.startswith("#"))
        self.functions = {}
        for statement in functions.split("}")[0].split(";"):
            statement = " ".join(statement.split())
            if not statement:
                continue
            match = re.fullmatch(r"(.*?)(sandlock_\w+)\((.*)\)", statement)
            if not match:
                raise ValueError(f"not understood: {statement}")
            self.functions[match[2]] = (match[1], split(match[3]))

    def ctype(self, text):
        """The ctypes type of a C type."""
        words = re.sub(r"\bconst\b", " ", text).replace("*", " * ").split()
        base, stars = words[0], len(words) - 1
        if words[1:] != ["*"] * stars:
            raise ValueError(f"not understood: {text}")
        if stars == 0 and base in PLAIN:
            return PLAIN[base]
        if stars == 0 and base in self.callbacks:
            return base
        if base == "char" and "const" in text:
            return ["", "c_char_p", "POINTER(c_char_p)"][stars]
        if base in ("void", "char", "uint8_t") and stars == 1:
            return "c_void_p"
        if base in self.opaque and stars in (1, 2):
            return ["", "c_void_p", "POINTER(c_void_p)"][stars]
        if stars == 1 and (base in self.structures or base in PLAIN):
            return f"POINTER({PLAIN.get(base, base)})"
        raise ValueError(f"not understood: {text}")

    def declared(self, text):
        """Name and ctypes type of a member or parameter."""
        match = re.fullmatch(r"(.*?)(\w+)", " ".join(text.split()))
        if not match:
            raise ValueError(f"not understood: {text}")
        return match[2], self.ctype(match[1])

    def table(self):
        out = [
            '"""The C API, written from include/sandlock.h by gen_capi.py: not to be edited."""',
            "",
            "from ctypes import (",
            "    CFUNCTYPE,",
            "    POINTER,",
            "    Structure,",
            *(f"    {name}," for name in sorted(set(PLAIN.values()) - {"None"} | {"c_char_p", "c_void_p"})),
            ")",
            "from typing import Any, Dict, Tuple",
            "",
        ]
        out += [f"{name} = {value}" for name, value in self.constants]
        for name, members in self.structures.items():
            out += ["", "", f"class {name}(Structure):", "    _fields_ = ["]
            out += ["        ({!r}, {}),".format(*self.declared(member)) for member in members]
            out += ["    ]"]
        out += ["", ""]
        for name, (result, arguments) in self.callbacks.items():
            types = ", ".join([self.ctype(result), *(self.declared(argument)[1] for argument in arguments)])
            out += [f"{name} = CFUNCTYPE({types})"]
        out += ["", "# Name: type of the result, types of the arguments."]
        out += ["FUNCTIONS: Dict[str, Tuple[Any, Tuple[Any, ...]]] = {"]
        for name, (result, arguments) in self.functions.items():
            types = "".join(self.declared(argument)[1] + ", " for argument in arguments).rstrip()
            out += [f"    {name!r}: ({self.ctype(result)}, ({types})),"]
        out += ["}", ""]
        return "\n".join(out)


def split(arguments):
    arguments = [" ".join(argument.split()) for argument in arguments.split(",")]
    return [] if arguments == ["void"] else arguments


def constant(value):
    if value == "UINT64_MAX":
        return str(2**64 - 1)
    if not re.fullmatch(r'-?\d+|"[^"]*"', value):
        raise ValueError(f"not understood: {value}")
    return value


def main():
    table = Header(HEADER.read_text()).table()
    if sys.argv[1:] == ["--check"]:
        if TABLE.read_text() != table:
            sys.exit("sandlock/capi_table.py is not what the header says; run gen_capi.py")
    else:
        TABLE.write_text(table)


if __name__ == "__main__":
    main()
