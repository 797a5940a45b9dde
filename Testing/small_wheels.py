"""Wheels a few hundred bytes small, for every pin of setup_dev.py: real pip installs them, without a network."""

import base64
import hashlib
import zipfile
from pathlib import Path

CONTENTS = {
    "torch": {"__init__.py": "class version:\n    cuda = None\n", "nn.py": "LAYERS = 3\n"},
    "pytest": {"__init__.py": "", "__main__.py": "import sys\nprint('pytest got', sys.argv[1:])\nsys.exit(5)\n"},
}


def make_wheel(folder: Path, name: str, version: str) -> Path:
    """Write one wheel: a package of that name, its METADATA and its RECORD."""
    name = name.replace("-", "_")  # as file names spell it
    description = f"{name}-{version}.dist-info"
    files = {f"{name}/{file}": text for file, text in CONTENTS.get(name, {"__init__.py": "PRESENT = True\n"}).items()}
    files[f"{description}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files[f"{description}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = []
    for file, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{file},sha256={digest},{len(text.encode())}\n")
    files[f"{description}/RECORD"] = "".join(rows) + f"{description}/RECORD,,\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
    return path
