"""The public names, each once: what `magicpoint` imports when a name is first used, and what type checkers see.

None has the name of a module: importing that would put the module in its place.
"""

from .adaptation.settings import AdaptationSettings as AdaptationSettings
from .adaptation.summary import LabelReport as LabelReport
from .adaptation.summary import format_labels as format_labels
from .core.geometry import TwoViewGeometry as TwoViewGeometry
from .core.types import Features as Features
from .core.types import Labels as Labels
from .core.types import Matches as Matches
from .data.photometric import PhotometricSettings as PhotometricSettings
from .data.settings import AugmentationSettings as AugmentationSettings
from .data.settings import ViewSettings as ViewSettings
from .decoding.settings import DecodeSettings as DecodeSettings
from .evaluation.labels.results import LabelsEvaluation as LabelsEvaluation
from .evaluation.pairs.report import format_pairs as format_pairs
from .evaluation.pairs.results import PairsEvaluation as PairsEvaluation
from .evaluation.shapes.report import format_shapes as format_shapes
from .evaluation.shapes.results import ShapesEvaluation as ShapesEvaluation
from .export.formats import export_model as export_model
from .inference.extractor import Extractor as Extractor
from .io.features import read_features as read_features
from .io.images import read_image as read_image
from .io.labels import read_labels as read_labels
from .io.matches import PairMatches as PairMatches
from .io.matches import read_matches as read_matches
from .io.reading import ImageReading as ImageReading
from .jobs.adapt import adapt_images as adapt_images
from .jobs.colmap import MapResult as MapResult
from .jobs.colmap import map_images as map_images
from .jobs.evaluate import evaluate_interiors as evaluate_interiors
from .jobs.evaluate import evaluate_labels as evaluate_labels
from .jobs.evaluate import evaluate_pairs as evaluate_pairs
from .jobs.evaluate import evaluate_synthetic as evaluate_synthetic
from .jobs.extract import ExtractResult as ExtractResult
from .jobs.extract import extract_images as extract_images
from .jobs.finetune.result import FinetuneResult as FinetuneResult
from .jobs.finetune.run import finetune_images as finetune_images
from .jobs.finetune.settings import FinetuneSettings as FinetuneSettings
from .jobs.info import FileInfo as FileInfo
from .jobs.info import read_info as read_info
from .jobs.labels import label_images as label_images
from .jobs.match import MatchResult as MatchResult
from .jobs.match import match_images as match_images
from .jobs.pairs import MatchPairsResult as MatchPairsResult
from .jobs.pairs import match_pairs as match_pairs
from .jobs.track import TrackResult as TrackResult
from .jobs.track import track_video as track_video
from .jobs.train import TrainResult as TrainResult
from .jobs.train import read_training as read_training
from .matching.geometry import estimate_geometry as estimate_geometry
from .matching.homography import estimate_homography as estimate_homography
from .matching.nearest import match_features as match_features
from .matching.settings import GeometrySettings as GeometrySettings
from .matching.settings import MatchSettings as MatchSettings
from .matching.settings import TrackSettings as TrackSettings
from .matching.tracks import Tracker as Tracker
from .model.network import MagicPoint as MagicPoint
from .model.network import SuperPoint as SuperPoint
from .model.settings import ModelSettings as ModelSettings
from .pictures.matches import draw_matches as draw_matches
from .training.loop import train_model as train_model
from .training.losses.detector import detector_loss as detector_loss
from .training.settings import TrainSettings as TrainSettings
from .training.targets import draw_keypoint_map as draw_keypoint_map
from .training.targets import labels2Dto3D as labels2Dto3D
from .training.targets import labels3Dto2D as labels3Dto2D
from .training.targets import mask_to_cells as mask_to_cells
from .training.tasks.settings import JointSettings as JointSettings
from .training.tasks.settings import MagicPointSettings as MagicPointSettings
from .training.tasks.settings import SuperPointSettings as SuperPointSettings

__version__: str
