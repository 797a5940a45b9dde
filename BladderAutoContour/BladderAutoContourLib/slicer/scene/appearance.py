"""How a bladder contour looks: its code and colour, over the slices and in 3-D."""

import slicer

NAME = "Bladder"
"""TG-263's name, the same in every language."""
TERMINOLOGY = (
    "Segmentation category and type - DICOM master list~SCT^123037004^Anatomical Structure~SCT^89837001^Bladder~^^~"
    "Anatomic codes - DICOM master list~^^~^^"
)
"""SNOMED CT's urinary bladder, as Slicer's own terminology lists it, in the form in which Slicer stores it."""
COLOUR = (222 / 255, 154 / 255, 132 / 255)
"""What Slicer's terminology recommends for it."""
FILL_OPACITY = 0.25
"""The grey values inside the contour stay readable."""


def show(segmentation: slicer.vtkMRMLSegmentationNode) -> None:
    """Show a new segmentation: voxels as fill and outline over the slices, their surface in 3-D."""
    segmentation.CreateDefaultDisplayNodes()
    display = segmentation.GetDisplayNode()
    display.SetOpacity2DFill(FILL_OPACITY)
    display.SetOpacity2DOutline(1.0)
    display.SetVisibility3D(True)
    converter = slicer.vtkSegmentationConverter
    display.SetPreferredDisplayRepresentationName2D(converter.GetSegmentationBinaryLabelmapRepresentationName())
    display.SetPreferredDisplayRepresentationName3D(converter.GetSegmentationClosedSurfaceRepresentationName())
