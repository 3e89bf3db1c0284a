"""What a file is that may not go into a bundle, told by its first bytes, and what its owner can do instead.

This names what was refused already; nothing is let in by what stands here.
"""

from __future__ import annotations

_CONVERT = "load the weights where you trust them, and write them with safetensors' save_file"
_UNPACK = "unpack it, and give the files in it"

_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive, as torch.save, numpy's savez and Keras write", _CONVERT),
    (b"PK\x05\x06", "an empty zip archive", _UNPACK),
    (b"\x93NUMPY", "a numpy array, which can hold a pickle", _CONVERT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _CONVERT),
    (b"ZF", "a file of an old joblib", _CONVERT),
    (b"\x1f\x8b", "compressed with gzip", _UNPACK),
    (b"\xfd7zXZ\x00", "compressed with xz", _UNPACK),
    (b"\x5d\x00\x00", "compressed with lzma", _UNPACK),
    (b"BZh", "compressed with bzip2", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (b"\x04\x22\x4d\x18", "compressed with lz4", _UNPACK),
    (b"\x78\x01", "compressed with zlib, as joblib does", _CONVERT),
    (b"\x78\x5e", "compressed with zlib, as joblib does", _CONVERT),
    (b"\x78\x9c", "compressed with zlib, as joblib does", _CONVERT),
    (b"\x78\xda", "compressed with zlib, as joblib does", _CONVERT),
    (b"GGUF", "a GGUF model", _CONVERT),
    (b"\x7fELF", "a program (ELF)", "leave it out: a bundle holds data"),
    (b"MZ", "a program (PE)", "leave it out: a bundle holds data"),
    (b"\x00asm", "a program (WebAssembly)", "leave it out: a bundle holds data"),
    (b"SQLite format 3\x00", "an SQLite database", "export what is needed as JSON or text"),
    (b"PAR1", "a Parquet file", "export what is needed as JSON or text"),
    (b"%PDF", "a PDF document", "give its text or Markdown"),
)
_ANYTHING_ELSE = "give weights as safetensors, and everything else as JSON, text or Markdown in UTF-8"


PICKLE = ("a pickle, which runs code when it is loaded", _CONVERT)


def recognise(head: bytes) -> tuple[str, str]:
    """What a refused file with this beginning is, and the way out."""
    if len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5:
        return PICKLE
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    for magic, what, hint in _MAGIC:
        if head.startswith(magic):
            return what, hint
    return "binary data of no kind that a bundle takes", _ANYTHING_ELSE
