"""The datasets that srbench knows: facts only, one entry a set.

A set's files are listed in ``<name>.tsv`` beside this module: path inside the set's folder, bytes, sha256 and, if it can
be downloaded, GitHub repository, commit and path. Only someone who has read the bytes may write down a sha256.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from srbench.datasets.entry import Archive, Dataset
from srbench.errors import UnknownNameError

_BERKELEY = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/"
_ETHZ = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
_NOT_STATED = "research test set, no licence stated"

_ENTRIES = (
    Dataset(
        name="sample",
        title="astronaut, chelsea, coffee and rocket of scikit-image",
        folder="sample",
        split="test",
        count=4,
        licence="CC0 or public domain",
        homepage="https://scikit-image.org/docs/stable/api/skimage.data.html",
        manual="install scikit-image, whose package holds it",
        listed=True,
    ),
    Dataset(
        name="set5",
        title="Bevilacqua et al., BMVC 2012",
        folder="Set5",
        split="test",
        count=5,
        licence=_NOT_STATED,
        homepage="https://github.com/JingyunLiang/SwinIR/tree/main/testsets/Set5",
        manual="take the folder testsets/Set5 of github.com/JingyunLiang/SwinIR",
        listed=True,
    ),
    Dataset(
        name="set14",
        title="Zeyde et al., Curves and Surfaces 2010",
        folder="Set14",
        split="test",
        count=14,
        licence=_NOT_STATED,
        homepage="https://github.com/tegg89/SRCNN-Tensorflow",
        manual="take the folder Test/Set14 of github.com/tegg89/SRCNN-Tensorflow",
        listed=True,
    ),
    Dataset(
        name="bsd100",
        title="100 test images of BSDS300, Martin et al., ICCV 2001",
        folder="BSD100",
        split="test",
        count=100,
        licence="non-commercial research",
        homepage=_BERKELEY,
        manual="take the folder data/bsd100 of github.com/jiny2001/dcscn-super-resolution",
        aliases=("B100",),
        listed=True,
    ),
    Dataset(
        name="urban100",
        title="Huang et al., CVPR 2015",
        folder="Urban100",
        split="test",
        count=100,
        licence="Flickr images under Creative Commons licences",
        homepage="https://github.com/jbhuang0604/SelfExSR",
        manual="take the HR images from the SelfExSR project page, github.com/jbhuang0604/SelfExSR",
    ),
    Dataset(
        name="manga109",
        title="Matsui et al., Multimedia Tools and Applications 2017",
        folder="Manga109",
        split="test",
        count=109,
        licence="academic use after registration",
        homepage="http://www.manga109.org/en/",
        manual="register at www.manga109.org and take one page of each of the 109 volumes",
    ),
    Dataset(
        name="div2k-val",
        title="DIV2K validation, Agustsson and Timofte, CVPR workshops 2017",
        folder="DIV2K_val",
        split="val",
        count=100,
        licence="academic research only",
        homepage=_ETHZ,
        manual="unpack DIV2K_valid_HR.zip from data.vision.ee.ethz.ch/cvl/DIV2K",
        default_protocol="div2k-edsr",
        numbered="%04d.png",
        first=801,
        archive=Archive(
            url=f"{_ETHZ}DIV2K_valid_HR.zip",
            size=448_993_893,
            sha256="20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
            inner="DIV2K_valid_HR",
        ),
        aliases=("DIV2K_valid_HR", "DIV2K_valid", "DIV2K/DIV2K_valid_HR"),
    ),
    Dataset(
        name="div2k-train",
        title="DIV2K training, Agustsson and Timofte, CVPR workshops 2017",
        folder="DIV2K_train",
        split="train",
        count=800,
        licence="academic research only",
        homepage=_ETHZ,
        manual="unpack DIV2K_train_HR.zip from data.vision.ee.ethz.ch/cvl/DIV2K",
        numbered="%04d.png",
        archive=Archive(
            url=f"{_ETHZ}DIV2K_train_HR.zip",
            size=3_530_603_713,
            sha256="9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
            inner="DIV2K_train_HR",
        ),
        aliases=("DIV2K_train_HR", "DIV2K/DIV2K_train_HR"),
    ),
    Dataset(
        name="flickr2k",
        title="Lim et al. and Timofte et al., CVPR workshops 2017",
        folder="Flickr2K",
        split="train",
        count=2650,
        licence="Flickr images, licence not stated",
        homepage="https://github.com/LimBee/NTIRE2017",
        manual="unpack Flickr2K.tar of the EDSR authors (github.com/LimBee/NTIRE2017; their server is gone)",
        numbered="%06d.png",
        aliases=("Flickr2K/Flickr2K_HR", "Flickr2K_HR"),
    ),
    Dataset(
        name="t91",
        title="91 images of Yang et al., IEEE Transactions on Image Processing 2010",
        folder="T91",
        split="train",
        count=91,
        licence="research training set, no licence stated",
        homepage="https://github.com/jiny2001/dcscn-super-resolution",
        manual="take the folder data/yang91 of github.com/jiny2001/dcscn-super-resolution",
        listed=True,
    ),
    Dataset(
        name="bsds200",
        title="200 training images of BSDS300, Martin et al., ICCV 2001",
        folder="BSDS200",
        split="train",
        count=200,
        licence="non-commercial research",
        homepage=_BERKELEY,
        manual="take the folder data/bsd200 of github.com/jiny2001/dcscn-super-resolution",
        listed=True,
        leaks={"302003": "set5's woman, reduced by 1.39"},
    ),
    Dataset(
        name="bsds500-test",
        title="200 test images of BSDS500, Arbelaez et al., TPAMI 2011; none of them is in BSD100 or BSDS200",
        folder="BSDS500_test",
        split="train",
        count=200,
        licence="non-commercial research",
        homepage="https://github.com/BIDS/BSDS500",
        manual="take the folder BSDS500/data/images/test of github.com/BIDS/BSDS500",
        listed=True,
    ),
    Dataset(
        name="general100",
        title="Dong et al., ECCV 2016",
        folder="General100",
        split="train",
        count=100,
        licence="research training set, no licence stated",
        homepage="http://mmlab.ie.cuhk.edu.hk/projects/FSRCNN.html",
        manual="unpack General-100 of the FSRCNN project page, mmlab.ie.cuhk.edu.hk/projects/FSRCNN.html",
        aliases=("General-100",),
    ),
    Dataset(
        name="vid4",
        title="four clips of Liu and Sun, TPAMI 2014: calendar, city, foliage, walk",
        folder="Vid4",
        split="test",
        count=171,
        licence="research test set, no licence stated",
        homepage="https://github.com/open-mmlab/mmagic/tree/main/tools/dataset_converters/vid4",
        manual="take Vid4.zip by the link in tools/dataset_converters/vid4 of github.com/open-mmlab/mmagic",
        clips={"calendar": 41, "city": 34, "foliage": 49, "walk": 47},
    ),
)

CATALOG: Mapping[str, Dataset] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def get_dataset(name: str) -> Dataset:
    """The entry called ``name`` (in any case); raises UnknownNameError with the nearest name.

    >>> get_dataset("Set14").count
    14
    """
    entry = CATALOG.get(name.lower())
    if entry is None:
        raise UnknownNameError("dataset", name, CATALOG, "the catalog")
    return entry
