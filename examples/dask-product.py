"""x.T @ x over a Dask cluster, whose workers give each other pieces of it: for dask.sh."""

import sys

import dask.array as da
import numpy as np
from distributed import Client

scheduler, workers = sys.argv[1], int(sys.argv[2])

with Client(scheduler, timeout=60) as client:
    client.wait_for_workers(workers, timeout=60)
    whole = np.arange(1_200 * 900, dtype="float64").reshape(1_200, 900) % 97
    # Cut the other way in between, which sends nearly all of it to another worker.
    x = da.from_array(whole, chunks=(100, 900)).rechunk((1_200, 75))
    product = x.T.dot(x).compute()
    given = client.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total)
    sums = client.gather(client.map(lambda part: part * part, range(1_000)))

assert np.array_equal(product, whole.T.dot(whole)), "the product is wrong"
assert sum(sums) == sum(part * part for part in range(1_000)), "the sum is wrong"
print(f"workers {len(given)}")
print(f"bytes that they gave each other {sum(given.values())}")
print(f"trace {product.trace():.0f}")
