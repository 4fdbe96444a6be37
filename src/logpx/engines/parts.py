"""A table in many files, worked on part by part: shards, restarts, an output part for each input part."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow.parquet as pq

from logpx.errors import LogpxError, ModelFolderError, ResourceError, UsageError
from logpx.files.documents import parse_object, to_bytes
from logpx.files.places import FileFacts, FilePlace, is_uri, place_of
from logpx.tables.formats import TABLE_FORMATS, extension_of, format_read

__all__ = ["InputPart", "PartResult", "PartsRun", "parse_shard", "parts_of"]

#: Records of finished parts; a leading underscore marks bookkeeping, which readers of folders skip.
RECORDS = "_logpx"
_MAGIC = "*?["
_AGAIN = "run the same command again with --resume: the parts that are finished are kept"

# Reads one file, writes another, given the number of rows before; returns what is to be remembered.
Work = Callable[[str, str, int], Mapping[str, Any]]


@dataclass(frozen=True)
class InputPart:
    """One file of a table.

    Attributes
    ----------
    facts : FileFacts
        Its name, size and time.
    output : str
        The name of the part that it becomes.
    """

    facts: FileFacts
    output: str


@dataclass(frozen=True)
class PartResult:
    """What became of a part.

    Attributes
    ----------
    name : str
        The output, for messages.
    finished_before : bool
        Whether it was finished by an earlier run.
    facts : dict
        What the work returned, with ``rows``.
    """

    name: str
    finished_before: bool
    facts: Mapping[str, Any]


def parse_shard(text: str) -> tuple[int, int]:
    """Return the number of a shard and how many there are, of a text such as ``3/16``.

    Raises
    ------
    UsageError
        If the text is none.

    Examples
    --------
    >>> parse_shard("3/16")
    (3, 16)
    """
    number, slash, count = text.partition("/")
    if not slash or not number.isdecimal() or not count.isdecimal() or not 1 <= int(number) <= int(count):
        raise UsageError(f"the shard {text!r}", fix="say which of how many, from 1/16 to 16/16")
    return int(number), int(count)


def parts_of(source: str) -> tuple[FilePlace, list[InputPart]]:
    """Return where the files of a table are, and its files in the order of their names.

    Parameters
    ----------
    source
        A file, a folder or a pattern, as a path or as an address such as ``s3://bucket/parts/*.parquet``.

    Raises
    ------
    UsageError
        If there are none.
    """
    address, question, query = source.partition("?") if is_uri(source) else (source, "", "")
    address = address if is_uri(source) else os.path.expanduser(address).replace(os.sep, "/")
    folder, pattern = _divided(address)
    place = place_of(folder + question + query)
    if pattern:
        found = place.find(pattern)
    else:
        parent, name = posixpath.split(address.rstrip("/"))
        found = [facts for facts in place.find("**/*") if _is_table(facts.name)]
        if not found:
            place = place_of((parent or ".") + question + query)
            found = place.find(name)
    found = [facts for facts in found if not any(part[0] in "_." for part in facts.name.split("/"))]
    if not found:
        raise UsageError("no file of a table is here", file=source, fix="check the pattern and the folder")
    parts = [InputPart(facts, _written_name(facts.name)) for facts in found]
    names: dict[str, str] = {}
    for part in parts:
        if part.output in names:
            raise UsageError(
                f"{names[part.output]} and {part.facts.name} would both be written to {part.output}",
                file=source,
                fix="name one format with a pattern, such as parts/*.parquet",
            )
        names[part.output] = part.facts.name
    return place, parts


class PartsRun:
    """Work on the parts of a table that belong to a shard, which can be interrupted and started again.

    An output part appears whole or not at all, after a record of what it is made of and of its SHA-256. With
    `resume`, a part is skipped if its record says that it was made of the same input by the same job, and
    its content is what was written.

    Parameters
    ----------
    source
        As for `parts_of`.
    output
        The folder of the output parts: a path, or an address.
    job
        What else decides on the output, as JSON values: the model and the options.
    shard
        Which of how many: part k belongs to shard k modulo their number, counted from 1.
    resume
        Whether finished parts are kept.
    overwrite
        Whether parts of other jobs may be replaced.

    Raises
    ------
    UsageError
        If an output is there that may not be replaced, or would replace the input.
    """

    def __init__(
        self,
        source: str,
        output: str,
        job: Mapping[str, Any],
        *,
        shard: tuple[int, int] = (1, 1),
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self._place, self.parts = parts_of(source)
        self._target = place_of(output)
        # Through JSON, so that it compares equal with what is read.
        self._job = json.loads(to_bytes(dict(job)))
        number, count = shard
        self.own = self.parts[number - 1 :: count]
        self._places = range(number - 1, len(self.parts), count)
        self._resume, self._overwrite = resume, overwrite
        self._refuse_input()
        for part in self.own:
            self._refuse_others(part)

    def run(self, work: Work, *, numbered: bool) -> Iterator[PartResult]:
        """Yield the result for each part of the shard, in order.

        Parameters
        ----------
        work
            Called for every part that is not finished.
        numbered
            Whether the work depends on the numbers of rows, for which the rows of the parts before are
            counted: from the metadata of Parquet files, by reading others.

        Raises
        ------
        ResourceError
            If the disk is full or not writable. All finished parts are kept.
        """
        first, counted = 0, 0
        for part, place in zip(self.own, self._places, strict=True):
            if numbered:
                first += sum(self._rows(before) for before in self.parts[counted:place])
                counted = place
            record = self._finished(part, first)
            if record is not None:
                yield PartResult(self._target.label(part.output), True, record["result"])
                continue
            result = self._worked(part, work, first)
            yield PartResult(self._target.label(part.output), False, result)

    def _worked(self, part: InputPart, work: Work, first: int) -> Mapping[str, Any]:
        name = part.facts.name
        try:
            with self._place.fetched(name) as path, self._target.draft(part.output) as draft:
                try:
                    result = dict(work(path, draft, first))
                except LogpxError as error:
                    _rename(error, {path: self._place.label(name), draft: self._target.label(part.output)})
                    raise
                record = {**self._inputs(part, first), "result": result, "output": _fingerprint(draft)}
                # The record comes first: a part without one could be anybody's.
                self._target.write(_record_name(part), to_bytes(record))
                self._target.put(draft, part.output)
        except ResourceError as error:
            error.fix = f"{error.fix}; then {_AGAIN}" if error.fix else _AGAIN
            raise
        return result

    def _inputs(self, part: InputPart, first: int) -> dict[str, Any]:
        facts = part.facts
        source = {"name": facts.name, "bytes": facts.size, "modified": facts.modified}
        return {"job": self._job, "source": source, "first_row": first}

    def _record(self, part: InputPart) -> dict[str, Any] | None:
        content = self._target.read(_record_name(part))
        if content is None:
            return None
        try:
            return parse_object(content, self._target.label(_record_name(part)))  # type: ignore[arg-type]
        except ModelFolderError:
            return {}

    def _finished(self, part: InputPart, first: int) -> dict[str, Any] | None:
        """Return the record of a part that is there already, complete and made of the same input."""
        record = self._record(part) if self._resume else None
        if not record or any(record.get(key) != own for key, own in self._inputs(part, first).items()):
            return None
        return record if self._target.fingerprint(part.output) == record.get("output") else None

    def _rows(self, part: InputPart) -> int:
        record = self._records.get(part.output)
        if record and record.get("source") == self._inputs(part, 0)["source"]:
            return int(record["result"]["rows"])
        name = part.facts.name
        try:
            if extension_of(name) == ".parquet":
                return int(pq.read_metadata(self._place.source(name)).num_rows)
        except (OSError, ValueError):
            pass  # The reader of the format says what is wrong.
        with self._place.fetched(name) as path:
            try:
                return format_read(path).reader(path).count_rows()
            except LogpxError as error:
                _rename(error, {path: self._place.label(name)})
                raise

    @cached_property
    def _records(self) -> dict[str, dict[str, Any] | None]:
        return {part.output: self._record(part) for part in self.parts} if self._resume else {}

    def _refuse_input(self) -> None:
        inputs = {identity for part in self.parts for identity in _identities(self._place, part.facts.name)}
        for part in self.own:
            if inputs & set(_identities(self._target, part.output)):
                raise UsageError(
                    "the output is one of the files of the table being read",
                    file=self._target.label(part.output),
                    fix="choose another folder",
                )

    def _refuse_others(self, part: InputPart) -> None:
        """Raise unless the output of a part may be written."""
        if self._overwrite:
            return
        label, record = self._target.label(part.output), self._record(part)
        there = self._target.exists(part.output)
        if record is not None and record.get("job") != self._job and there:
            raise UsageError(
                f"this part was made {_difference(record.get('job'), self._job)}",
                file=label,
                fix="choose another folder, or replace it with --overwrite",
            )
        if there and record is None:
            raise UsageError(
                "the output file already exists, and is not known to be of this work",
                file=label,
                fix="choose another folder, or replace it with --overwrite",
            )
        if there and not self._resume:
            raise UsageError(
                "the output file already exists",
                file=label,
                fix="go on with --resume, choose another folder, or replace it with --overwrite",
            )


def _identities(place: FilePlace, name: str) -> list[Any]:
    """Return by what a file is recognised: its address, and on this machine its number, if it is there."""
    label = place.label(name)
    try:
        facts = os.stat(label)
    except OSError:
        return [label]
    return [label, (facts.st_dev, facts.st_ino)]


def _difference(before: Any, now: Mapping[str, Any]) -> str:
    """Say in what a job was another one."""
    if not isinstance(before, Mapping) or before.get("command") != now["command"]:
        return "by another command"
    if before.get("model") != now["model"]:
        return "by another model"
    options = before.get("options") or {}
    names = [name for name, value in now["options"].items() if options.get(name) != value]
    return f"with other options: {', '.join(names)}"


def _divided(address: str) -> tuple[str, str]:
    """Return the folder of an address, and the pattern below it, empty without one."""
    pieces = address.split("/")
    magic = next((index for index, piece in enumerate(pieces) if set(piece) & set(_MAGIC)), None)
    if magic is None:
        return address, ""
    folder = "/".join(pieces[:magic])
    return folder or ("/" if address.startswith("/") else "."), "/".join(pieces[magic:])


def _is_table(name: str) -> bool:
    extension = extension_of(name)
    return extension is not None and TABLE_FORMATS[extension].in_folders


def _written_name(name: str) -> str:
    """Return the name of the output part of an input part: the same, if its format can be written."""
    extension = extension_of(name)
    if extension is not None and TABLE_FORMATS[extension].encoder is not None:
        return name
    return (name if extension is None else name[: -len(extension)]) + ".parquet"


def _record_name(part: InputPart) -> str:
    return f"{RECORDS}/{part.output}.json"


def _fingerprint(path: str) -> dict[str, Any] | None:
    folder, name = os.path.split(path)
    return place_of(folder or ".").fingerprint(name)


def _rename(error: LogpxError, names: Mapping[str, str]) -> None:
    """Put what the user knows in the place of temporary files in an error."""
    for path, label in names.items():
        if error.file is not None and path in error.file:
            error.file = error.file.replace(path, label)
        error.message = error.message.replace(path, label)
        error.fix = None if error.fix is None else error.fix.replace(path, label)
