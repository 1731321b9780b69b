"""HTTP/2 and the framing of gRPC without input and output: bytes in, events out."""
