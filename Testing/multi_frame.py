"""A series of single-frame files as one enhanced (multi-frame) CT, for tests: PS3.3 A.38.1, C.7.6.16."""

import copy
from collections.abc import Sequence
from pathlib import Path

import pydicom
from BladderAutoContourLib.dicom.pydicom_versions import save
from pydicom.dataset import Dataset

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
MOVED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "RescaleSlope",
         "RescaleIntercept", "RescaleType", "InstanceNumber", "AcquisitionNumber", "PixelData")  # fmt: skip


def write_enhanced(path: Path, files: Sequence[Path], order: Sequence[int] | None = None) -> Path:
    """One enhanced CT file of the images of `files`, its frames in `order`; what all share stands in shared groups."""
    images = [pydicom.dcmread(files[place]) for place in (order if order is not None else range(len(files)))]
    dataset = copy.deepcopy(images[0])
    for keyword in MOVED:
        del dataset[keyword]
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    uid = pydicom.uid.generate_uid(entropy_srcs=[str(image.SOPInstanceUID) for image in images])
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.InstanceNumber = 1
    dataset.NumberOfFrames = len(images)
    dataset.SharedFunctionalGroupsSequence = [
        groups(
            PixelMeasuresSequence={key: images[0][key].value for key in ("PixelSpacing", "SliceThickness")},
            PlaneOrientationSequence={"ImageOrientationPatient": images[0].ImageOrientationPatient},
            CTImageFrameTypeSequence={"FrameType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]},
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        groups(
            PlanePositionSequence={"ImagePositionPatient": image.ImagePositionPatient},
            PixelValueTransformationSequence={
                key: image[key].value for key in ("RescaleIntercept", "RescaleSlope", "RescaleType")
            },
            FrameContentSequence={"StackID": "1", "InStackPositionNumber": number},
        )
        for number, image in enumerate(images, start=1)
    ]
    dataset.PixelData = b"".join(image.PixelData for image in images)
    dataset["PixelData"].VR = "OW"
    save(dataset, path)
    return path


def groups(**macros: dict[str, object]) -> Dataset:
    """One item of functional groups: a sequence of one item each."""
    item = Dataset()
    for sequence, values in macros.items():
        macro = Dataset()
        for keyword, value in values.items():
            setattr(macro, keyword, value)
        setattr(item, sequence, [macro])
    return item
