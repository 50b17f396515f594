"""Clips through an upscaler: frames stream, all else in the file is copied, and a run that was stopped goes on.

A clip is a video file or a folder of frames, on either side. ``sources`` reads both, ``parts`` keeps what is done so far,
``encoding`` makes segments of a video file, ``joining`` puts them together at the input's times, ``frames`` writes folders of
frames, ``upscaling`` is the way in. PyAV (extra ``video``) reads and writes.
"""

from __future__ import annotations

from srbench.video.options import CODECS, SUFFIXES, VideoOptions
from srbench.video.upscaling import upscale_video

__all__ = ["CODECS", "SUFFIXES", "VideoOptions", "upscale_video"]
