"""Data: digits, TFDS sets and folders of pictures behind one function."""

from jaxopt_study.data.dataset import Dataset
from jaxopt_study.data.load import load

__all__ = ["Dataset", "load"]
