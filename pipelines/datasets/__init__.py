"""The catalog's dataset types; heavy libraries are imported when a dataset is loaded or saved, not before.

Whatever nodes write derives from `WholeFileDataset`: a killed save or a full disk leaves what was there.
"""

from pipelines.datasets.encoder import EncoderDataset, save_arm
from pipelines.datasets.image_sets import ImageSetDataset
from pipelines.datasets.inputs import (
    CaptionEditsCSVDataset,
    CaptionFilesDataset,
    EvaluationCaptionsCSVDataset,
    TakedownsCSVDataset,
)
from pipelines.datasets.path import FolderDataset, PathDataset
from pipelines.datasets.pictures import FigureDataset, ImageDataset
from pipelines.datasets.records import RunRecordDataset
from pipelines.datasets.tables import LazyParquetDataset, ParquetDataset, PreviousParquetDataset
from pipelines.datasets.texts import JSONDataset, PreviousJSONDataset, SecondsDataset, TextDataset
from pipelines.datasets.whole import WholeFileDataset, WholeFolderDataset
from pipelines.datasets.work import WithWorkFolderDataset, WorkFolderDataset

__all__ = [
    "CaptionEditsCSVDataset",
    "CaptionFilesDataset",
    "EncoderDataset",
    "EvaluationCaptionsCSVDataset",
    "FigureDataset",
    "FolderDataset",
    "ImageDataset",
    "ImageSetDataset",
    "JSONDataset",
    "LazyParquetDataset",
    "ParquetDataset",
    "PathDataset",
    "PreviousJSONDataset",
    "PreviousParquetDataset",
    "RunRecordDataset",
    "SecondsDataset",
    "TakedownsCSVDataset",
    "TextDataset",
    "WholeFileDataset",
    "WholeFolderDataset",
    "WithWorkFolderDataset",
    "WorkFolderDataset",
    "save_arm",
]
