"""Whether a checkpoint was trained on what it is measured on."""

from __future__ import annotations

from srbench.datasets.image_set import ImageSet
from srbench.datasets.overlaps import trained_on
from srbench.evaluation.alarms import trained_on_it, untold_data
from srbench.subjects import Subject


def trained_on_test_images(subject: Subject, images: ImageSet) -> list[str]:
    """The notes of a record of this cell: what it was trained on of the test images, and what nobody can tell.

    What the card says counts, and what the prints of the training images say, where the package or this user's cache has them.
    """
    pairs = {
        (shows, image)
        for text in subject.overlaps
        for image, _, shows in [text.partition(" is ")]
        if shows.startswith(f"{images.name}/")
    }
    if subject.data:
        pairs |= {(one.shows, one.image) for one in trained_on(subject.data, subject.left_out, images)}
    shown = {shows.partition("/")[2]: image for shows, image in sorted(pairs)}
    found = [trained_on_it(shown, len(images))] if shown else []
    return [*found, untold_data(subject.untold)] if subject.untold else found
