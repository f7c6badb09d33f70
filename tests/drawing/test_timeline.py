"""Test the timeline of devices: its bubbles, and what communication hides."""

from fractions import Fraction

import pytest

from flopbook.drawing import Event, device_timeline


def pipeline(devices, batches):
    """Return the forward pass of a pipeline, each of whose parts takes a unit, and what is sent on."""
    return [
        event
        for device in range(devices)
        for batch in range(batches)
        for event in (
            Event(f"GPU {device}", "forward", device + batch, device + batch + 1, f"{batch}"),
            Event(f"GPU {device}", "bytes", device + batch + 1, device + batch + 2),
        )
    ]


@pytest.mark.parametrize(("devices", "batches"), [(2, 1), (3, 4), (4, 9)])
def test_a_pipeline_has_the_bubble_of_the_formula(devices, batches):
    events = [event for event in pipeline(devices, batches) if event.kind == "forward"]
    frame = device_timeline({"pipeline": events}, "ms").frame()
    assert f"for {float(Fraction(devices - 1, batches + devices - 1)):.1%} they wait" in frame.sentence


def test_the_rows_add_up_to_the_last():
    *rows, total = device_timeline({"pipeline": pipeline(3, 4)}, "ms").frame().table.rows
    assert [sum(int(row[column]) for row in rows) for column in range(1, 5)] == [int(number) for number in total[1:]]
    assert total[1:3] == ("12", "12")


def test_communication_is_hidden_where_its_device_computes():
    frame = device_timeline({"pipeline": pipeline(2, 5)}, "ms").frame()
    assert [row[3] for row in frame.table.rows] == ["4", "4", "8"]
    assert "8 ms are hidden" in frame.sentence


def boxes(frame, look):
    """Return the width of each box of a look."""
    paths = [shape for shape in frame.shapes if f'class="{look}"' in shape]
    return [float(box.split("h")[1].split("v")[0]) for path in paths for box in path.split("M")[1:]]


def test_a_device_waits_at_the_beginning_between_and_at_the_end():
    events = [Event("0", "forward", 1, 2), Event("0", "backward", 3, 4), Event("1", "forward", 0, 6)]
    assert len(boxes(device_timeline({"one": events}, "s").frame(), "left-out")) == 3


def test_each_event_is_as_long_as_it_takes():
    frame = device_timeline({"one": [Event("GPU", "forward", 0, 1), Event("GPU", "backward", 2, 4)]}, "s").frame()
    forward, waits, backward = (boxes(frame, look) for look in ("forward", "left-out", "backward"))
    assert forward == waits
    assert backward == pytest.approx([2 * forward[0]], abs=0.2)


def test_the_axis_has_round_times():
    frame = device_timeline({"one": [Event("GPU", "forward", 0, 21)]}, "s").frame()
    texts = [shape.split(">")[1].split("<")[0] for shape in frame.shapes if shape.startswith("<text")]
    assert texts[:5] == ["0", "5", "10", "15", "20"]


@pytest.mark.parametrize(
    ("schedules", "says"),
    [
        ({"a": [Event("GPU", "forward", 0, 2), Event("GPU", "backward", 1, 3)]}, "starts before .* ends"),
        ({"a": [Event("GPU", "forward", 2, 1)]}, "ends before it starts"),
        ({"a": [Event("GPU", "sideways", 0, 1)]}, "kind='sideways' is not known"),
        ({"a": [Event("0", "forward", 0, 1)], "b": [Event("1", "forward", 0, 1)]}, "'b' has the devices 1"),
    ],
)
def test_what_cannot_be_is_refused(schedules, says):
    with pytest.raises(ValueError, match=says):
        device_timeline(schedules, "ms")
