"""What a disk may show after a power cut, built from a record of tests/tools/disklog.

Promised by the system: what fsync has covered is there. Of everything after it, any part: each
write whole, absent, or torn between sectors of 512 bytes; a file's new length with or without its
bytes (zeros or junk in their place); a name made, changed or removed, or not yet; an owner or mode,
or not yet. A sector and a rename are all or nothing."""

import collections
import os
import pathlib
import struct

SECTOR = 512
HEAD = struct.Struct("<B3xIQqqII")
WHO = struct.Struct("<III")  # mode, uid, gid
KINDS = ("?", "open", "write", "trunc", "sync", "unlink", "rename", "mkdir", "rmdir", "attr", "send")

Event = collections.namedtuple("Event", "kind pid ino a b name data")


def read(path):
    """The events of a record; one that its writer could not finish is left out."""
    raw = memoryview(pathlib.Path(path).read_bytes())
    out, at = [], 0
    while at + HEAD.size <= len(raw):
        kind, pid, ino, a, b, name_len, data_len = HEAD.unpack_from(raw, at)
        end = at + HEAD.size + name_len + data_len
        if end > len(raw):
            break
        if not 0 < kind < len(KINDS):
            raise RuntimeError(f"a call that the record does not know: {bytes(raw[at:end])[:200]!r}")
        name = bytes(raw[at + HEAD.size:at + HEAD.size + name_len]).decode()
        out.append(Event(KINDS[kind], pid, ino, a, b, name, raw[end - data_len:end]))
        at = end
    return out


class File:
    """Its bytes on the disk, and what has been done since the last fsync."""

    def __init__(self, attr, data=b""):
        self.data, self.attr = bytearray(data), attr
        self.pending, self.attr_now = [], attr

    def sync(self):
        for op in self.pending:
            apply(self.data, op)
        self.pending, self.attr = [], self.attr_now


class Folder:
    """Its names on the disk, and the changes since its last fsync, each one atomic."""

    def __init__(self, attr):
        self.names, self.now, self.pending = {}, {}, []
        self.attr = self.attr_now = attr

    def put(self, change):
        """change: {name: what it is, or None}, at once."""
        self.pending.append(change)
        self.now = settle(self.now, [change])

    def sync(self):
        self.names, self.pending, self.attr = dict(self.now), [], self.attr_now


def settle(names, changes):
    names = dict(names)
    for change in changes:
        for name, what in change.items():
            names.pop(name, None)
            if what is not None:
                names[name] = what
    return names


def apply(data, op):
    kind, at, piece = op
    if kind == "trunc":
        del data[at:]
        data.extend(bytes(at - len(data)))
        return
    if at > len(data):
        data.extend(bytes(at - len(data)))
    data[at:at + len(piece)] = piece


def sectors(op):
    """A write in pieces that end where the disk's sectors do."""
    kind, at, piece = op
    done = 0
    while done < len(piece):
        n = min(len(piece) - done, SECTOR - (at + done) % SECTOR)
        yield kind, at + done, piece[done:done + n]
        done += n


class Disk:
    """The state of some folders while a record runs."""

    def __init__(self, *roots):
        self.files, self.folders = {}, {}
        self.roots = [str(r) for r in roots]
        for root in self.roots:
            self._load(root)

    def _load(self, path):
        """What is there before the record begins is durable."""
        st = os.lstat(path)
        folder = self.folders[path] = Folder((st.st_mode & 0o7777, st.st_uid, st.st_gid))
        for entry in os.scandir(path):
            st = entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                self._load(entry.path)
                folder.names[entry.name] = self.folders[entry.path]
            elif entry.is_file(follow_symlinks=False):
                f = File((st.st_mode & 0o7777, st.st_uid, st.st_gid), pathlib.Path(entry.path).read_bytes())
                folder.names[entry.name] = self.files[st.st_ino] = f
        folder.now = dict(folder.names)

    def _folder(self, path):
        up, _, name = path.rpartition("/")
        return self.folders.get(up), name

    def feed(self, e):
        getattr(self, "_" + e.kind)(e)

    def _open(self, e):
        if e.a:
            self.files[e.ino] = File(WHO.unpack(e.data))
            folder, name = self._folder(e.name)
            folder.put({name: self.files[e.ino]})
        elif e.b:
            self.files[e.ino].pending.append(("trunc", 0, b""))

    def _write(self, e):
        self.files[e.ino].pending.append(("write", e.a, bytes(e.data)))

    def _trunc(self, e):
        self.files[e.ino].pending.append(("trunc", e.a, b""))

    def _sync(self, e):
        if e.a:
            self.folders[e.name].sync()
        else:
            self.files[e.ino].sync()

    def _unlink(self, e):
        folder, name = self._folder(e.name)
        folder.put({name: None})

    _rmdir = _unlink

    def _rename(self, e):
        (folder, name), (to, new) = self._folder(e.name), self._folder(bytes(e.data).decode())
        if to is not folder:
            raise RuntimeError(f"a rename between folders: {e.name}")
        folder.put({new: folder.now[name], name: None})

    def _mkdir(self, e):
        self.folders[e.name] = Folder(WHO.unpack(e.data))
        folder, name = self._folder(e.name)
        if folder:
            folder.put({name: self.folders[e.name]})
        else:  # one of the roots
            self.roots.append(e.name)

    def _attr(self, e):
        what = self.folders.get(e.name) or self.files.get(e.ino)
        if what:
            what.attr_now = WHO.unpack(e.data)

    def _send(self, e):
        pass

    def cut(self, rng, to):
        """Writes one legal state below `to`, {root: where}, and says how it was chosen."""
        how = rng.choice(("none", "all", "prefix", "random", "random", "random"))
        pick = Pick(rng, how)
        for root, where in to.items():
            self._build(self.folders[root], pathlib.Path(where), pick)
        return how

    def _build(self, folder, path, pick):
        path.mkdir(exist_ok=True)
        for name, what in pick.names(folder).items():
            if isinstance(what, Folder):
                self._build(what, path / name, pick)
            else:
                (path / name).write_bytes(pick.content(what))
                give(path / name, pick.attr(what))
        give(path, pick.attr(folder))


def give(path, attr):
    mode, uid, gid = attr
    os.chown(path, uid, gid)
    os.chmod(path, mode)


class Pick:
    """Chooses what of the unsynced a disk still shows."""

    def __init__(self, rng, how):
        self.rng, self.how = rng, how

    def _some(self, ops):
        if self.how == "none":
            return []
        if self.how == "all":
            return list(ops)
        if self.how == "prefix":
            return ops[:self.rng.randint(0, len(ops))]
        keep = self.rng.random()
        return [op for op in ops if self.rng.random() < keep]

    def attr(self, what):
        return what.attr_now if self.how == "all" or (self.how != "none" and self.rng.random() < 0.5) else what.attr

    def names(self, folder):
        return settle(folder.names, self._some(folder.pending))

    def _torn(self, op):
        """The sectors of a write that arrived."""
        if op[0] != "write" or self.how in ("none", "all") or self.rng.random() < 0.6:
            return [op]
        keep = self.rng.random()
        return [s for s in sectors(op) if self.rng.random() < keep]

    def content(self, f):
        data = bytearray(f.data)
        ops = self._some(f.pending)
        if self.how == "prefix" and ops:
            ops, last = ops[:-1], ops[-1]
            for op in ops:
                apply(data, op)
            ops = [last]
        for op in ops:
            for piece in self._torn(op):
                apply(data, piece)
        if self.how == "random" and f.pending and self.rng.random() < 0.3:
            self._lengthen(data, f)
        return data

    def _lengthen(self, data, f):
        """The new length without the bytes: what stood there before, or nothing."""
        longest = max((at + len(p) for kind, at, p in f.pending if kind == "write"), default=0)
        if longest > len(data):
            n = longest - len(data)
            data.extend(self.rng.randbytes(n) if self.rng.random() < 0.5 else bytes(n))
