"""Memory that sockets fill and parsers cut views from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from g2disk.receive_buffer import BLOCK, ReceiveBuffer


def receive(buffer: ReceiveBuffer, data: bytes) -> None:
    """Fill the buffer with all of `data`, as a socket would."""
    while data:
        room = buffer.writable()
        count = min(len(room), len(data))
        room[:count] = data[:count]
        room.release()
        buffer.filled(count)
        data = data[count:]


def block_of(buffer: ReceiveBuffer) -> int:
    """The identity of the memory that it would receive into."""
    return id(buffer.writable().obj)


@given(st.lists(st.tuples(st.integers(1, 3 * BLOCK // 2), st.booleans()), max_size=12))
def test_items_of_any_size_come_out_as_they_went_in(items: list[tuple[int, bool]]) -> None:
    """Whatever the sizes, and whoever keeps views, every item is what was received, now and later."""
    buffer = ReceiveBuffer()
    kept = []
    for number, (length, keep) in enumerate(items):
        item = bytes([number]) * length
        receive(buffer, item[: length // 3])
        if len(buffer) < length:
            buffer.expect(length)
        receive(buffer, item[length // 3 :])

        view = buffer.view[:length]
        assert view == item
        if keep:
            kept.append((view, item))
        buffer.consume(length)
        del view
        buffer.rest()
    for view, item in kept:
        assert view == item


def test_memory_is_reused_when_no_view_of_it_is_left() -> None:
    """The second item arrives where the first one was."""
    buffer = ReceiveBuffer()
    first = block_of(buffer)
    receive(buffer, b"first")
    buffer.consume(5)

    assert block_of(buffer) == first


def test_memory_is_not_reused_while_a_view_of_it_is_held() -> None:
    """A view is not written over, not even by another buffer that takes what this one gives back."""
    buffer = ReceiveBuffer()
    receive(buffer, b"first")
    view = buffer.view[1:3]
    buffer.consume(5)
    buffer.rest()
    other = ReceiveBuffer()
    receive(other, b"other")
    receive(buffer, b"again")

    assert bytes(view) == b"ir"


def test_what_rests_holds_no_memory_and_hands_it_on() -> None:
    """An idle connection's block serves the next one."""
    buffer = ReceiveBuffer()
    receive(buffer, b"first")
    block = block_of(buffer)
    buffer.consume(5)
    buffer.rest()

    others = [ReceiveBuffer() for _ in range(20)]
    assert block in [block_of(other) for other in others]


def test_what_is_not_yet_consumed_survives_a_rest() -> None:
    """Half an item stays."""
    buffer = ReceiveBuffer()
    receive(buffer, b"half")
    buffer.rest()
    receive(buffer, b" and half")

    assert bytes(buffer.view) == b"half and half"


def test_an_item_that_drips_in_is_not_moved() -> None:
    """However often its length is announced, what came stays where it is: the work is linear."""
    buffer = ReceiveBuffer()
    receive(buffer, b"begins")
    buffer.expect(3 * BLOCK)
    block = buffer.view.obj
    for _ in range(100):
        receive(buffer, bytes(1000))
        buffer.expect(3 * BLOCK)

    assert buffer.view.obj is block
