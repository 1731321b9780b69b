"""Where each block of a volume is.

`Overlay` knows what only the journal holds; `BlockMap` what the store holds; `SegmentTable` how much of each stored
object anybody still needs; `PageSource` and `PageWriter` bring map pages from the store and back.
"""
