"""Volumes from files (NRRD, NIfTI, MetaImage) and to NRRD. Geometry is kept as the file says it, in LPS millimetres."""

import functools
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .. import host
from ..errors import InputError, OutputError
from .components import bounding_box
from .geometry import Geometry
from .volume import Volume, sparse_copy

SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
"""How the names of volume files end."""

RIGHT_ANGLE = 1e-3
"""How far the products of unit axes may be off those at right angles (0.06 degrees)."""
FASTEST = 1  # zlib's level: a mask becomes a few per cent larger than at level 6, ten times sooner
_NRRD_TYPES = {"uint8": "uint8", "int16": "int16", "uint16": "uint16", "int32": "int32", "float32": "float"}
_META_ORIENTATION = (b"TransformMatrix", b"Rotation", b"Orientation")
_META_HEADER_BYTES = 2**16
_CHUNK_BYTES = 2**18


def is_volume_file(path: Path) -> bool:
    """Whether the name is one of a volume file (a folder or a DICOM file is none)."""
    return path.name.lower().endswith(SUFFIXES)


def read_mask(path: Path) -> Volume:
    """The volume of a file that holds one structure: one value above 0 inside it, 0 outside.

    Raises InputError as `read_volume` does, and for other volumes: probabilities, several labels, a CT.
    """
    mask = read_volume(path)
    box = bounding_box(mask.array)
    inside = mask.array[box][mask.array[box] > 0] if box else np.zeros(0)
    lowest = mask.array.min(initial=0)
    if lowest < 0 or (inside.size and inside.min() != inside.max()):
        low, high = lowest or inside.min(), inside.max(initial=lowest)
        raise InputError(
            f"{Path(path).name} is no mask of one structure: it holds values from {low:g} to {high:g} "
            "beside 0. Give a mask with one value above 0 inside the structure and 0 outside.",
            [path],
        )
    return mask


def to_sitk(volume: Volume) -> sitk.Image:
    """The volume as a SimpleITK image (a copy)."""
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.geometry.spacing_mm)
    image.SetOrigin(volume.geometry.origin_mm)
    image.SetDirection(np.asarray(volume.geometry.direction).ravel().tolist())
    return image


def from_sitk(image: sitk.Image) -> Volume:
    """A three-dimensional scalar SimpleITK image as a volume (a copy)."""
    return Volume(sparse_copy(sitk.GetArrayViewFromImage(image)), geometry_of(image))


def geometry_of(image: sitk.Image) -> Geometry:
    """The grid of a three-dimensional SimpleITK image."""
    rows = np.asarray(image.GetDirection()).reshape(3, 3)
    return Geometry(
        tuple(int(n) for n in image.GetSize()),
        tuple(float(v) for v in image.GetSpacing()),
        tuple(float(v) for v in image.GetOrigin()),
        tuple(tuple(float(v) for v in row) for row in rows),
    )


def read_volume(path: Path) -> Volume:
    """The volume of a NRRD, NIfTI or MetaImage file.

    Stored int16 and uint8 stay as they are; other whole numbers become int16 where they fit; all else float32.
    Raises InputError: missing, unreadable, not a volume, not three-dimensional, several values a voxel, no
    numbers, axes that are not at right angles.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a volume file" if path.is_dir() else "does not exist"
        raise InputError(f"{path.name} {what}. Choose a NRRD, NIfTI or MetaImage file.", [path])
    try:
        image = sitk.ReadImage(host.path_for_libraries(path))
    except RuntimeError as error:
        if host.is_memory_short(error):
            raise
        if "orthonormal" in str(error):  # NIfTI's reader refuses by itself
            raise _tilted(path) from error
        plain = not host.WINDOWS or host.path_for_libraries(path).isascii()
        rename = "" if plain else ", under a name and in a folder of plain letters (a to z)"
        raise InputError(
            f"{path.name} cannot be read as a volume: it is damaged, incomplete or of another kind. "
            f"Export it again as NRRD, NIfTI or MetaImage{rename}.",
            [path],
        ) from error
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{path.name} holds several values a voxel (a colour image?); a CT has one.", [path])
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]  # NIfTI writers add a time axis of one
    if image.GetDimension() != 3:
        raise InputError(f"{path.name} is not three-dimensional.", [path])
    axes = np.asarray(image.GetDirection()).reshape(3, 3)
    if np.abs(axes.T @ axes - np.eye(3)).max() > RIGHT_ANGLE:
        raise _tilted(path)
    volume = from_sitk(image)
    return Volume(_economical(volume.array, path), volume.geometry)


def says_orientation(path: Path) -> bool:
    """Whether a volume file that can be read says how its axes lie in the patient; none of its kinds need to."""
    if path.name.lower().endswith((".mha", ".mhd")):  # whose reader makes up what is not there
        with path.open("rb") as file:
            header = file.read(_META_HEADER_BYTES).partition(b"ElementDataFile")[0]
        return any(line.partition(b"=")[0].strip() in _META_ORIENTATION for line in header.splitlines())
    reader = sitk.ImageFileReader()
    reader.SetFileName(host.path_for_libraries(Path(path)))
    reader.ReadImageInformation()
    said = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return any(int(float(said.get(code) or 0)) > 0 for code in ("qform_code", "sform_code"))
    return "NRRD_space" in said or not path.name.lower().endswith((".nrrd", ".nhdr"))


def _tilted(path: Path) -> InputError:
    return InputError(
        f"The axes of {path.name} are not at right angles (a tilted gantry, or a rounded header). Resample it to a "
        "grid whose are.",
        [path],
    )


def _economical(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype in (np.int16, np.uint8, np.float32):
        pass
    elif np.issubdtype(array.dtype, np.integer):
        fits = array.min() >= -(2**15) and array.max() < 2**15
        array = array.astype(np.int16 if fits else np.float32)
    elif np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32)
    else:
        raise InputError(f"{path.name} holds complex numbers; a CT has real ones.", [path])
    if array.dtype == np.float32 and not np.isfinite(array).all():
        raise InputError(f"{path.name} holds voxels without a number (NaN or infinite); export it again.", [path])
    return array


def write_volume(volume: Volume, path: Path) -> None:
    """Write a volume as NRRD, compressed, whole or not at all. Raises OutputError: unwritable, disk full."""
    path = Path(path)
    try:
        host.put_file(path, lambda temporary: _write_nrrd(volume, temporary))
    except OSError as error:
        why = "the disk is full" if host.is_disk_full(error) else "the folder does not let it"
        raise OutputError(f"{path.name} could not be written: {why}. Choose another output folder.", [path]) from error


def _write_nrrd(volume: Volume, path: Path) -> None:
    # Not by ITK: its writer ends without a word when the disk is full.
    array = np.ascontiguousarray(volume.array)
    header = _nrrd_header(array.dtype.name, volume.geometry).encode("ascii")
    data = array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8)
    chunks = (data[start : start + _CHUNK_BYTES] for start in range(0, data.size, _CHUNK_BYTES))
    with path.open("wb") as file:
        file.write(header)
        file.writelines(_gzipped(chunks))


def _gzipped(chunks: Iterable[np.ndarray]) -> Iterator[bytes]:
    """Bytes as a gzip file (RFC 1952). Every chunk is packed by itself, so that one of nothing but zeros, as are most
    of a mask's, can be the same bytes each time."""
    yield b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    checksum = size = 0
    for chunk in chunks:
        checksum, size = zlib.crc32(chunk, checksum), size + chunk.size
        yield _packed(chunk.tobytes(), FASTEST) if chunk.any() else _packed_zeros(chunk.size)
    yield zlib.compressobj(wbits=-zlib.MAX_WBITS).flush()
    yield struct.pack("<II", checksum, size % 2**32)


@functools.cache
def _packed_zeros(size: int) -> bytes:
    return _packed(bytes(size), 9)


def _packed(chunk: bytes, level: int) -> bytes:
    """A part of a deflate stream (RFC 1951) that ends at a whole byte and looks at nothing before it."""
    packer = zlib.compressobj(level, wbits=-zlib.MAX_WBITS)
    return packer.compress(chunk) + packer.flush(zlib.Z_FULL_FLUSH)


def _nrrd_header(dtype_name: str, geometry: Geometry) -> str:
    def vector(values: np.ndarray) -> str:
        return "(" + ",".join(repr(float(value)) for value in values) + ")"

    axes = geometry.matrix[:3, :3].T
    return "\n".join(
        [
            "NRRD0004",
            f"type: {_NRRD_TYPES[dtype_name]}",
            "dimension: 3",
            "space: left-posterior-superior",
            "sizes: " + " ".join(map(str, geometry.size)),
            "space directions: " + " ".join(vector(axis) for axis in axes),
            "kinds: domain domain domain",
            "endian: little",
            "encoding: gzip",
            f"space origin: {vector(geometry.origin_mm)}",
            "",
            "",
        ]
    )
