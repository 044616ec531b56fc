"""Whether a file is finished. Nobody tells us, so it is when it has not changed for a while.

A file that is taken too early is put right when it has grown: its new content replaces the old. Waiting saves that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from retail_platform.landing.finding import LandingFile


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A file as we saw it, and since when (seconds of our clock) it has looked like this."""

    size: int
    modified_ns: int
    since: float


@dataclass(kw_only=True)
class Settled:
    """The files that are finished, and the sightings of those that may still be written, by path."""

    finished: list[LandingFile] = field(default_factory=list)
    growing: dict[str, Sighting] = field(default_factory=dict)


def part_settled(
    files: Iterable[LandingFile], *, seen: Mapping[str, Sighting], now: float, quiet_seconds: float
) -> Settled:
    """Tell finished files from growing ones.

    Finished is what was last modified long enough ago, or has looked the same to us for long enough: the second is for
    shares whose clock is ahead of ours.

    Args:
        files: The files to tell apart.
        seen: What was growing at an earlier look; an empty one costs a look, no file.
        now: Our clock, in seconds.
        quiet_seconds: How long is long enough.
    """
    settled = Settled()
    for file in files:
        before = seen.get(file.path)
        is_same = before is not None and (before.size, before.modified_ns) == (file.size, file.modified_ns)
        since = before.since if before is not None and is_same else now
        if now - file.modified_ns / 1e9 >= quiet_seconds or (is_same and now - since >= quiet_seconds):
            settled.finished.append(file)
        else:
            settled.growing[file.path] = Sighting(size=file.size, modified_ns=file.modified_ns, since=since)
    return settled
