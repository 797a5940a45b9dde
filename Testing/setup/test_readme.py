"""What the README quotes is what the program says."""

import ast
import re

from shipped import MODULE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def texts() -> str:
    """Every text that stands in the shipped Python and .ui files, one a line, its blanks as they are read."""
    nodes = [node for file in MODULE.rglob("*.py") for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    said = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    for file in MODULE.rglob("*.ui"):
        said += re.findall(r"<string>([^<]+)</string>", file.read_text(encoding="utf-8"))
    return "\n".join(" ".join(text.split()) for text in said)


def section(title: str) -> str:
    """What stands below a heading, up to the next one."""
    return README.partition(f"### {title}\n")[2].partition("\n##")[0]


def test_messages_are_quoted_as_they_are_said() -> None:
    rows = re.findall(r"^\| (\*.+?) \|", section("When something goes wrong"), re.MULTILINE)
    assert len(rows) > 10
    said = texts()
    parts = [part.strip() for row in rows for quote in re.findall(r"\*(.+?)\*", row) for part in quote.split("...")]
    assert [part for part in parts if part not in said] == []


def test_buttons_and_sections_are_called_by_their_names() -> None:
    said = texts().splitlines()
    names = ["Auto-contour bladder", "Correct the contour", "Restore the automatic contour", "Export RTSTRUCT..."]
    names += ["Propagate my corrections", "Accept", "Discard", "Copy up and fit"]
    names += ["Draw the bladder by hand"]
    for name in [*names, "Install PyTorch...", "Install from a folder...", "Processor (CPU)", "Advanced", "Log"]:
        assert f"*{name}*" in README or f"**{name}**" in README, name
        assert name in said, name


def test_pictures_are_there() -> None:
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", README)
    assert len(pictures) >= 5
    assert [picture for picture in pictures if not (ROOT / picture).is_file()] == []


def test_files_that_it_names_are_there() -> None:
    named = set(re.findall(r"\b(?:BladderAutoContour|Testing|Resources)/[\w./-]*\w", README))
    assert len(named) > 10
    assert sorted(name for name in named if not (ROOT / name).exists()) == []
