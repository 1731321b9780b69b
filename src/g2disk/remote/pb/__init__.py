"""Generated from proto/ by `./dev protos`; never edited by hand."""
