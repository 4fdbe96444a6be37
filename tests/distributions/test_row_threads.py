"""Parts of the rows at once: the same results, one thread of torch each, nothing changed for the caller."""

import os
import threading

import pytest
import torch

from logpx.distributions.row_threads import for_parts


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_every_row_is_in_one_part_in_order(two_threads):
    x = torch.arange(7)
    assert torch.equal(torch.cat(for_parts(lambda part: x[part], x, least=3)), x)
    assert len(for_parts(lambda part: part, x, least=3)) == 2


def test_parts_have_a_thread_each_in_which_operators_have_one(two_threads):
    together = threading.Barrier(2)

    def work(part):
        # Parts that came one after the other would wait for ever.
        together.wait(60)
        return threading.get_ident(), torch.get_num_threads(), torch.is_grad_enabled()

    x = torch.zeros(4, requires_grad=True)
    found = for_parts(work, x, least=2)
    assert len({ident for ident, _, _ in found} | {threading.get_ident()}) == 3
    assert [values for _, *values in found] == [[1, False]] * 2
    assert torch.get_num_threads() == 2
    later = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [2]


def test_few_rows_and_one_thread_are_one_part_in_the_same_thread(two_threads):
    def work(part):
        return threading.get_ident(), part

    here = threading.get_ident()
    assert for_parts(work, torch.zeros(7), least=4) == [(here, slice(0, 7))]
    assert for_parts(work, torch.zeros(0), least=1) == [(here, slice(0, 0))]
    torch.set_num_threads(1)
    assert for_parts(work, torch.zeros(7), least=1) == [(here, slice(0, 7))]


def test_more_threads_may_be_asked_for_later(two_threads):
    x = torch.zeros(9)
    assert len(for_parts(lambda part: part, x, least=3)) == 2
    torch.set_num_threads(3)
    assert len(for_parts(lambda part: part, x, least=3)) == 3
    assert torch.get_num_threads() == 3


def test_an_error_of_a_part_comes_after_all_parts(two_threads):
    done = []

    def work(part):
        if part.start == 0:
            raise ValueError("the first")
        done.append(part)

    with pytest.raises(ValueError, match="the first"):
        for_parts(work, torch.zeros(4), least=2)
    assert done == [slice(2, 4)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_has_threads_of_its_own(two_threads):
    x = torch.arange(4)
    for_parts(lambda part: part, x, least=2)
    process = os.fork()
    if process == 0:
        found = for_parts(lambda part: part, x, least=2)
        os._exit(0 if len(found) == 2 else 1)
    assert os.waitpid(process, 0)[1] == 0
