"""Authors' weights by the name of their card: ``imdn_x3.authors``. They are fetched by ``srbench zoo get`` and not before."""

from __future__ import annotations

from dataclasses import replace

from srbench.errors import UnavailableError
from srbench.published import find_published, list_published, local_file
from srbench.subjects.files import subject_of
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
    found = recognise(
        open_weights(path, request.key), request.scale, options=request.options, range=request.range
    )
    return [subject_of(found, replace(request), card)]
