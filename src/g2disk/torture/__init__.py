"""The judge: a target server under concurrent requests and faults, and whether it kept what g2disk.v1 promises."""
