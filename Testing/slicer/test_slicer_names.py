"""Every name of Slicer, Qt and CTK that the module uses stands in a list, with the place where both Slicers have it."""

import json

import pytest
from names import LIST, WANTED, differences, listed, names_of

ADVICE = "`python Testing/slicer/names.py --sources ...` looks new names up and writes the list anew"


@pytest.mark.parametrize("part", WANTED)
def test_every_name_that_is_used_is_listed_and_no_other(part):
    assert not differences(part, listed()), ADVICE


def test_the_list_says_how_it_was_checked_and_for_which_versions():
    content = listed()
    assert set(content["versions"]) == {"5.10", "5.12"}
    assert "names.py" in content["how"]
    repositories = {*next(iter(content["versions"].values())), "VTK", "Qt"}
    for part in WANTED:
        assert len(content[part]) > 50
        assert {place.partition(":")[0] for place in content[part].values()} <= repositories


def test_a_name_that_is_not_listed_or_not_used_is_told():
    content = json.loads(LIST.read_text(encoding="utf-8"))
    gone = next(iter(content["names"]))
    content["names"] = {name: place for name, place in content["names"].items() if name != gone}
    content["names"]["slicer.util.nothing"] = "Slicer:Base/Python/slicer/util.py"
    assert differences("names", content) == [
        f"{gone} is used and not listed",
        "slicer.util.nothing is listed and not used",
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import slicer\nslicer.util.loadUI('a')", {"slicer.util.loadUI"}),
        ("import qt\nqt.QTimer.singleShot(0, print)", {"qt.QTimer.singleShot"}),
        ("from slicer.i18n import tr as _\n_('a').format(b=1)", {"slicer.i18n.tr"}),
        ("import DICOMLib", {"DICOMLib"}),
        ("import slicer\nslicer.app.layoutManager().sliceWidget('Red')", {"slicer.app.layoutManager().sliceWidget"}),
        ("import slicer\nscene = slicer.mrmlScene\ndef f():\n  scene.Clear()", {"slicer.mrmlScene.Clear"}),
        ("import slicer\ndef f(a: slicer.vtkSegment):\n  a.GetTag()", {"slicer.vtkSegment().GetTag"}),
        ("import slicer\ndef f(a: 'slicer.vtkSegment | None'): a.SetTag()", {"slicer.vtkSegment().SetTag"}),
        (
            "import qt\nclass A:\n  def a(self): self.t = qt.QTimer()\n  def b(self): self.t.timeout.connect(print)",
            {"qt.QTimer().timeout"},
        ),
        ("import slicer\nslicer.app.connect('aboutToQuit()', print)", {"slicer.app.connect"}),
        ("nodes('vtkMRMLSegmentationNode', 'any text')", {"vtkMRMLSegmentationNode"}),
        ("import slicer\nslicer.util.arrayFromVolume(1).max()", {"slicer.util.arrayFromVolume"}),
        ("from ..errors import InputError\nimport numpy\nnumpy.max(1)", set()),
    ],
)
def test_the_reader_finds_the_names_of_a_file(text, names):
    assert names_of(text) == names
