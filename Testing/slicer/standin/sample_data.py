"""The package `SampleData`: entries of the module Sample Data, and downloading one."""

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer


@dataclass(frozen=True)
class SampleDataSource:
    """An entry of the module Sample Data that downloads by a function of its own."""

    sampleName: str
    customDownloader: Callable[["SampleDataSource"], Any]
    thumbnailFileName: str | None = None


class SampleDataLogic:
    """Modules/Scripted/SampleData/SampleData.py."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str | None = None,
        *,
        customDownloader: Callable[[SampleDataSource], Any] | None = None,
        thumbnailFileName: str | None = None,
        uris: list[str] | None = None,
        fileNames: list[str] | None = None,
        **others: Any,
    ) -> None:
        """Offer an entry."""
        if others or not sampleName or not customDownloader:
            raise AssertionError("the stand-in knows entries with a name and a downloader of their own")
        if len(uris) != len(fileNames):  # of None there is no length: Slicer fails in the same way
            raise ValueError("All fields of sample data source must have the same length")
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        source = SampleDataSource(sampleName, customDownloader, thumbnailFileName)
        slicer.modules.sampleDataSources.setdefault(category, []).append(source)

    def downloadFromSource(self, source: SampleDataSource) -> Any:
        """What a click on an entry does."""
        return source.customDownloader(source)


def sample_data_package() -> types.ModuleType:
    """The package `SampleData`."""
    package = types.ModuleType("SampleData")
    package.SampleDataLogic, package.SampleDataSource = SampleDataLogic, SampleDataSource
    return package
