"""How files that are not read become files that are."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping

__all__ = ["conversion"]

_PANDAS = "import pandas; pandas.{}.to_csv(TARGET, index=False)"
_ARRAY = "import numpy, pandas; pandas.DataFrame({}).add_prefix('x').to_csv(TARGET, index=False)"

# What Python runs, and the packages that it takes.
_IN_PYTHON: Mapping[str, tuple[str, str]] = {
    ".xls": (_PANDAS.format("read_excel(SOURCE)"), "pandas and xlrd"),
    ".xlsb": (_PANDAS.format("read_excel(SOURCE)"), "pandas and pyxlsb"),
    ".ods": (_PANDAS.format("read_excel(SOURCE)"), "pandas and odfpy"),
    ".sav": (_PANDAS.format("read_spss(SOURCE)"), "pandas and pyreadstat"),
    ".dta": (_PANDAS.format("read_stata(SOURCE)"), "pandas"),
    ".sas7bdat": (_PANDAS.format("read_sas(SOURCE, encoding='latin-1')"), "pandas"),
    ".xpt": (_PANDAS.format("read_sas(SOURCE, encoding='latin-1')"), "pandas"),
    ".h5": (_PANDAS.format("read_hdf(SOURCE)"), "pandas and tables"),
    ".hdf5": (_PANDAS.format("read_hdf(SOURCE)"), "pandas and tables"),
    ".html": (_PANDAS.format("read_html(SOURCE)[0]"), "pandas and lxml"),
    ".xml": (_PANDAS.format("read_xml(SOURCE)"), "pandas and lxml"),
    ".pkl": (_PANDAS.format("read_pickle(SOURCE)"), "pandas, and trust: it executes what the file says"),
    ".pickle": (_PANDAS.format("read_pickle(SOURCE)"), "pandas, and trust: it executes what the file says"),
    ".npy": (_ARRAY.format("numpy.load(SOURCE)"), "pandas"),
    ".npz": (_ARRAY.format("next(iter(numpy.load(SOURCE).values()))"), "pandas"),
}
_IN_R: Mapping[str, str] = {
    ".rds": "write.csv(readRDS(SOURCE), TARGET, row.names=FALSE)",
    ".rda": "write.csv(get(load(SOURCE)), TARGET, row.names=FALSE)",
    ".rdata": "write.csv(get(load(SOURCE)), TARGET, row.names=FALSE)",
}
_DATABASES = (".db", ".sqlite", ".sqlite3")


def conversion(path: str) -> str | None:
    """Return the fix for a file of a format that is not read, as a command; None for an unknown format.

    Examples
    --------
    >>> print(conversion("x.rds"))
    convert it: Rscript -e 'write.csv(readRDS("x.rds"), "x.csv", row.names=FALSE)'
    """
    stem, extension = os.path.splitext(path)
    extension = extension.lower()

    def filled(script: str) -> str:
        # The shell's quotes are single, so the script's are double.
        script = script.replace("'", '"').replace("SOURCE", json.dumps(path, ensure_ascii=False))
        return shlex.quote(script.replace("TARGET", json.dumps(f"{stem}.csv", ensure_ascii=False)))

    if extension in _IN_PYTHON:
        script, needed = _IN_PYTHON[extension]
        return f"convert it: python -c {filled(script)} (needs {needed})"
    if extension in _IN_R:
        return f"convert it: Rscript -e {filled(_IN_R[extension])}"
    if extension in _DATABASES:
        source, target = shlex.quote(path), shlex.quote(f"{stem}.csv")
        return f"export one of its tables: sqlite3 -header -csv {source} 'select * from NAME' > {target}"
    if extension == ".zip":
        return f"unpack it: unzip {shlex.quote(path)}"
    return None
