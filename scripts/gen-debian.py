#!/usr/bin/env python3
"""Generates what the Debian packages say of the library's insides, from what says it already.

    gen-debian.py          writes debian/copyright, from debian/copyright.in, Cargo.lock and the crates that it names, and
                           debian/libsandlock0.symbols, from scripts/exports.txt
    gen-debian.py --check  fails when the committed files differ from what would be written, and when debian/changelog
                           and Cargo.toml disagree about the version
"""

import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = "x86_64-unknown-linux-gnu"
COPYRIGHT = "debian/copyright"
SYMBOLS = "debian/libsandlock0.symbols"
# As Debian calls licenses whose text debian/copyright.in has.
LICENSES = {"Apache-2.0": "Apache-2.0", "MIT": "Expat"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def linked_crates():
    """The crates whose code is in the library: no procedural macros, nothing for tests or for building."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    linked, waiting = set(), [root]
    while waiting:
        name = waiting.pop()
        macro = any("proc-macro" in target["kind"] for target in packages[name]["targets"])
        if name in linked or macro:
            continue
        linked.add(name)
        for dependency in nodes[name]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return sorted((packages[name] for name in linked - {root}), key=lambda package: (package["name"], package["version"]))


def holders(package):
    """Who holds the copyright: the lines of its license files that say so, or else its authors."""
    directory = os.path.dirname(package["manifest_path"])
    found = []
    for name in sorted(os.listdir(directory)):
        # A file of third parties is about tests and examples.
        if not re.match(r"(LICEN[CS]E|COPYRIGHT|NOTICE)", name) or "THIRD" in name:
            continue
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            # Three spaces and more are the Apache License's own text.
            for line in re.findall(r"^ {0,3}Copyright (?:\([cC]\) |© )?([^\[{\n]+)$", file.read(), re.MULTILINE):
                holder = line.strip()
                if not re.search(r"[A-Za-z]", holder):
                    holder += f" the developers of {package['name']}"
                if holder not in found:
                    found.append(holder)
    return found or package["authors"] or [f"The developers of {package['name']}"]


def license_of(package):
    words = []
    for word in re.split(r" +| */ *", package["license"].replace("/", " OR ")):
        if word in ("OR", "AND"):
            words.append(word.lower())
        elif word in LICENSES:
            words.append(LICENSES[word])
        else:
            sys.exit(f"{package['name']}: no text for its license, {word}: add it to debian/copyright.in and gen-debian.py")
    return " ".join(words)


def copyright_file():
    stanzas = []
    for package in linked_crates():
        lines = "\n ".join(holders(package))
        stanzas.append(f"Files: vendor/{package['name']}-{package['version']}/*\nCopyright: {lines}\nLicense: {license_of(package)}\n")
    return read(COPYRIGHT + ".in").replace("@CRATES@\n", "\n".join(stanzas) + "\n")


def crate_version():
    return re.search(r'^version = "(.*)"$', read("Cargo.toml"), re.MULTILINE).group(1)


def symbols_file():
    """Each exported function with the version that first had it: that which is listed, or this one."""
    path = os.path.join(ROOT, SYMBOLS)
    first = dict(re.findall(r"^ (\w+)@Base (\S+)$", read(SYMBOLS), re.MULTILINE)) if os.path.exists(path) else {}
    version = crate_version()
    names = [line for line in read("scripts/exports.txt").split("\n") if line and not line.startswith("#")]
    lines = [f" {name}@Base {first.get(name, version)}\n" for name in sorted(names)]
    return "libsandlock.so.0 libsandlock0 #MINVER#\n* Build-Depends-Package: libsandlock-dev\n" + "".join(lines)


def main():
    files = {COPYRIGHT: copyright_file(), SYMBOLS: symbols_file()}
    if sys.argv[1:] == ["--check"]:
        for path, text in files.items():
            if read(path) != text:
                sys.exit(f"{path} is not what scripts/gen-debian.py writes; run it")
        packaged = re.match(r"sandlock \((.*)-\d+\)", read("debian/changelog")).group(1)
        if packaged != crate_version():
            sys.exit(f"debian/changelog is of version {packaged}, Cargo.toml of {crate_version()}")
        print("Debian packages: copyright, symbols and version are up to date")
    elif not sys.argv[1:]:
        for path, text in files.items():
            with open(os.path.join(ROOT, path), "w", encoding="utf-8") as out:
                out.write(text)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
