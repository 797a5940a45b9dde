"""Ten thousand damaged files: what do the readers make of them?

Run from the repository root: `.venv/bin/python Testing/Benchmarks/fuzz.py`. Bits flipped, bytes changed, digits
exchanged, files cut, runs lost, doubled or blanked, element heads changed, in CT images and structure sets of many
kinds. A good outcome is a refusal, a finding, or the undamaged file's geometry, slices and references, with other
values only where the hit file holds them. Ends with code 1 after any other. JPEG kinds need dcmtk and GDCM's tools.

With `--lines FILE` every outcome is kept, and a study that was interrupted goes on where it stopped; `--part 2/4`
runs the second quarter of the cases.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "dicom"))

from fuzz_watch import study
from fuzzing import GOOD, make_samples

PROGRAMS = {
    "RLE": ["dcmcrle"],
    "JPEG lossless": ["dcmcjpeg", "+e1"],
    "JPEG-LS": ["dcmcjpls"],
    "JPEG 2000": ["gdcmconv", "--j2k"],
    "lossy JPEG, 8 bits": ["dcmcjpeg", "+eb"],
    "lossy JPEG, 12 bits": ["dcmcjpeg", "+ee"],
    "lossy JPEG-LS": ["dcmcjpls", "+en"],
    "lossy JPEG 2000": ["gdcmconv", "--j2k", "--lossy", "-r", "4"],
}
BAD = ("silent", "crash", "hang", "leak")


def by_program(program: list[str]) -> Callable[[Path, Path], object]:
    """A function that compresses a file by an outside program."""
    return lambda source, target: subprocess.run([*program, str(source), str(target)], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", default="1/1", help="which part of the cases, such as 2/4")
    parser.add_argument("--lines", type=Path, help="file of the outcomes, one a line; what it holds is not run again")
    parser.add_argument("--output", type=Path, help="JSON file of the table to write")
    arguments = parser.parse_args()
    part, parts = map(int, arguments.part.split("/"))
    first, end = ((number * arguments.cases) // parts for number in (part - 1, part))
    outcomes: list[dict[str, Any]] = []
    if arguments.lines and arguments.lines.exists():
        outcomes = [json.loads(line) for line in arguments.lines.read_text(encoding="utf-8").splitlines()]
    left = ranges(set(range(first, end)) - {one["case"] for one in outcomes})
    programs = {kind: command for kind, command in PROGRAMS.items() if shutil.which(command[0])}
    if len(programs) < len(PROGRAMS):
        print(f"not installed, left out: {', '.join(PROGRAMS.keys() - programs.keys())}")
    with tempfile.TemporaryDirectory() as folder:
        make_samples(Path(folder), {kind: by_program(command) for kind, command in programs.items()})
        for outcome in (one for part in left for one in study(Path(folder), arguments.seed, *part)):
            outcomes.append(outcome)
            if arguments.lines:
                with arguments.lines.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(outcome) + "\n")
            if outcome["kind"] not in GOOD:
                print(f"case {outcome['case']}: {outcome}", flush=True)
    table = report(outcomes)
    if arguments.output:
        result = {"seed": arguments.seed, "cases": len(outcomes), **table}
        arguments.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if all(one["kind"] in GOOD for one in outcomes) else 1


def ranges(numbers: set[int]) -> list[tuple[int, int]]:
    """The numbers as ranges, each from its first to behind its last."""
    begins = sorted(number for number in numbers if number - 1 not in numbers)
    ends = sorted(number + 1 for number in numbers if number + 1 not in numbers)
    return list(zip(begins, ends, strict=True))


def report(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """Print the table; what it says."""
    count = Counter((key, one["kind"]) for one in outcomes for key in (one["what"], one["damage"], "all"))
    names = [*dict.fromkeys(sorted(one["what"] for one in outcomes)),
             *dict.fromkeys(sorted(one["damage"] for one in outcomes)), "all"]  # fmt: skip
    kinds = (*GOOD, *BAD)
    print(f"{'':<32}" + "".join(f"{kind:>9}" for kind in kinds))
    rows = {name: {kind: count[name, kind] for kind in kinds} for name in names}
    for name, row in rows.items():
        print(f"{name:<32}" + "".join(f"{number:9d}" for number in row.values()))
    slowest = max(one["seconds"] for one in outcomes)
    print(f"slowest case: {slowest:.1f} s; all: {sum(one['seconds'] for one in outcomes):.0f} s")
    return {"rows": rows, "slowest_seconds": slowest}


if __name__ == "__main__":
    sys.exit(main())
