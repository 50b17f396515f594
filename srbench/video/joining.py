"""Segments into one video file: each frame at its time in the input, and every packet of the input's audio and subtitles."""

from __future__ import annotations

import contextlib
import heapq
import json
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from srbench.video.carried import attach, copied, is_cover, words_of_file, words_of_stream
from srbench.video.options import SUFFIXES, Clip
from srbench.video.parts import Parts


def put_together(parts: Parts, source: Path, clip: Clip, staging: Path) -> None:
    """Write the whole clip.

    Args:
        parts: every segment is there.
        source: the input; of a folder there is nothing to copy.
        clip: gives the time base.
        staging: where to write.
    """
    import av

    with contextlib.ExitStack() as stack:
        first = stack.enter_context(av.open(str(parts.file(0))))
        opened = None if source.is_dir() else stack.enter_context(av.open(str(source)))
        out = stack.enter_context(av.open(str(staging), "w", format=SUFFIXES[parts.target.suffix.lower()]))
        if opened is not None:
            out.metadata.update(words_of_file(opened.metadata))
        # Opaque: of AV1 the decoder, which is all that the template knows of, is called otherwise than any encoder.
        video = out.add_stream_from_template(first.streams.video[0], opaque=True)
        video.time_base = clip.time_base
        others: Iterator[tuple[Fraction, int, Any, Any]] = iter(())
        if opened is not None:
            others = _all_else(opened, out, video, parts.target.suffix.lower())
        for _, _, packet, stream in heapq.merge(_video(parts, clip, video), others, key=lambda item: item[:2]):
            packet.stream = stream
            out.mux(packet)


def _all_else(opened: Any, out: Any, video: Any, suffix: str) -> Iterator[tuple[Fraction, int, Any, Any]]:
    """Add to the output what of the input is no frame; the packets of that."""
    frames = next(one for one in opened.streams.video if not is_cover(one))
    video.metadata.update(words_of_stream(frames.metadata))
    video.disposition = frames.disposition
    streams = {}
    for one in copied(opened):
        streams[one.index] = out.add_stream_from_template(one)
        streams[one.index].metadata.update(one.metadata)
        streams[one.index].disposition = one.disposition
    first = attach(opened, out, suffix)
    if chapters := opened.chapters():
        out.set_chapters(chapters)
    return _packets(opened, streams, first)


def _packets(
    opened: Any, streams: dict[int, Any], first: list[tuple[Any, Any]]
) -> Iterator[tuple[Fraction, int, Any, Any]]:
    for packet, stream in first:
        yield Fraction(-(10**9)), 1, packet, stream
    for packet in opened.demux([one for one in opened.streams if one.index in streams]) if streams else ():
        if packet.dts is not None:
            yield packet.dts * packet.time_base, 1, packet, streams[packet.stream.index]


def _video(parts: Parts, clip: Clip, stream: Any) -> Iterator[tuple[Fraction, int, Any, Any]]:
    """Packets in the order in which they are decoded; each is decoded as early as the reordering of all demands."""
    import av

    times = _all_times(parts)
    order = [first + rank for first, ranks in _ranks(parts) for rank in ranks]
    delay = max((place - rank for rank, place in zip(order, range(len(order)), strict=True)), default=0)
    if not order:
        return
    # Some formats (MP4) know no times but those of decoding: they last as long as the frames do where the frames that are decoded
    # before the first one is shown have their share in front of it.
    end, last = times[-1][0] + times[-1][1], times[len(order) - 1 - delay][0] + times[order[-1]][1]
    ahead = max(end - last, delay)
    position = 0
    for index in range(10**6):
        if not parts.file(index).is_file():
            return
        with av.open(str(parts.file(index))) as segment:
            for packet in segment.demux(video=0):
                if packet.pts is None:  # the end; Matroska stores no decoding times
                    continue
                packet.pts, packet.duration = times[order[position]]
                early = position - delay
                packet.dts = times[early][0] if early >= 0 else times[0][0] + ahead * early // delay
                packet.time_base = clip.time_base
                position += 1
                yield packet.dts * clip.time_base, 0, packet, stream


def _all_times(parts: Parts) -> list[tuple[int, int]]:
    """When each frame is shown, and until when: the next one, or its own duration for the last."""
    found: list[tuple[int, int]] = []
    index = 0
    while parts.file(index).is_file():
        found += [(pts, duration) for pts, duration in json.loads(parts.times(index).read_text(encoding="utf-8"))]
        index += 1
    starts = [pts for pts, _ in found]
    return [(pts, after - pts) for pts, after in pairwise(starts)] + found[-1:]


def _ranks(parts: Parts) -> Iterator[tuple[int, list[int]]]:
    """For each segment the number of its first frame, and its packets' places among its frames."""
    import av

    first, index = 0, 0
    while parts.file(index).is_file():
        with av.open(str(parts.file(index))) as segment:
            shown = [packet.pts for packet in segment.demux(video=0) if packet.pts is not None]
        places = {pts: rank for rank, pts in enumerate(sorted(shown))}
        yield first, [places[pts] for pts in shown]
        first, index = first + len(shown), index + 1
