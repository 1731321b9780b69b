"""Volumes: disks of any size on an object store, with a local journal in front.

A write is appended to the journal and answered.  In the background the journal's entries are packed into segments,
immutable objects with numbers, which are put into the store, several at once, and take effect strictly in the order of
their numbers.  The map says where each block is; checkpoints write what changed of it into the store.  A manifest, the
only thing that is ever decided by compare-and-set, says what the disk consists of.

The state of a disk is, in this order: the map root of the newest manifest, the segments of its runs, the segments
`head.next`, `head.next` + 1, ... of the last epoch in `epochs` up to the first that is missing, and the journal.

Nothing that was acknowledged as durable may ever be lost.  That rests on these orderings:

1. **Append, then answer.**  A write is in the journal, and in the overlay, before it is answered; with `durability
   journal` a flush is answered after the journal's fdatasync.
2. **Stored, then effective.**  A segment takes effect when its own put, and those of all lower numbers, were
   acknowledged: first the map learns where the blocks are, then the overlay forgets its entries, then the journal is
   released up to there.  So each block can be read at any moment from one of them, and what the journal gives up is
   part of the unbroken chain of segments that the next opening will find.
3. **Objects, then manifest, then deletion.**  A checkpoint's manifest is committed after all its map objects were
   acknowledged; an object is deleted only after the manifest that no longer needs it was committed.
4. **Claim, then look.**  Opening for writing first commits a manifest of the next epoch, and only then looks for the
   segments of the epoch before, by getting each one, never by listing.  With `durability remote` a flush is answered
   after its segments were acknowledged and, after that, no newer manifest was found.  Either the older writer sees
   the claim, or the newer one sees the segments.
5. **Accept, then write.**  What was found is committed as a run before the first segment of the new epoch is put; a
   segment that arrives later under the old epoch belongs to nothing.
6. **Journal and store agree.**  The journal is taken only if no other journal took its place meanwhile; its entries up
   to the accepted sequence number are in the store and are released, the others are replayed in order.
7. **Collected blocks are still current.**  Blocks that garbage collection moves are checked when the new segment gets
   its number: neither the map nor the overlay may know a newer version.  So that segment can be applied whole, by the
   running volume and by each later recovery.

`Volume.changing` is held by whoever commits a manifest or lets a segment take effect.
"""
