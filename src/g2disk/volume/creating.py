"""Making volumes: the first manifest, and the data key of those that are encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from g2disk.errors import Invalid
from g2disk.units import check_disk_size, parse_size
from g2disk.volume.chain import ManifestChain
from g2disk.volume.format.compression import Compression
from g2disk.volume.format.keys import KEY_LENGTH, SALT_LENGTH, Secret, WrappedKey, unwrap, wrap
from g2disk.volume.format.manifest import LARGEST_BLOCK, SMALLEST_BLOCK, Ancestor, Manifest
from g2disk.volume.parts import store_layers
from g2disk.volume.resources import Resources

_ENCRYPT = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Form:
    """What is decided about a volume once and for all."""

    block_size: int = SMALLEST_BLOCK
    compression: Compression = Compression.NONE
    encrypt: bool = False


def parse_form(options: Mapping[str, str]) -> Form:
    """The options "block-size" (bytes), "compression" and "encrypt" ("yes" or "no").  Raises `Invalid`."""
    unknown = set(options) - {"block-size", "compression", "encrypt"}
    if unknown:
        raise Invalid(f"a volume has no option {min(unknown)!r}; it has block-size, compression and encrypt")
    block_size = parse_size(options.get("block-size", str(SMALLEST_BLOCK)))
    if not SMALLEST_BLOCK <= block_size <= LARGEST_BLOCK or block_size & (block_size - 1):
        raise Invalid(f"a block size of {block_size} bytes cannot be; take 4096, 8192, 16384, 32768 or 65536")
    compression, encrypt = options.get("compression", "none"), options.get("encrypt", "no")
    if compression not in tuple(Compression):
        raise Invalid(f"there is no compression {compression!r}; take {', '.join(Compression)}")
    if encrypt not in _ENCRYPT:
        raise Invalid(f"encrypt is {encrypt!r}; take yes or no")
    return Form(block_size, Compression(compression), _ENCRYPT[encrypt])


async def create_volume(
    volume: str, size: int, form: Form, resources: Resources, secret: Secret | None = None, description: str = ""
) -> Manifest:
    """Commit the first manifest of a volume of zeroes, whose id nobody had before.

    Raises `Invalid` where it is to be encrypted and there is no secret.
    """
    check_disk_size(size)
    encryption = await _new_key(resources, secret) if form.encrypt else None
    manifest = Manifest(
        version=1,
        token="0" * 32,  # each commit makes its own
        volume=volume,
        epoch=0,
        size=size,
        block_size=form.block_size,
        compression=form.compression.value,
        encryption=encryption,
        description=description,
        created=resources.clock.wall(),
        ancestry=(Ancestor(first=1, first_map=1, volume=volume),),
    )
    chain = ManifestChain(store_layers(resources)[1], volume, resources.clock, resources.random)
    return await chain.commit(manifest)


async def open_key(manifest: Manifest, resources: Resources, secret: Secret | None) -> bytes | None:
    """The data key of an encrypted volume; None for others.  Raises `Denied`, `Invalid` (there is no secret)."""
    if manifest.encryption is None:
        return None
    if secret is None:
        raise Invalid("the disk is encrypted; start the server with --key-file, --key-env or --passphrase-file")
    return await resources.runner.run(unwrap, manifest.encryption, secret)


async def _new_key(resources: Resources, secret: Secret | None) -> WrappedKey:
    if secret is None:
        raise Invalid("an encrypted disk needs a key; start the server with --key-file, --key-env or --passphrase-file")
    random = resources.random
    return await resources.runner.run(wrap, random.randbytes(KEY_LENGTH), secret, random.randbytes(SALT_LENGTH))
