"""What git tracks, and what the module's CMakeLists.txt lists. Run as a program, it writes the lists anew."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "BladderAutoContour"
LISTS = MODULE / "CMakeLists.txt"
LEFT_BEHIND = {".git", ".venv", ".demo", "__pycache__", ".pytest_cache", ".hypothesis", ".ruff_cache", ".DS_Store"}
"""What Python, its tools and the system leave beside the sources."""
SCRIPTS, RESOURCES = "MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"


def tracked(folder: Path) -> list[str]:
    """The files that git tracks in a folder, relative to it, sorted; without git or a repository, all that lie there.

    Sources may have come as an archive.
    """
    try:
        answer = subprocess.run(["git", "ls-files", "-z"], cwd=folder, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in files if not LEFT_BEHIND.intersection(path.parts))
    return sorted(name for name in answer.stdout.decode("utf-8").split("\0") if name)


def shipped() -> dict[str, list[str]]:
    """What Slicer must install: the module's scripts, and everything else as its resources."""
    files = [name for name in tracked(MODULE) if name != LISTS.name]
    scripts = [name for name in files if name.endswith(".py")]
    return {SCRIPTS: scripts, RESOURCES: [name for name in files if name not in scripts]}


def find_list(text: str, variable: str) -> re.Match[str]:
    """Where CMakeLists.txt sets one of its lists; the first group holds the names."""
    found = re.search(rf"set\({variable}\n(.*?) *\)\n", text, re.DOTALL)
    assert found, f"{LISTS} sets no {variable}"
    return found


def listed(variable: str) -> list[str]:
    """The files that CMakeLists.txt names in one of its lists, in its order."""
    names = find_list(LISTS.read_text(encoding="utf-8"), variable).group(1)
    return names.replace("${MODULE_NAME}", MODULE.name).split()


def write_lists() -> None:
    """Make CMakeLists.txt list what git tracks."""
    text = LISTS.read_text(encoding="utf-8")
    for variable, files in shipped().items():
        place = find_list(text, variable)
        lines = "".join(f"  {name.replace(MODULE.name, '${MODULE_NAME}')}\n" for name in files)
        text = text[: place.start(1)] + lines + text[place.end(1) :]
    LISTS.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write_lists()
