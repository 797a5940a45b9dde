"""`benchmark`: seconds and memory of whole `segment` runs on generated CTs; CRF-RNN and CNN beside their peers."""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import host
from ..errors import InputError
from ..events import Events
from ..output_files import check_output, put, write_text
from .engine_arguments import add_engine_arguments

if TYPE_CHECKING:
    from ..imaging.volume import Volume

HELP = "Measure seconds and memory of a `segment` run, cold and warm, on a generated 512 x 512 x 150 DICOM CT."
RESULT, GROWTH, PLOT, CRF, NETWORKS = "benchmark.json", "growth.json", "growth.png", "crf.json", "networks.json"
"""Each is written as soon as it is measured."""

WARM_RUNS, SMOKE_WARM_RUNS = 4, 1
EXTENTS = ((512, 75), (512, 150), (512, 300), (512, 600), (256, 75), (256, 150), (256, 300), (256, 600))
SMOKE_EXTENTS = ((128, 60), (64, 90))
"""(matrix, slices) of the CTs on which growth is measured."""
Save = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class _Bench:
    """Where the measurements work, and what they tell. options: of the measured programs."""

    folder: Path
    options: Sequence[str | Path]
    smoke: bool
    events: Events


@dataclass(frozen=True)
class _Peers:
    """The environment that the CRF's peer was installed into, and its interpreter."""

    environment: Path
    python: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--smoke", action="store_true", help="small CTs: shows that it works, measures little")
    parser.add_argument("--ct", type=Path, metavar="CT", help="measure on this DICOM CT instead of a generated one")
    parser.add_argument(
        "--growth", action="store_true", help="measure how a run's cost grows with slices and matrix as well"
    )
    parser.add_argument(
        "--peers",
        nargs="?",
        type=Path,
        const=Path(),
        metavar="ENVIRONMENT",
        help="measure the CRF-RNN beside pydensecrf and the networks beside MONAI's as well, which are installed into "
        "an environment of their own: in this folder, to be used again, or in a temporary one",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the figures, as JSON, and the plot (default: only printed)",
    )
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace, events: Events) -> int:
    """Generate the CT, measure what was asked for, print what it cost. Raises the family's errors."""
    if arguments.output is not None:
        check_output(arguments.output)
    if arguments.ct is not None and not host.is_there(arguments.ct):
        raise InputError(f"{arguments.ct} does not exist. Check the path.", [arguments.ct])
    from ..networks.weights import default_weights
    from ..pipeline.lettering import write_png

    def save(name: str, found: dict[str, Any]) -> None:
        if arguments.output is not None:
            write_text(arguments.output / name, json.dumps(found, indent=2) + "\n")

    # weights that are missing, and peers that cannot be installed, are told before minutes of generating and measuring
    weights = arguments.weights or default_weights()
    with tempfile.TemporaryDirectory(prefix="bladder-benchmark-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with events.cancellation.cleaning(lambda: host.remove_folder(folder)):
            bench = _Bench(folder, _options(arguments), arguments.smoke, events)
            peers = None
            if arguments.peers is not None:
                peers = _install_peers(folder / "peers" if arguments.peers == Path() else arguments.peers)
            base = None
            if arguments.ct is None:
                base = _generate(bench)
            elif arguments.growth:
                base = _read(arguments.ct)
            save(RESULT, _run(arguments.ct, base, bench))
            if arguments.growth:
                found, picture = _growth(base, bench)
                save(GROWTH, found)
                if arguments.output is not None:
                    put(arguments.output / PLOT, lambda file: write_png(picture, file))
            if peers is not None:
                _peers(peers, weights, bench, save)
    if arguments.output is not None:
        events.result(arguments.output)
    return 0


def _generate(bench: _Bench) -> "Volume":
    # here, because torch comes with it
    from ..evaluation.speed.generated_ct import FULL_SIZE, FULL_SPACING_MM, SMOKE_SIZE, SMOKE_SPACING_MM, generated_ct

    bench.events.progress("generate", 0.0)
    size, spacing_mm = (SMOKE_SIZE, SMOKE_SPACING_MM) if bench.smoke else (FULL_SIZE, FULL_SPACING_MM)
    base = generated_ct(size, spacing_mm)
    bench.events.progress("generate", 1.0)
    return base


def _read(ct: Path) -> "Volume":
    from ..dicom.ct_series import read_ct

    return read_ct([ct]).volume


def _run(ct: Path | None, base: "Volume | None", bench: _Bench) -> dict[str, Any]:
    from ..dicom.ct_writer import write_ct_series
    from ..evaluation.speed.cold import measure
    from ..evaluation.speed.generated_ct import SEED
    from ..evaluation.speed.warm import measure_warm

    if ct is None:
        ct = bench.folder / "one"
        write_ct_series(base, ct, seed=SEED)
    bench.events.progress("measure", 0.0)
    measured = measure(ct, bench.folder / "result", bench.options, bench.events)
    bench.events.progress("measure", 0.5)
    runs = SMOKE_WARM_RUNS if bench.smoke else WARM_RUNS
    warm = measure_warm(ct, bench.folder, bench.options, runs, bench.events)
    bench.events.progress("measure", 1.0)
    print(f"{measured.as_text()}\n{warm.as_text()}", flush=True)
    return {**measured.as_data(), "warm": warm.as_data()}


def _growth(base: "Volume", bench: _Bench) -> tuple[dict[str, Any], Any]:
    from ..evaluation.speed import growth

    def tell(share: float) -> None:
        bench.events.progress("growth", share)

    tell(0.0)
    extents = SMOKE_EXTENTS if bench.smoke else EXTENTS
    costs = growth.measure_growth(base, extents, bench.folder, bench.options, bench.events, tell)
    print(growth.as_text(costs), flush=True)
    return growth.as_data(costs), growth.plot(costs)


def _install_peers(environment: Path) -> _Peers:
    from ..evaluation.peers.crf import PEER_PACKAGES
    from ..evaluation.peers.measured_program import peer_python

    return _Peers(environment, peer_python(environment, *PEER_PACKAGES))


def _peers(peers: _Peers, weights: Path, bench: _Bench, save: Save) -> None:
    import torch

    from ..evaluation.peers import crf, floor, network
    from ..evaluation.peers.crf_problem import SPACING_MM
    from ..networks.number_type import number_type
    from ..networks.weights import load_weights

    bench.events.progress("peers", 0.0)
    extent = crf.SMOKE if bench.smoke else crf.Extent()
    costs = crf.compare(extent, peers.python, bench.folder, bench.events)
    torch.set_num_threads(host.available_cores())
    machine = floor.measure_machine()
    least = {"crf": floor.crf_floor(crf.PLANS[extent.names[0]], extent.size, SPACING_MM, machine)}
    print(f"{crf.as_text(costs)}\n{floor.as_text(machine, least)}", flush=True)
    save(CRF, {**crf.as_data(costs, extent), "floor": floor.as_data(machine, least)})

    bench.events.progress("peers", 0.5)
    plan, numbers = load_weights(weights).plan, number_type(torch.device("cpu"))
    looks = network.SMOKE if bench.smoke else network.Extent()
    compared = network.compare(network.tasks(plan, looks), looks, peers.environment, bench.folder, bench.events)
    least = {name: floor.network_floor(stage, numbers, machine) for name, stage in network.stages(plan, looks).items()}
    bench.events.progress("peers", 1.0)
    print(f"{network.as_text(compared)}\n{floor.as_text(machine, least)}", flush=True)
    seconds = {name: network.seconds_of(compared.costs, name, numbers) for name in least}
    save(
        NETWORKS,
        {**network.as_data(compared, looks), "floor": floor.as_data(machine, least), "seconds": seconds},
    )


def _options(arguments: argparse.Namespace) -> list[str | Path]:
    weights = ["--weights", arguments.weights] if arguments.weights else []
    return ["--device", arguments.device, *weights]
