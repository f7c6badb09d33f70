"""`make bench`: every benchmark, one after the other."""

from tests.bench import counting, site

for benchmark in (site, counting):
    print(f"\n{benchmark.__doc__.splitlines()[0]}", flush=True)
    benchmark.main()
