"""Builds the package, without anything that would have to be fetched (PEP 517, PEP 660).

A package of a few Python files needs no more: a wheel is a zip file with the files, and what pyproject.toml says of them.
"""

import base64
import hashlib
import io
import os
import re
import tarfile
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = "sandlock"
TIME = (1980, 1, 1, 0, 0, 0)  # the same wheel from the same files


def get_requires_for_build_wheel(config_settings=None):
    return []


get_requires_for_build_sdist = get_requires_for_build_editable = get_requires_for_build_wheel


def read(*path):
    with open(os.path.join(ROOT, *path), "rb") as file:
        return file.read()


def said(key):
    """A text in pyproject.toml. Python has a reader of TOML from 3.11 on only."""
    return re.search(rf'^{key} = "([^"]*)"', read("pyproject.toml").decode(), flags=re.M)[1]


def metadata():
    return (
        f"Metadata-Version: 2.1\nName: {said('name')}\nVersion: {said('version')}\nSummary: {said('description')}\n"
        f"License: Apache-2.0\nRequires-Python: {said('requires-python')}\n"
        f"Description-Content-Type: text/markdown\n\n"
    ).encode() + read("README.md")


def sources():
    """The files of the package, by their names in it."""
    names = sorted(name for name in os.listdir(os.path.join(ROOT, PACKAGE)) if name.endswith((".py", ".typed")))
    return {f"{PACKAGE}/{name}": read(PACKAGE, name) for name in names}


def write_wheel(directory, files):
    info = f"{said('name')}-{said('version')}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": metadata(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: sandlock\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    wheel = f"{said('name')}-{said('version')}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, wheel), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, TIME)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return wheel


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return write_wheel(wheel_directory, sources())


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return write_wheel(wheel_directory, {f"{PACKAGE}.pth": (ROOT + "\n").encode()})


def build_sdist(sdist_directory, config_settings=None):
    base = f"{said('name')}-{said('version')}"
    files = {
        **sources(),
        **{name: read(name) for name in ("pyproject.toml", "README.md", "build_backend/backend.py")},
        "PKG-INFO": metadata(),
    }
    with tarfile.open(os.path.join(sdist_directory, base + ".tar.gz"), "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"{base}/{name}")
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return base + ".tar.gz"
