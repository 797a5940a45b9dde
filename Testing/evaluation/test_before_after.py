"""What a training did for those it was not shown, in words: also where there was no bladder to find."""

from BladderAutoContourLib.evaluation.accuracy import FALSE_CONTOUR, NONE_RIGHTLY, CaseResult
from BladderAutoContourLib.evaluation.before_after import Judged, as_text
from BladderAutoContourLib.networks.plan import Plan, StagePlan

STAGE = StagePlan((8.0, 8.0, 8.0), (32, 32, 32))
PLAN = Plan("any", STAGE, STAGE)


def test_a_contour_where_there_is_no_bladder_is_told() -> None:
    before, after = (Judged(PLAN, [CaseResult("patient 1", outcome)]) for outcome in (NONE_RIGHTLY, FALSE_CONTOUR))
    title, line, _ = as_text(before, after).splitlines()
    assert line.split() == ["patient", "1", "none", "-", "false-contour", "-", "-"]
    assert title.index("Dice after") + len("Dice after") == line.index(FALSE_CONTOUR) + len(FALSE_CONTOUR)
