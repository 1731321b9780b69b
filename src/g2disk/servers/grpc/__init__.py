"""The target server: disks and their catalogue over gRPC."""
