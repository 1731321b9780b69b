"""The benchmark: fio against NBD servers, in interleaved rounds of one run.  `./dev bench --help`."""
