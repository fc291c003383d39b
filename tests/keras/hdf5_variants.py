#!/usr/bin/env python3
"""Write one array and one list of names as HDF5 in many ways, with h5py (that is, with libhdf5).

usage: hdf5_variants.py FOLDER

  FOLDER     is created; it receives expected.npy (the array, float32), and per way NAME.h5 with the array
             `group/values` and the attribute `names` of `group`: zero, один, "" , and a long one.
             Files unsupported_*.h5 hold what pgdl refuses by name.
"""

import pathlib
import sys

import h5py
import numpy as np

NAMES = ["zero", "один", "", "long" * 50]


def write(path, array, *, libver=None, names="variable", members=0, **options):
    with h5py.File(path, "w", libver=libver) as file:
        group = file.create_group("group")
        if names == "variable":
            group.attrs["names"] = NAMES
        else:
            group.attrs["names"] = np.array([name.encode() for name in NAMES])
        group.attrs["none"] = np.zeros(0)
        group.attrs["one"] = "single"
        group.create_dataset("values", data=array, **options)
        for member in range(members):
            group.create_group(f"member_{member}").attrs["x"] = member


def write_compact(path, array):
    with h5py.File(path, "w") as file:
        group = file.create_group("group")
        group.attrs["names"] = NAMES
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(array.shape)
        dataset = h5py.h5d.create(group.id, b"values", h5py.h5t.IEEE_F32LE, space, creation)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, array)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    # Exact in half precision, so that every type holds the same values.
    array = generator.normal(size=(7, 5, 3)).astype("float16").astype("float32")
    np.save(folder / "expected.npy", array)
    for kind in ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"]:
        name = {"<": "little", ">": "big"}[kind[0]] + kind[1:]
        write(folder / f"type_{name}.h5", array.astype(kind))
        write(folder / f"type_{name}_chunked.h5", array.astype(kind), chunks=(3, 2, 2), compression="gzip",
              shuffle=True)
    write(folder / "names_fixed.h5", array, names="fixed")
    write(folder / "members.h5", array, members=1000)
    write(folder / "chunks.h5", array, chunks=(2, 5, 1))
    write(folder / "chunks_many.h5", array, chunks=(1, 1, 1))
    write(folder / "chunks_growing.h5", array, chunks=(16, 4, 3), maxshape=(None, None, None))
    write(folder / "checksum.h5", array, chunks=(4, 4, 2), fletcher32=True)
    write(folder / "checksum_compressed.h5", array, chunks=(7, 5, 3), fletcher32=True, compression=9, shuffle=True)
    write(folder / "ordered.h5", array, track_order=True)
    write(folder / "version_latest.h5", array, libver="latest")
    write(folder / "version_108.h5", array, libver=("earliest", "v108"))
    write(folder / "version_110.h5", array, libver=("v110", "v110"), names="fixed")
    write_compact(folder / "compact.h5", array)
    write(folder / "unsupported_dense_group.h5", array, libver="latest", members=50)
    write(folder / "unsupported_chunk_index.h5", array, libver="latest", chunks=(2, 2, 2))
    write(folder / "unsupported_filter.h5", array, chunks=(2, 2, 2), compression="lzf")
    write(folder / "unsupported_integers.h5", (array * 100).astype("int32"))


if __name__ == "__main__":
    sys.exit(main())
