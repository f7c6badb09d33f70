"""Run every benchmark, one after the other, for `make bench`."""

from benchmarks import counting, site, tracing

for benchmark in (site, counting, tracing):
    print(f"\n{benchmark.__doc__.splitlines()[0]}", flush=True)
    benchmark.main()
