"""Where nodes stand in the subject hierarchy: patient, study, series."""

import slicer


def modality_of(node: slicer.vtkMRMLNode) -> str:
    """The DICOM modality of a node's series; empty where it is not known."""
    tree = _tree(node)
    item = tree.GetItemByDataNode(node)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return tree.GetItemAttribute(item, name).strip() if item else ""


def place_beside(node: slicer.vtkMRMLNode, sibling: slicer.vtkMRMLNode) -> None:
    """Put a node where its sibling stands: under the study of a CT from DICOM, else in its folder."""
    tree = _tree(node)
    item = tree.GetItemByDataNode(sibling)
    parent = tree.GetItemParent(item) if item else tree.GetSceneItemID()
    tree.CreateItem(parent, node)  # an item that Slicer made already is moved


def _tree(node: slicer.vtkMRMLNode) -> slicer.vtkMRMLSubjectHierarchyNode:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
