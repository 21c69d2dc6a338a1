"""Training of a denoiser, the global prior, on a folder of photographs."""

from hybridprior.training.checkpoint import read_checkpoint
from hybridprior.training.config import TrainConfig
from hybridprior.training.data import Photographs
from hybridprior.training.trainer import Trainer
from hybridprior.training.validation import Validation

__all__ = ["Photographs", "TrainConfig", "Trainer", "Validation", "read_checkpoint"]
