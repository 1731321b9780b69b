"""What a volume says of itself, by the names of `g2disk.stores.figures`."""

from __future__ import annotations

from g2disk.stores.store import StateValue
from g2disk.volume.format.manifest import Manifest
from g2disk.volume.state import VolumeState


def volume_figures(state: VolumeState, manifest: Manifest, now: float) -> dict[str, StateValue]:
    """All of `FIGURES`; `now` is the time of day in seconds."""
    usage = state.usage
    trouble = state.fenced or state.trouble_cause
    return {
        "durability": state.durability,
        "flush_means": state.flush_means,
        "unstored_bytes": state.unstored_bytes,
        "unstored_seconds": state.unstored_seconds,
        "journal_used": state.journal_used,
        "journal_limit": state.journal_limit,
        "puts": usage.puts,
        "gets": usage.gets,
        "lists": usage.lists,
        "deletes": usage.deletes,
        "request_errors": usage.errors,
        "put_bytes": usage.bytes_put,
        "got_bytes": usage.bytes_got,
        "cost_dollars": float(usage.cost),
        "cache_hits": state.cache_hits,
        "cache_misses": state.cache_misses,
        "live_ratio": float(state.live_ratio),
        "write_amplification": float(state.write_amplification),
        "space_amplification": float(state.space_amplification),
        "segments": state.segments,
        "garbage_bytes": state.garbage_bytes,
        "trouble": trouble,
        "trouble_seconds": max(0.0, now - state.trouble_since) if state.trouble_since else 0.0,
        "fenced": bool(state.fenced),
        "epoch": state.epoch,
        "snapshots": state.snapshots,
        "map_memory": state.map_memory,
        "block_size": manifest.block_size,
        "compression": manifest.compression,
        "encrypted": manifest.encryption is not None,
    }
