"""Items run side by side on one thread each, come back in order, and leave torch's threads as they were."""

import threading

import pytest
import torch

from lexframe.spaces.threads import side_by_side


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_two_run_at_once_on_one_thread_each_without_gradients(two_threads):
    meeting = threading.Barrier(2, timeout=20)  # broken where one waits for the other to end

    def run(item):
        meeting.wait()
        return item, torch.get_num_threads(), torch.is_grad_enabled(), threading.current_thread() is threading.main_thread()

    assert list(side_by_side(run, range(4))) == [(item, 1, False, False) for item in range(4)]
    assert torch.get_num_threads() == 2
    seen = []
    later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert seen == [2]


def test_one_item_or_one_thread_stays_with_the_caller(two_threads):
    def who(item):
        return threading.current_thread(), torch.get_num_threads()

    assert list(side_by_side(who, [0])) == [(threading.main_thread(), 2)]
    torch.set_num_threads(1)
    assert list(side_by_side(who, [0, 1])) == [(threading.main_thread(), 1)] * 2


def test_what_is_raised_comes_out_and_threads_are_as_they_were(two_threads):
    def fail(item):
        if item == 1:
            raise KeyError(item)
        return item

    with pytest.raises(KeyError):
        list(side_by_side(fail, range(6)))
    assert torch.get_num_threads() == 2
