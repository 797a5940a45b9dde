"""A volume as a CT series of single-frame DICOM files: generated pelves, and tests that need real files.

CT Image IOD, PS3.3 A.3. Implicit VR little endian. Nothing of a real patient: names and identifiers come from a seed.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from .. import SOFTWARE_NAME, __version__
from ..errors import OutputError
from ..imaging.volume import Volume
from .decimal_string import decimal_strings
from .image_header import CT_IMAGE
from .pydicom_versions import save

INTERCEPT = -1024
"""Stored values are unsigned: HU = stored - 1024."""
DESCRIPTION = "Generated pelvis"


def write_ct_series(
    volume: Volume,
    folder: Path,
    *,
    seed: int | str = 0,
    patient_position: str = "HFS",
    patient_name: str | None = None,
    patient_id: str | None = None,
    character_set: str | list[str] | None = None,
) -> list[Path]:
    """Write `volume` (HU, rounded, at least -1024) as one file a slice into `folder`, and return the files in z order.

    Position and orientation follow volume.geometry, whatever its direction; `patient_position` is only declared. The
    same seed and geometry give the same UIDs. Raises OutputError where the folder cannot be written.
    """
    number = f"{seed:04d}" if isinstance(seed, int) else str(seed)
    base = f"{SOFTWARE_NAME}/{number}/{volume.geometry}/{patient_position}/{DESCRIPTION}"

    def uid(name: str) -> str:
        return generate_uid(entropy_srcs=[base, name])

    common = _common(uid, number, patient_position)
    common.PatientName = patient_name or f"PHANTOM^SEED{number}"
    common.PatientID = patient_id or f"SEED{number}"
    if character_set is not None:
        common.SpecificCharacterSet = character_set
    _add_plane(common, volume)
    folder = Path(folder)
    paths: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for z in range(len(volume.array)):
            paths.append(folder / f"ct_{z + 1:04d}.dcm")
            save(_slice(common, volume, z, uid(f"slice {z}")), paths[-1])
    except OSError as fault:
        raise OutputError(f"The CT cannot be written into {folder}: {fault.strerror or fault}.", [folder]) from fault
    return paths


def _common(uid: Callable[[str], str], number: str, patient_position: str) -> Dataset:
    """What all slices share, type 1 and 2 attributes of the CT Image IOD included."""
    common = Dataset()
    common.SOPClassUID = CT_IMAGE
    common.Modality = "CT"
    common.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    common.PatientBirthDate = ""
    common.PatientSex = "O"
    common.StudyInstanceUID = uid("study")
    common.StudyDate = common.SeriesDate = common.AcquisitionDate = common.ContentDate = "20200101"
    common.StudyTime = common.SeriesTime = common.AcquisitionTime = common.ContentTime = "120000"
    common.StudyID = "1"
    common.StudyDescription = "Generated, not a patient"
    common.AccessionNumber = ""
    common.ReferringPhysicianName = ""
    common.SeriesInstanceUID = uid("series")
    common.SeriesNumber = 1
    common.SeriesDescription = DESCRIPTION
    common.BodyPartExamined = "PELVIS"
    common.PatientPosition = patient_position
    common.FrameOfReferenceUID = uid("frame of reference")
    common.PositionReferenceIndicator = ""
    common.Manufacturer = SOFTWARE_NAME
    common.ManufacturerModelName = "Phantom"
    common.DeviceSerialNumber = number[:64]
    common.SoftwareVersions = __version__
    common.AcquisitionNumber = 1
    common.KVP = "120"
    common.RescaleIntercept = str(INTERCEPT)
    common.RescaleSlope = "1"
    common.RescaleType = "HU"
    common.WindowCenter = "40"
    common.WindowWidth = "400"
    return common


def _add_plane(common: Dataset, volume: Volume) -> None:
    geometry = volume.geometry
    direction = np.asarray(geometry.direction)
    common.PixelSpacing = decimal_strings((geometry.spacing_mm[1], geometry.spacing_mm[0]), 8)
    common.SliceThickness = decimal_strings(geometry.spacing_mm[2:], 8)
    common.ImageOrientationPatient = decimal_strings([*direction[:, 0], *direction[:, 1]], 10)
    common.SamplesPerPixel = 1
    common.PhotometricInterpretation = "MONOCHROME2"
    common.Rows, common.Columns = geometry.size[1], geometry.size[0]
    common.BitsAllocated = common.BitsStored = 16
    common.HighBit = 15
    common.PixelRepresentation = 0


def _slice(common: Dataset, volume: Volume, z: int, sop_instance_uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT_IMAGE
    meta.MediaStorageSOPInstanceUID = sop_instance_uid
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.update(common)
    dataset.SOPInstanceUID = sop_instance_uid
    dataset.InstanceNumber = z + 1
    dataset.ImagePositionPatient = decimal_strings(volume.geometry.to_patient(np.array([0.0, 0.0, z])), 8)
    stored = np.clip(np.rint(volume.array[z].astype(np.float32)) - INTERCEPT, 0, 65535).astype("<u2")
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset
