"""What there is to load: names, sources, checksums, licences, citations. Imports nothing heavy."""

from __future__ import annotations

from typing import NamedTuple

from elbo.ledger import NoData

__all__ = ["DATASETS", "OFFICIAL_DSPRITES", "DataError", "RemoteFile", "Source", "owner"]


class DataError(NoData):
    """A data file is missing, truncated, altered or out of reach; the message is one sentence that names the fix."""


class RemoteFile(NamedTuple):
    """One file that is fetched.

    ``path`` is relative to the data folder; ``hash`` is ``"sha256:..."`` or ``"md5:..."`` of the file, or None where
    only the content is pinned; ``bytes`` is its size, or None; ``content`` is the sha256 of the pixels as unsigned
    bytes, image by image, row by row.
    """

    path: str
    urls: tuple[str, ...]
    hash: str | None
    bytes: int | None
    content: str | None = None


class Source(NamedTuple):
    """Where a data set comes from: the files it needs (none: it is embedded) and what must be said about it."""

    name: str
    title: str
    origin: str
    files: tuple[RemoteFile, ...]
    licence: str
    citation: str


def _mnist(file: str, sha256: str, size: int) -> RemoteFile:
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    return RemoteFile(f"MNIST/raw/{file}", tuple(mirror + file for mirror in mirrors), f"sha256:{sha256}", size)


_MNIST = (
    _mnist("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422),
    _mnist("train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881),
    _mnist("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877),
    _mnist("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542),
)
_FREY = RemoteFile(
    "frey/frey_rawface.mat",
    ("https://cs.nyu.edu/~roweis/data/frey_rawface.mat", "http://www.cs.nyu.edu/~roweis/data/frey_rawface.mat"),
    None,  # copies differ in the header of the container, so the pixels are pinned instead
    None,
    content="2438ba4f0d2a6bd8bac43de756141eaa33c8d248dd613d464bdb1210d9b7af78",
)
_DSPRITES_FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
OFFICIAL_DSPRITES = RemoteFile(
    f"dsprites/{_DSPRITES_FILE}",
    (
        f"https://github.com/google-deepmind/dsprites-dataset/raw/master/{_DSPRITES_FILE}",
        f"https://raw.githubusercontent.com/google-deepmind/dsprites-dataset/master/{_DSPRITES_FILE}",
        f"https://github.com/deepmind/dsprites-dataset/blob/master/{_DSPRITES_FILE}?raw=true",
    ),
    "md5:7da33b31b13a06f4b04a70402ce90c2e",  # the only checksum that is public
    None,
)

_DSPRITES_CITATION = (
    "L. Matthey, I. Higgins, D. Hassabis, A. Lerchner (2017). dSprites: Disentanglement testing Sprites dataset. "
    "https://github.com/google-deepmind/dsprites-dataset"
)
DATASETS = {
    source.name: source
    for source in (
        Source(
            "digits",
            "8x8 scans of handwritten digits",
            "embedded in scikit-learn",
            (),
            "CC BY 4.0",
            "E. Alpaydin, C. Kaynak (1998). Optical Recognition of Handwritten Digits. "
            "UCI Machine Learning Repository. https://doi.org/10.24432/C50P49",
        ),
        Source(
            "photos",
            "two photographs",
            "embedded in scikit-learn",
            (),
            "CC BY 2.0",
            "china.jpg by danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035; "
            "flower.jpg by vultilion, https://www.flickr.com/photos/vultilion/6056698931",
        ),
        Source(
            "dsprites",
            "64x64 sprites with known factors (a reconstruction)",
            "rendered here",
            (),
            "data set Apache-2.0; these images are rendered by this package's code",
            _DSPRITES_CITATION,
        ),
        Source(
            "dsprites-official",
            "dSprites, the published file",
            "fetched",
            (OFFICIAL_DSPRITES,),
            "Apache-2.0",
            _DSPRITES_CITATION,
        ),
        Source(
            "mnist",
            "28x28 scans of handwritten digits",
            "fetched",
            _MNIST,
            "CC BY-SA 3.0",
            "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998). Gradient-based learning applied to document "
            "recognition. Proceedings of the IEEE 86(11), 2278-2324. https://doi.org/10.1109/5.726791",
        ),
        Source(
            "frey",
            "28x20 frames of one face, from a video",
            "fetched",
            (_FREY,),
            "none stated; made available for research by B. Frey and S. Roweis",
            "B. Frey, S. Roweis. Frey Face. https://cs.nyu.edu/~roweis/data.html",
        ),
    )
}


def owner(file: RemoteFile) -> str:
    """The name of the data set that a file belongs to."""
    return next((source.name for source in DATASETS.values() if file in source.files), "")
