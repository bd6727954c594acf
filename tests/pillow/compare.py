"""Compares the pictures that uso sends with Pillow's upright sRGB pixels of the same files.

    cargo run -p uso-tests --example sent_pictures -- OUTPUT FOLDER... > table.tsv
    python3 tests/pillow/compare.py table.tsv OUTPUT

Needs Pillow and NumPy. Prints a table of the accepted files by kind with their mean differences,
every file above the limit, and the reasons of refusals of files that Pillow reads. The exit code is
1 if a file is above the limit.
"""

import collections
import io
import sys
import warnings

import numpy
from PIL import Image, ImageCms, ImageFile, ImageOps

LIMIT = 1.5

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF")

warnings.simplefilter("ignore")
SRGB = ImageCms.createProfile("sRGB")


def rgba(path):
    """The first frame, upright and in sRGB, as RGBA."""
    image = Image.open(path)
    image.load()
    kind = f"{image.format} {image.mode}"
    profile = image.info.get("icc_profile")
    transparency = image.info.get("transparency")
    orientation = Image.Exif.get(image.getexif(), 0x0112, 1)
    if image.mode.startswith("I"):
        # Pillow cuts 16 bits off in its own conversion.
        values = numpy.asarray(image).astype(numpy.float64)
        alpha = None
        if isinstance(transparency, int):
            alpha = numpy.where(values == transparency, 0, 255).astype(numpy.uint8)
        image = Image.fromarray(numpy.rint(values / 257).clip(0, 255).astype(numpy.uint8))
        image = image.convert("RGBA")
        if alpha is not None:
            image.putalpha(Image.fromarray(alpha))
        kind += " 16"
    alpha = image.convert("RGBA").getchannel("A")
    if profile:
        source = image
        if image.mode in ("P", "PA", "RGBA", "1"):
            source = image.convert("RGBA").convert("RGB")
        elif image.mode == "LA":
            source = image.convert("L")
        try:
            described = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(source, described, SRGB, outputMode="RGB")
            kind += ", profile"
        except (ImageCms.PyCMSError, OSError):
            converted = source.convert("RGB")
    else:
        converted = image.convert("RGBA").convert("RGB")
    converted.putalpha(alpha)
    methods = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    if orientation in methods:
        converted = converted.transpose(methods[orientation])
    return converted, kind


def difference(theirs, ours):
    if theirs.size != ours.size:
        if max(theirs.size) <= 2048:
            return float("inf")
        theirs = theirs.resize(ours.size, Image.Resampling.LANCZOS)
    theirs, ours = (numpy.array(image).astype(numpy.float32) for image in (theirs, ours))
    if theirs[..., 3].min() == 255 and ours[..., 3].min() == 255:
        return numpy.abs(theirs - ours)[..., :3].mean()
    # The colour of a transparent pixel does not matter.
    for pixels in (theirs, ours):
        pixels[..., :3] *= pixels[..., 3:] / 255
    return numpy.abs(theirs - ours).mean()


def main(table, folder):
    kinds = collections.defaultdict(list)
    above, refusals, unread, foreign = [], [], [], 0
    for line in open(table, encoding="utf-8", errors="replace"):
        path, name, note = line.rstrip("\n").split("\t")
        if not name:
            try:
                Image.open(path, formats=FORMATS).close()
                _, kind = rgba(path)
                refusals.append((path, kind, note))
            except Exception:
                foreign += 1
            continue
        try:
            theirs, kind = rgba(path)
        except Exception as error:
            unread.append((path, str(error), note))
            continue
        ours, _ = rgba(f"{folder}/{name}")
        mean = difference(theirs, ours)
        kinds[kind].append(mean)
        if mean > LIMIT:
            above.append((mean, path, kind, note))
    print("| kind | files | mean | worst |\n| --- | --- | --- | --- |")
    for kind, means in sorted(kinds.items()):
        print(f"| {kind} | {len(means)} | {numpy.mean(means):.3f} | {max(means):.3f} |")
    everything = [mean for means in kinds.values() for mean in means]
    print(f"\n{len(everything)} accepted, {len(above)} above {LIMIT}")
    print(f"{foreign} refused: of other formats, or refused by Pillow too")
    for mean, path, kind, note in sorted(above, reverse=True):
        print(f"above: {mean:.2f} {path} ({kind}; {note})")
    for path, kind, note in refusals:
        print(f"refused: {path} ({kind}): {note}")
    for path, error, note in unread:
        print(f"accepted, and refused by Pillow: {path}: {error} ({note})")
    return 1 if above else 0


if __name__ == "__main__":
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    sys.exit(main(*sys.argv[1:]))
