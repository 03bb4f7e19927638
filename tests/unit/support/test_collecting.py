import itertools

import pytest

from tests.support.collecting import share_first

MODULES = ["a", "b", "c", "d", "e", "f", "g"]


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_every_worker_begins_with_its_own_share(workers: int) -> None:
    """Each takes all, and up to where the next one began nobody else has been."""
    orders = [share_first(MODULES, worker, workers) for worker in range(workers)]
    assert all(sorted(order) == MODULES for order in orders)
    begun = [MODULES.index(order[0]) for order in orders]
    shares = [MODULES[start:end] for start, end in itertools.pairwise([*begun, len(MODULES)])]
    assert [order[: len(share)] for order, share in zip(orders, shares, strict=True)] == shares
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert list(itertools.chain.from_iterable(shares)) == MODULES
