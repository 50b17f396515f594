"""Authors' weights by the name of their card: ``imdn_x3.authors``. They are fetched by ``srbench zoo get`` and not before."""

from __future__ import annotations

from pathlib import Path

from srbench.errors import UnavailableError
from srbench.published import PublishedCard, find_published, list_published, local_file
from srbench.subjects.files import subject_of, white_of
from srbench.subjects.subject import Request, Subject
from srbench.weights import open_weights
from srbench.weights.recognise import recognise


def recognises(text: str) -> bool:
    """Whether a text is the name of a card of zoo/published."""
    return "." in text and text in {card.name for card in list_published()}


def find(request: Request) -> list[Subject]:
    """The authors' network; raises UnavailableError (``no_weights``) where its file is not here."""
    card = find_published(request.text)
    path = local_file(card)
    if path is None:
        raise UnavailableError(
            "no_weights", f"the weights of {card.name} are not here: `srbench zoo get {card.name}` fetches them"
        )
    return [subject_of_card(card, path, request)]


def subject_of_card(card: PublishedCard, path: Path, request: Request | None = None) -> Subject:
    """The network in a file that is the card's.

    Args:
        card: of authors' weights.
        path: the file, verified.
        request: what was asked for; the card's name alone by default.

    Raises:
        InputError: srbench knows no such network.
    """
    asked = request or Request(text=card.name)
    found = recognise(open_weights(path, asked.key), asked.scale, options=asked.options, range=white_of(asked))
    return subject_of(found, asked, card)
