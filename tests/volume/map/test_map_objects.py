"""Map pages in the object store."""

from __future__ import annotations

import msgspec
import pytest

from g2disk.errors import Corrupt, NotFound, Unavailable
from g2disk.volume.format.names import MapName
from g2disk.volume.format.pages import References
from g2disk.volume.format.sealing import Sealer
from g2disk.volume.map.block_map import BlockMap
from g2disk.volume.map.pages import PageSource
from tests.volume.map.ground import VOLUME, SlowObjects, Store, segment

PAGES = [bytes([each]) * (100 + each) for each in range(50)]


@pytest.mark.parametrize("key", [None, bytes(range(32))])
async def test_pages_come_back_whatever_their_order_and_their_objects(key: bytes | None) -> None:
    """Objects end where they are full; a reader asks in any order, and for the same page twice."""
    store = Store(Sealer(key=key), object_bytes=700)
    writer = store.writer()
    references = [*await writer.add(PAGES[:20]), *await writer.add(PAGES[20:])]
    await writer.finish()
    assert len(store.objects.puts) == len(writer.written) == writer.next - 1 > 2
    assert all(size < 700 + 150 for _, size in store.objects.puts)
    asked = [7, 3, 49, 0, 3, 20]
    found = await store.source.load_many(References.of([references[each] for each in asked]))
    assert [bytes(page) for page in found] == [PAGES[each] for each in asked]


async def test_pages_that_stand_together_take_one_request() -> None:
    """And those of other objects one each."""
    store = Store(object_bytes=2000)
    writer = store.writer()
    references = await writer.add(PAGES)
    await writer.finish()
    await store.source.load_many(References.of(references))
    assert len(store.objects.gets) == len(writer.written)


async def test_a_page_read_at_a_wrong_place_is_corrupt() -> None:
    """Its context names its object and its offset."""
    store = Store()
    writer = store.writer()
    first, second = await writer.add([PAGES[1], PAGES[1]])
    await writer.finish()
    assert first.length == second.length
    key = store.key(MapName(1, 1))
    data = bytes(await store.objects.get(key))
    await store.objects.put(key, [data[second.offset :], data[: second.offset]])
    with pytest.raises(Corrupt):
        await store.source.load(first)


async def test_an_object_that_is_too_short_is_corrupt_and_one_that_is_gone_not_found() -> None:
    """Whoever asked knows which of them may be mended by looking again."""
    store = Store()
    writer = store.writer()
    (reference,) = await writer.add([PAGES[1]])
    await writer.finish()
    with pytest.raises(Corrupt, match="ends before"):
        await store.source.load(msgspec.structs.replace(reference, length=reference.length + 1))
    with pytest.raises(NotFound):
        await store.source.load(msgspec.structs.replace(reference, number=9))


async def test_what_the_store_raises_reaches_the_reader_as_it_is() -> None:
    """Also when several requests were in flight."""
    store = Store(object_bytes=10)
    mapping = BlockMap(store.source)
    await mapping.apply(segment(1, [(each * 1024, 1) for each in range(40)]))
    head = await store.checkpoint(mapping, 2)

    class Down(SlowObjects):
        async def get_range(self, key: str, offset: int, length: int) -> bytes:
            raise Unavailable("the store is down")

    opened = await BlockMap.open(store.source, head)
    opened._tree._pages = PageSource(Down(), store.sealer, lambda name: name.key(VOLUME))
    with pytest.raises(Unavailable, match="is down"):
        await opened.find(0, 30 * 1024)
