"""What Slicer installs is what the repository holds."""

import ast
import json
import re
import shutil
import subprocess

import pytest
from shipped import LISTS, MODULE, RESOURCES, ROOT, SCRIPTS, listed, shipped, tracked

TOP_LEVEL = {"BladderAutoContour", "CMakeLists.txt", "LICENSE", "README.md", "Resources", "Testing", "setup_dev.py"}

# The extension catalog's schema, version 1.0.2: what an entry may hold, each with its type.
CATALOG_REQUIRED = {"$schema": str, "category": str, "scm_url": str}
CATALOG_OPTIONAL = {
    **dict.fromkeys(("build_subdirectory", "dicom_support_rule", "scm_revision", "scm_type"), str),
    "build_dependencies": list,
    "enabled": bool,
    "tier": int,
}

# A Slicer that is nothing but the macros that our CMake files call; they say what they were given.
STAND_IN = """
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MODULE "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  foreach(file ${MODULE_SCRIPTS} ${MODULE_RESOURCES})
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
      message(FATAL_ERROR "${file} is listed and not there")
    endif()
    message(STATUS "installs ${file}")
  endforeach()
  message(STATUS "module ${MODULE_NAME}${MODULE_UNPARSED_ARGUMENTS}")
endfunction()
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/Slicer_USE_FILE.cmake" "")
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/Metadata.cmake" "message(STATUS \\"depends \\${EXTENSION_DEPENDS}\\")")
set(Slicer_USE_FILE "${CMAKE_CURRENT_BINARY_DIR}/Slicer_USE_FILE.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_BINARY_DIR}/Metadata.cmake")
set(Slicer_EXTENSION_CPACK "${Slicer_USE_FILE}")
"""


def test_top_level_holds_only_what_belongs_there() -> None:
    top = {name.partition("/")[0] for name in tracked(ROOT)}
    assert {name for name in top if not name.startswith(".")} == TOP_LEVEL


@pytest.mark.parametrize("variable", [SCRIPTS, RESOURCES])
def test_every_shipped_file_is_listed(variable: str) -> None:
    advice = "run `python Testing/setup/shipped.py` after `git add`"
    assert listed(variable) == shipped()[variable], advice


def test_listed_resources_hold_the_icon() -> None:
    assert "Resources/Icons/BladderAutoContour.png" in listed(RESOURCES)
    for icon in (MODULE / "Resources", ROOT / "Resources"):
        header = (icon / "Icons" / "BladderAutoContour.png").read_bytes()[:24]
        assert header.startswith(b"\x89PNG")
        assert [int.from_bytes(header[start : start + 4], "big") for start in (16, 20)] == [128, 128]


def test_module_file_has_the_classes_that_slicer_looks_for() -> None:
    tree = ast.parse((MODULE / "BladderAutoContour.py").read_text(encoding="utf-8"))
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert classes >= {MODULE.name, f"{MODULE.name}Widget", f"{MODULE.name}Test"}


def test_catalog_entry_keeps_the_schema() -> None:
    entry = json.loads((ROOT / "Resources" / "BladderAutoContour.json").read_text(encoding="utf-8"))
    assert entry["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.2.json#")
    types = {**CATALOG_REQUIRED, **CATALOG_OPTIONAL}
    assert entry.keys() >= CATALOG_REQUIRED.keys()
    assert {name: type(value) for name, value in entry.items()} == {name: types.get(name) for name in entry}
    assert entry["scm_type"] in ("git", "local")
    assert 1 <= entry["tier"] <= 5
    assert f'EXTENSION_CATEGORY "{entry["category"]}"' in (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")


def test_cmake_configures_the_extension(judge, tmp_path) -> None:
    """CMake itself reads both files, against a Slicer package of our own."""
    cmake = judge("cmake")
    slicer = tmp_path / "Slicer"
    slicer.mkdir()
    (slicer / "SlicerConfig.cmake").write_text(STAND_IN, encoding="utf-8")
    source = tmp_path / "source"
    shutil.copytree(MODULE, source / MODULE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "CMakeLists.txt", source)
    command = [cmake, "-S", source, "-B", tmp_path / "build", f"-DSlicer_DIR={slicer}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    installed = re.findall(r"^-- installs (.+)$", answer.stdout, re.MULTILINE)
    assert installed == [*listed(SCRIPTS), *listed(RESOURCES)]
    assert "-- module BladderAutoContour\n" in answer.stdout
    assert "-- depends PyTorch\n" in answer.stdout


def test_lists_stand_in_the_module_file() -> None:
    """The macro is called with the two lists, so that what is listed is what is installed."""
    text = LISTS.read_text(encoding="utf-8")
    assert f"SCRIPTS ${{{SCRIPTS}}}" in text
    assert f"RESOURCES ${{{RESOURCES}}}" in text
