"""The plan says what would be trained and trains nothing."""

import small

from jaxopt_study.engine.plan import plan


def test_a_plan_counts_what_is_stored_and_times_what_is_not(tmp_path):
    small.study(tmp_path, small.grid((0.01,))).train()
    before = sorted(path.name for path in tmp_path.rglob("*"))
    study = small.study(tmp_path, small.grid((0.01, 0.1)), slots=3, devices=2, epochs=6)
    (part,) = plan(study)
    assert (part.optimizer, part.runs, part.stored, part.slots, part.devices) == ("momentum", 4, 2, 2, 2)
    assert part.memory_bytes > study.dataset.train_images.nbytes
    assert 0 < part.epoch_seconds < 5
    assert abs(part.most_seconds - part.epoch_seconds * 6) < 1e-9
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_plan_of_a_finished_study_has_nothing_to_compile(tmp_path):
    study = small.study(tmp_path, small.grid((0.01,)))
    study.train()
    (part,) = plan(small.study(tmp_path, small.grid((0.01,))))
    assert (part.stored, part.slots, part.compile_seconds, part.most_seconds) == (2, 0, 0.0, 0.0)
