"""The files of certificates and keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from echoproto.text.untrusted import readRegularFile

#: Bytes of the longest file: the bundle of all public authorities has a quarter of that.
MAX_FILE_SIZE = 2**20


@dataclass(frozen=True)
class TLSFiles:
    """
    Paths of the files of a TLS listener, all of them PEM.

    :ivar certificate: file of the certificate, first, and the certificates between it and its root;
        or a folder whose ``.pem`` files each have a key and its certificate: a client gets the one
        with the requested name, or the first by file name.
    :ivar key: file of the private key, without a passphrase; may be the same as ``certificate``.
    :ivar clientCA: file of the authorities of accepted clients: mutual TLS.
    :ivar chain: file of more certificates between ``certificate`` and its root.
    :ivar contents: the contents of all files by their paths, once they are read. Two that differ
        only in these are equal.
    """

    certificate: str
    key: str
    clientCA: str | None = None
    chain: str | None = None
    contents: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    def read(self) -> TLSFiles:
        """
        Read the files; the result has their contents, which another process can use without access
        to the files.

        :raise ValueError: a file cannot be read; the message is one line.
        """
        paths = [self.certificate]
        if os.path.isdir(self.certificate):
            paths = [str(path) for path in sorted(Path(self.certificate).glob("*.pem"))]
            if not paths:
                raise ValueError(
                    f"no .pem file in the folder {self.certificate!r}; "
                    "add files with a key and its certificate"
                )
        rest = (self.key, self.clientCA, self.chain)
        paths += [path for path in rest if path is not None and path != self.certificate]
        return replace(self, contents={path: _readBytes(path) for path in paths})

    def pairs(self) -> list[TLSFiles]:
        """These files, or those of each certificate if ``certificate`` is a folder."""
        if self.certificate in self.contents:
            return [self]
        folder = Path(self.certificate)
        paths = [path for path in self.contents if path.endswith(".pem")]
        return [
            replace(self, certificate=path, key=path if self.key == self.certificate else self.key)
            for path in paths
            if Path(path).parent == folder
        ]


def _readBytes(path: str) -> bytes:
    try:
        return readRegularFile(path, MAX_FILE_SIZE)
    except OSError as error:
        raise ValueError(
            f"cannot read {path!r}: {error.strerror}; check the path and its permissions"
        ) from error
