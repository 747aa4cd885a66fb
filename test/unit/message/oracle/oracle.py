"""What both comparisons need: our digest of many letters, and IMAP's lists."""

import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[3]


def printer(build, where):
    """The helper, built against the libraries of a build folder."""
    program = pathlib.Path(where) / "digest-print"
    subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", "-O1", f"-I{ROOT}/src", str(HERE / "digest-print.c"),
                    f"{build}/src/libmansio_message.a", f"{build}/src/libmansio_base.a", "-o", str(program)],
                   check=True)
    return program


NAMES = ["envelope", "bodystructure", "body", "sent", "from_addr", "subject", "preview", "parts"]


def digests(program, paths):
    """For each path a dict of what digest-print says."""
    out = subprocess.run([str(program), *map(str, paths)], check=True, capture_output=True).stdout
    found = []
    while out:
        line, _, out = out.partition(b"\n")
        size = int(line.rsplit(b" ", 1)[1])
        found.append(dict(zip(NAMES, split_fields(out[:size]))))
        out = out[size:]
    return found


def split_fields(data):
    return data.split(b"\0")


def parse(data, at=0):
    """One IMAP value at `at`: a list, bytes, int or None; and what follows."""
    while data[at:at + 1] == b" ":
        at += 1
    c = data[at:at + 1]
    if c == b"(":
        at += 1
        items = []
        while True:
            while data[at:at + 1] == b" ":
                at += 1
            if data[at:at + 1] == b")":
                return items, at + 1
            item, at = parse(data, at)
            items.append(item)
    if c == b'"':
        text = b""
        at += 1
        while data[at:at + 1] != b'"':
            if data[at:at + 1] == b"\\":
                at += 1
            text += data[at:at + 1]
            at += 1
        return text, at + 1
    if c == b"{":
        end = data.index(b"}", at)
        size = int(data[at + 1:end])
        start = end + 3
        return data[start:start + size], start + size
    if c == b"" or c == b")":
        raise ValueError(f"nothing at {at}")
    end = at
    while end < len(data) and data[end:end + 1] not in b" ()\r\n":
        end += 1
    atom = data[at:end]
    if atom.upper() == b"NIL":
        return None, end
    return (int(atom) if atom.isdigit() else atom), end
