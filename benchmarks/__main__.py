"""`make bench`: every benchmark, one after the other."""

from benchmarks import counting, site, tracing

for benchmark in (site, counting, tracing):
    print(f"\n{benchmark.__doc__.splitlines()[0]}", flush=True)
    benchmark.main()
