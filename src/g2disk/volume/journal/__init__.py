"""The journal: where a volume's writes are before they are in the object store, on a local disk.

Records are appended to a file in use, a `Part`; when it is full, the journal goes on in the next.  `Supply` has files
ready, and takes back those whose entries were released; `Keeper` is the one task, and does nothing else than that.
`files` is the seam to the disk; the bytes are those of `g2disk.volume.format.journal`.

After a power cut every sector that was written since the last sync is as it was, or new, each for itself.  What is
recovered is nevertheless a run of entries without a gap that has all that was committed.  That rests on these rules:

1. **One place, one record.**  A position is used once.  A record counts only if its checksum fits, which begins with a
   salt that its file got for this use, and if its epoch, sequence and position are the next.
2. **No file without the one before it.**  A file's header says where the file before it ended.  If less than that is
   there, what follows of that epoch was not committed, for a commit syncs the files in order.
3. **What was released is marked before it is written over.**  `Mark` says, durably, with which file the journal begins.
   So a missing first file is told from one that was used again.
4. **What was recovered is durable before anything follows it.**  A killed process may leave in memory what the disk
   does not have.  So where an earlier epoch ends too early, that is damage, and the journal is refused.
5. **What was refused never comes between.**  When the system does not write all of a record, its file is given up, and
   the header of the next one says where it ended before.  Only while nothing follows may a part of it be recovered.
6. **A sync that fails is the last one.**  The kernel does not report it twice, so from then on all calls raise
   `Fenced`.
"""
