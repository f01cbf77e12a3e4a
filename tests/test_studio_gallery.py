"""The gallery's table and the queue, without a server: what two may do at once, and what goes wrong between."""

import threading

import pytest
from PIL import Image

from gesso.studio.house import Settings, opened


@pytest.fixture
def house(tmp_path):
    with opened(Settings(tmp_path)) as house:
        yield house
        house.jobs._nursery.close()


def test_a_picture_that_two_enter_at_once_is_one_picture_of_its_job(house, monkeypatch):
    place = house.folders.gallery / "2026-01-01" / "abc" / "a.png"
    place.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(place)
    both, look = threading.Barrier(2), house.pool.do

    def together(*asked):
        seen = look(*asked)
        both.wait(30)  # neither has written it yet
        return seen

    monkeypatch.setattr(house.pool, "do", together)
    wrong = []

    def taken_in():
        try:
            house.gallery.take_in([str(place)], "job1")
        except Exception as error:
            wrong.append(error)

    worker = threading.Thread(target=taken_in)
    worker.start()
    house.gallery.look_around()
    worker.join()
    assert wrong == []
    found = house.gallery.search({}, "newest", 0, 10)
    assert found["total"] == 1
    assert house.gallery.row(found["pictures"][0]["id"])["job"] == "job1"


def test_a_job_whose_result_cannot_be_taken_down_fails_with_a_reason(house, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(house.gallery, "take_in", full)
    job = house.jobs.submit("list", {})["id"]
    assert house.jobs.take("moments", "here") == job
    house.jobs.perform(job)
    found = house.jobs.get(job)
    assert found["status"] == "failed"
    assert "no space left" in found["error"]["problem"]
