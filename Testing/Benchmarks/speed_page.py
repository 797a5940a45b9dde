"""The page of figures: what took the time before, what was done, what it takes now, what is left against the floor.

Run from the repository root, after the benchmark itself, on a machine that does nothing else:

    .venv/bin/python -m BladderAutoContourLib benchmark --growth --peers --output Testing/Benchmarks/results/speed
    .venv/bin/python Testing/Benchmarks/speed_page.py

It reads results/speed/*.json, of which before.json holds the same measurements of an earlier state, and writes
results/speed.md.
"""

import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
DONE = """
- **CRF-RNN.** It filtered the whole volume once for every intensity node, and made that node's weights anew each
  time: every intermediate went through main memory. Now all nodes are filtered together, slab by slab of a few slices,
  so that products find their factors in the processor's cache; weights are made once and kept; nodes stand 1 sigma
  apart instead of 0.9; where nodes are hardly fewer than voxels, the kernel itself is the cheaper matrix.
- **Start.** What Python compiles is kept; before, a setting of the shell that forbade it was passed on.
- **Segment** takes longer: the CNN looks at three crops instead of two, for a better contour.
- **Decide.** Threshold, largest part, holes and agreement looked at the whole grid of the CT; now at the restored part.
- **Picture.** Compressed less hard.
- **Memory of a graphics card.** Where it does not suffice, one network at a time stands on it and the CRF-RNN computes
  on the processor; then everything does. The report says so.
"""


def rows(header: list[str], lines: list[list[str]]) -> str:
    """A Markdown table."""
    table = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in table) + "\n"


def whole_run(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Cold and warm, step by step."""
    lines = [
        ["cold: start to files", f"{before['seconds']:.2f}", f"{now['seconds']:.2f}"],
        ["peak, MiB", f"{before['peak_mb']:.0f}", f"{now['peak_mb']:.0f}"],
        ["start, load, end", f"{before['other_seconds']:.2f}", f"{now['other_seconds']:.2f}"],
    ]
    earlier = {step["name"]: step["seconds"] for step in before["steps"]}
    lines += [[f"{s['name']}, cold", f"{earlier[s['name']]:.2f}", f"{s['seconds']:.2f}"] for s in now["steps"]]
    best = [f"{sorted(state['warm']['seconds'])[len(state['warm']['seconds']) // 2]:.2f}" for state in (before, now)]
    lines.append(["warm, median", *best])
    lines += [
        [f"{name}, warm", f"{before['warm']['steps'][name]:.2f}", f"{seconds:.2f}"]
        for name, seconds in now["warm"]["steps"].items()
    ]
    return rows(["seconds", "before", "now"], lines)


def crf(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Every width: both methods now, and ours before."""
    lines = []
    for tag, state in (("before", before), ("now", now)):
        peers = {m["widths"]: m["seconds"] for m in state["methods"] if m["method"] != "crf-rnn"}
        for m in state["methods"]:
            if tag == "before" and m["method"] != "crf-rnn":
                continue
            lines.append(
                [
                    m["widths"],
                    f"{m['method']}{', before' if tag == 'before' else ''}",
                    f"{m['seconds']:.3f}",
                    f"{m['seconds'] / peers[m['widths']]:.2f}",
                    f"{m['peak_mb']:.0f}",
                    f"{m['error']:.6f}",
                    f"{m['labels']:.3%}",
                ]
            )
    lines.sort(key=lambda line: line[0])
    return rows(["widths", "method", "seconds", "of the peer's", "MiB", "mean error", "labels differ"], lines)


def floor(found: dict[str, Any], seconds: float) -> str:
    """The machine's rates and what they leave to be won."""
    machine, least = found["machine"], found["crf"]
    both = least["compute_seconds"] + least["memory_seconds"]
    return f"""The machine, measured in the same run: {machine["gflops"]:.0f} GFLOP/s in float32,
{machine["bfloat16_gflops"]:.0f} in bfloat16, {machine["gigabytes"]:.1f} GB/s, {machine["threads"]} threads.
The products of the appearance kernel are {least["gflop"]:.1f} GFLOP, at least {least["compute_seconds"]:.3f} s; its
weights are {least["gigabytes"]:.2f} GB of traffic, at least {least["memory_seconds"]:.3f} s.
The whole CRF-RNN takes {seconds:.3f} s, {seconds / both:.1f} times the sum.
"""


def growth(found: dict[str, Any]) -> str:
    """Seconds and memory over slices and matrix."""
    lines = [
        [str(run["matrix"]), str(run["slices"]), f"{run['seconds']:.2f}", f"{run['peak_mb']:.0f}"]
        for run in found["runs"]
    ]
    further = "; ".join(
        f"matrix {matrix}: " + ", ".join(f"{1000 * value:.1f}" for value in values)
        for matrix, values in found["seconds_a_further_slice"].items()
    )
    table = rows(["matrix", "slices", "seconds", "peak MiB"], lines)
    return f"{table}\nMilliseconds for every further slice, from one length to the next: {further}.\n"


def main() -> int:
    files = (RESULTS / "speed" / f"{name}.json" for name in ("before", "benchmark", "crf", "growth"))
    before, now, crfs, grown = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    goal = next(m for m in crfs["methods"] if m["method"] == "crf-rnn")
    size = " x ".join(map(str, now["size"]))
    page = f"""# Speed and memory

Made by `Testing/Benchmarks/speed_page.py` from what `benchmark` measured:
{now["cores"]} cores, {now["system"]}, {now["device"]}.

## A whole run: {size} voxels

{whole_run(before, now)}
## The CRF-RNN beside {crfs["peer"]}: {" x ".join(map(str, crfs["size"]))} voxels

Set-up included, medians of {crfs["runs"]} alternating runs.
Errors of the probabilities against brute-force mean field, on
{crfs["crops"]["count"]} crops of {crfs["crops"]["edge"]} voxels an edge.

{crf(before["crf"], crfs)}
## Growth

{growth(grown)}
![seconds and memory over slices](speed/growth.png)

## What was done
{DONE}
## The floor

{floor(crfs["floor"], goal["seconds"])}"""
    (RESULTS / "speed.md").write_text(page, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
