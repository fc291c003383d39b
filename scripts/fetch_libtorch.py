#!/usr/bin/env python3
"""Lay libtorch's CPU files into a folder, out of PyPI's `torch` wheel.

The wheel is a zip of half a gigabyte, of which a CPU program needs a third: the
members are fetched by HTTP range requests and checked against the wheel's own
RECORD. Where ranges are refused the whole wheels are fetched through pip. With
`--cuda` the complete wheel and all its CUDA dependencies are installed instead.

usage: fetch_libtorch.py DESTINATION [--cuda]
"""

import base64
import csv
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request
import zipfile

VERSION = "2.11.0"
# libtorch_cpu.so names the last two as needed libraries, on a CPU-only host too.
CUDA_RUNTIME = "nvidia-cuda-runtime==13.0.96"
CUDA_CUPTI = "nvidia-cuda-cupti==13.0.85"
CPU_LIBRARIES = ("libtorch_cpu.so", "libc10.so", "libgomp.so.1")
CUDA_STUBS = ("libcudart.so.13", "libcupti.so.13")
# torch-sys links this name; the linker drops what it does not need.
LINKER_SCRIPT = "INPUT(-ltorch_cpu)\n"


class RangeFile(io.RawIOBase):
    """A seekable read-only file over HTTP range requests, one request per read."""

    def __init__(self, url):
        self.url = url
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=60) as answer:
            if answer.headers.get("Accept-Ranges") != "bytes":
                raise OSError("the package host answers no range requests")
            self.size = int(answer.headers["Content-Length"])
        self.position = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.position

    def seek(self, offset, whence=os.SEEK_SET):
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = base + offset
        return self.position

    def readinto(self, buffer):
        end = min(self.position + len(buffer), self.size)
        if end <= self.position:
            return 0
        wanted = {"Range": f"bytes={self.position}-{end - 1}"}
        request = urllib.request.Request(self.url, headers=wanted)
        with urllib.request.urlopen(request, timeout=120) as answer:
            if answer.status != 206:
                raise OSError("the package host ignored a range request")
            data = answer.read()
        if len(data) != end - self.position:
            raise OSError("a range request came back short")
        buffer[: len(data)] = data
        self.position = end
        return len(data)


def pip(*arguments):
    # The dry run and the target folder never touch the system's own packages.
    environment = dict(os.environ, PIP_BREAK_SYSTEM_PACKAGES="1", PIP_ROOT_USER_ACTION="ignore")
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout


def wheel_addresses(*requirements):
    report = pip("install", "-q", "--dry-run", "--ignore-installed", "--no-deps", "--report", "-", *requirements)
    return [item["download_info"]["url"] for item in json.loads(report)["install"]]


def extract(archive, wanted, destination):
    """Write the members for which `wanted(name)` gives a relative path; check each against RECORD."""
    record_name = next(n for n in archive.namelist() if n.endswith(".dist-info/RECORD"))
    rows = csv.reader(io.TextIOWrapper(archive.open(record_name), "utf-8"))
    checksums = {row[0]: row[1] for row in rows if row and row[1]}
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    for member in members:
        target = wanted(member.filename)
        if target is None or member.is_dir():
            continue
        path = destination / target
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with archive.open(member) as source, open(path, "wb") as sink:
            while chunk := source.read(1 << 20):
                digest.update(chunk)
                sink.write(chunk)
        algorithm, _, expected = checksums[member.filename].partition("=")
        found = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
        if algorithm != "sha256" or found != expected:
            raise OSError(f"{member.filename}: checksum differs from the wheel's RECORD")


def torch_member(name):
    head, _, rest = name.partition("/")
    if head != "torch":
        return None
    if rest.startswith("include/"):
        return rest
    if rest.startswith("lib/") and rest[4:] in CPU_LIBRARIES:
        return rest
    return None


def cuda_member(name):
    base = name.rsplit("/", 1)[-1]
    return f"lib/{base}" if base in CUDA_STUBS else None


def open_wheel(url):
    # A megabyte of read-ahead keeps the thousands of small headers to few requests.
    return zipfile.ZipFile(io.BufferedReader(RangeFile(url), buffer_size=1 << 20))


def fetch_cpu(destination):
    requirements = (f"torch=={VERSION}", CUDA_RUNTIME, CUDA_CUPTI)
    try:
        for url in wheel_addresses(*requirements):
            wanted = torch_member if "/torch-" in url else cuda_member
            with open_wheel(url) as archive:
                extract(archive, wanted, destination)
    except (OSError, zipfile.BadZipFile) as cause:
        print(f"fetching whole wheels instead ({cause})", file=sys.stderr)
        wheels = destination / "wheels"
        pip("download", "-q", "--no-deps", "-d", str(wheels), *requirements)
        for path in wheels.glob("*.whl"):
            wanted = torch_member if path.name.startswith("torch-") else cuda_member
            with zipfile.ZipFile(path) as archive:
                extract(archive, wanted, destination)
        shutil.rmtree(wheels)
    missing = [n for n in CPU_LIBRARIES + CUDA_STUBS if not (destination / "lib" / n).exists()]
    if missing:
        raise SystemExit(f"error: the wheels lack {', '.join(missing)}")
    (destination / "lib" / "libtorch.so").write_text(LINKER_SCRIPT)


def fetch_cuda(destination):
    """The whole wheel; its libraries find their CUDA siblings by their own relative paths."""
    pip("install", "-q", "--target", str(destination / "site"), f"torch=={VERSION}")
    for name in ("include", "lib"):
        (destination / name).symlink_to(pathlib.Path("site", "torch", name))


def main():
    arguments = [a for a in sys.argv[1:] if a != "--cuda"]
    if len(arguments) != 1:
        raise SystemExit(__doc__)
    destination = pathlib.Path(arguments[0])
    if (destination / "build-version").exists():
        return
    partial = destination.with_name(destination.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    print(f"fetching libtorch {VERSION} into {destination}", file=sys.stderr)
    (fetch_cuda if "--cuda" in sys.argv else fetch_cpu)(partial)
    (partial / "build-version").write_text(VERSION)
    shutil.rmtree(destination, ignore_errors=True)
    partial.rename(destination)


if __name__ == "__main__":
    main()
