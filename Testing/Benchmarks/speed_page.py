"""The page of figures: what took the time before, what was done, what it takes now, what is left against the floor.

Run from the repository root, after the benchmark itself, on a machine that does nothing else:

    .venv/bin/python -m BladderAutoContourLib benchmark --growth --peers --output Testing/Benchmarks/results/speed
    .venv/bin/python Testing/Benchmarks/thinner.py
    .venv/bin/python Testing/Benchmarks/speed_page.py

It reads results/speed/*.json, of which before.json holds the same measurements of an earlier state, and
results/thinner.json, and writes results/speed.md.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from BladderAutoContourLib.evaluation.peers.crf_worker import OURS, PEER

RESULTS = Path(__file__).resolve().parent / "results"
DONE = """
- **CRF-RNN.** It filtered the whole volume once for every intensity node, and made that node's weights anew each
  time: every intermediate went through main memory. Now all nodes are filtered together, slab by slab of a few slices,
  so that products find their factors in the processor's cache; weights are made once and kept; nodes stand 1 sigma
  apart instead of 0.9; where nodes are hardly fewer than voxels, the kernel itself is the cheaper matrix.
- **Start.** What Python compiles is kept; before, a setting of the shell that forbade it was passed on.
- **Segment** takes longer: the CNN has twice the channels, for a better contour.
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


def pace(before: dict[str, Any], now: dict[str, Any]) -> str:
    """How fast the machine was on the two days: pydensecrf is the same program on both."""
    then, today = ({m["widths"]: m["seconds"] for m in one["methods"] if m["method"] == PEER} for one in (before, now))
    slower = statistics.geometric_mean(today[widths] / seconds for widths, seconds in then.items())
    return (
        f'"Before" is an earlier day, with smaller networks, on a machine that was not the same: {PEER}, which nobody\n'
        f"changed, took {slower:.2f} times as long now. Of the CRF-RNN, compare the ratios."
    )


def crf(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Every width: all methods now, and ours before."""
    lines = []
    for tag, state in (("before", before), ("now", now)):
        peers = {m["widths"]: m["seconds"] for m in state["methods"] if m["method"] == PEER}
        for m in state["methods"]:
            if tag == "before" and m["method"] != OURS:
                continue
            lines.append(
                [
                    m["widths"],
                    f"{m['method']}{', before' if tag == 'before' else ''}",
                    str(m.get("filters") or ""),
                    f"{m['seconds']:.3f}",
                    f"{m['seconds'] / peers[m['widths']]:.2f}",
                    f"{m['peak_mb']:.0f}",
                    f"{m['error']:.6f}",
                    f"{m['labels']:.3%}",
                ]
            )
    lines.sort(key=lambda line: line[0])
    header = ["widths", "method", "filters", "seconds", "of the peer's", "MiB", "mean error", "labels differ"]
    return rows(header, lines)


def networks(found: dict[str, Any]) -> str:
    """The engine's networks and MONAI's at the same voxels."""
    lines = [
        [m["task"], m["number_type"], m["method"], f"{m['seconds']:.3f}", f"{m['ratio']:.2f}", f"{m['peak_mb']:.0f}"]
        for m in found["methods"]
    ]
    table = rows(["task, voxels", "numbers", "method", "seconds", "of ours", "MiB"], lines)
    return f"{table}\n{found['missing']}\n" if found["missing"] else table


def thinner(found: dict[str, Any]) -> str:
    """Fewer bits and fewer channels: seconds, and Dice with the float32 masks, the least and the mean."""
    now = next(row["seconds"] for row in found["variants"] if row["variant"] == found["engine_type"])
    lines = []
    for row in found["variants"]:
        scores = [row.get(name) for name in ("cnn_dice", "crf_dice")]
        agreement = [f"{min(one):.4f}, {statistics.mean(one):.4f}" if one else "" for one in scores]
        lines.append([row["variant"], f"{row['seconds']:.3f}", f"{row['seconds'] / now:.2f}", *agreement])
    table = rows(["variant", "seconds", "of the engine's", "CNN's Dice", "CRF-RNN's Dice"], lines)
    return f"{table}\nint8: {found['int8_missing']}\n" if found["int8_missing"] else table


def network_floors(found: dict[str, Any]) -> str:
    """What a look of each network must cost, beside what it does."""
    lines = []
    for name, seconds in found["seconds"].items():
        least = found["floor"][name]
        both = least["compute_seconds"] + least["memory_seconds"]
        lines.append(
            [
                name,
                f"{least['gflop']:.1f}",
                f"{least['compute_seconds']:.3f}",
                f"{least['gigabytes']:.2f}",
                f"{least['memory_seconds']:.3f}",
                f"{seconds:.3f}",
                f"{seconds / both:.1f}",
            ]
        )
    header = ["network, a look", "GFLOP", "at least, s", "GB", "at least, s", "takes, s", "times the sum"]
    return rows(header, lines)


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
    names = ("speed/before", "speed/benchmark", "speed/crf", "speed/networks", "speed/growth", "thinner")
    files = (RESULTS / f"{name}.json" for name in names)
    before, now, crfs, nets, grown, thin = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    goal = next(m for m in crfs["methods"] if m["method"] == OURS)
    size = " x ".join(map(str, now["size"]))
    page = f"""# Speed and memory

Made by `Testing/Benchmarks/speed_page.py` from what `benchmark` measured:
{now["cores"]} cores, {now["system"]}, {now["device"]}.

## A whole run: {size} voxels

{pace(before["crf"], crfs)}

{whole_run(before, now)}
## The CRF-RNN beside {crfs["peer"]}: {" x ".join(map(str, crfs["size"]))} voxels

Set-up included, medians of {crfs["runs"]} alternating runs.
Errors of the probabilities against brute-force mean field, on
{crfs["crops"]["count"]} crops of {crfs["crops"]["edge"]} voxels an edge.
"cosine" is the other route to the appearance kernel, a short cosine series along intensity instead of nodes, up to so
many sigmas; filters: how many spatial filters the kernel is made of, the series' terms or the nodes.

{crf(before["crf"], crfs)}
## The networks beside {nets["peer"]}

Random weights, medians of {nets["runs"]} alternating runs. Both sliding windows have the engine's network in them; the
engine's look at the body alone.

{networks(nets)}
## Fewer bits, half the width

The segmenter's look at {" x ".join(map(str, thin["size"]))} voxels with the weights {thin["model"]}, medians of
{thin["rounds"]} rounds in which each variant ran once; here the engine runs it in {thin["engine_type"]}.
Dice with the float32 masks on {thin["crops"]} generated crops: the least and the mean.
Half the width has random weights: its cost alone is shown.
int8 is torch's quantised Conv3d ({thin["int8_engine"]}), whose tensors torch means to remove.

{thinner(thin)}
## Growth

{growth(grown)}
![seconds and memory over slices](speed/growth.png)

## What was done
{DONE}
## The floor

{floor(crfs["floor"], goal["seconds"])}
In a network every convolution reads its input and its weights and writes its output once, in the type in which the
engine computes here; normalisation and PReLU are taken as free.

{network_floors(nets)}"""
    (RESULTS / "speed.md").write_text(page, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
