"""URL -> object store."""

from __future__ import annotations

from g2disk.errors import Invalid
from g2disk.objects.cloud import SCHEMES, open_cloud
from g2disk.objects.directory import DirectoryObjects
from g2disk.objects.store import ObjectStore
from g2disk.objects.url import parse_store_url


async def open_object_store(url: str, *, make: bool = True) -> ObjectStore:
    """The object store that `url` names:

    s3://BUCKET/PREFIX      S3 and what speaks its language
    gs://BUCKET/PREFIX      Google Cloud Storage
    az://CONTAINER/PREFIX   Azure Blob Storage
    objects:DIR             files in a directory

    Options follow as ?name=value&name=value (docs/object-stores.md); credentials come from the providers' usual
    environment variables and files.  DIR is made where it is missing, unless `make` is False.  Nothing is asked of the
    store yet: `g2disk.objects.probing.probe` does.  The caller closes it.  Raises `Invalid`, `NotFound`, `Denied`.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "objects" and rest:
        return await DirectoryObjects.at(rest, make=make)
    if scheme in SCHEMES and rest.startswith("//"):
        return open_cloud(parse_store_url(url))
    raise Invalid(f"'{url}' is no object store; write s3://BUCKET/PREFIX, gs://…, az://… or objects:DIR")
