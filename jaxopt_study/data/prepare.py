"""Downloading and preparing a TFDS set, which TensorFlow is needed for."""

import difflib
import importlib.util
from pathlib import Path

from jaxopt_study.errors import EnvironmentFault, InputError


def prepare(name: str, data_dir: Path, *, progress: bool) -> None:
    """Downloads a set and writes it as array_record, so that it can be read without TensorFlow from then on.

    Args:
      name: NAME, NAME/CONFIG, either with :VERSION.
      data_dir: The folder to put it in.
      progress: Whether TFDS shows its bars.

    Raises:
      InputError: TFDS knows no such set; close matches are named.
      EnvironmentFault: TensorFlow is not installed, or the download or the disk failed.
    """
    import tensorflow_datasets as tfds

    base = name.partition("/")[0].partition(":")[0]
    # Without community sets, of which TFDS would fetch a list over the network.
    known = tfds.list_builders(with_community_datasets=False)
    if base not in known:
        close = difflib.get_close_matches(base, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "see tensorflow.org/datasets for the names"
        raise InputError("--dataset", f"tfds:{name}", f"no such set in TFDS and none prepared in {data_dir}; {hint}")
    if importlib.util.find_spec("tensorflow") is None:
        raise EnvironmentFault(
            f"tfds:{name} is not prepared in {data_dir} and preparing it takes TensorFlow: "
            'run  pip install "jaxopt-study[prepare]"  and then this same command again'
        )
    if not progress:
        tfds.disable_progress_bar()
    try:
        # What TFDS keeps prepared in its bucket is not array_record; asking costs a connection.
        from_source = tfds.download.DownloadConfig(try_download_gcs=False)
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare(download_config=from_source, file_format="array_record")
    except Exception as error:  # anything from a refused connection to a full disk or a missing extra package
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise EnvironmentFault(f"tfds:{name} could not be prepared in {data_dir}: {reason}") from error
