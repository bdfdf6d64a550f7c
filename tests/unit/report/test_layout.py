"""Where boxes stand: apart from each other, site by site, however many there are."""

import itertools
import math

import pytest

from drawings import full_mesh, graph_of
from saltext.wireguard.report.layout import MOST_IN_RING, layout
from saltext.wireguard.review.graph import Box


def nodes(*sizes):
    """So many nodes at each site."""
    return [(f"n{site}-{number}", f"site{site}") for site, size in enumerate(sizes) for number in range(size)]


def distance(one, other):
    return math.hypot(one[0] - other[0], one[1] - other[1])


@pytest.mark.parametrize(
    "sizes", [(1,), (2,), (5,), (40,), (1, 1), (3, 2), (30, 60, 4), (60,) * 9, (1,) * 50, (3,) * 25]
)
def test_no_two_boxes_overlap_and_all_are_inside(sizes):
    placed = layout(full_mesh(nodes(*sizes)))
    left, top, width, height = placed.frame
    assert len(placed.points) == sum(sizes)
    for x, y in placed.points.values():
        assert left < x < left + width
        assert top < y < top + height
    for disc in placed.discs:
        for one, other in itertools.combinations(disc.offsets.values(), 2):
            assert distance(one, other) > 12  # a box in a full disc has a radius of 6


@pytest.mark.parametrize("sizes", [(1, 1), (3, 2), (30, 60, 4), (60,) * 9, (1,) * 50, (200, 1, 1), (200, 100)])
def test_no_two_sites_overlap(sizes):
    placed = layout(full_mesh(nodes(*sizes)))
    for (one, at), (other, there) in itertools.combinations(zip(placed.discs, placed.centres, strict=True), 2):
        assert distance(at, there) > one.reach + other.reach


def test_few_boxes_stand_in_a_ring_and_many_fill_the_disc():
    few, many = layout(full_mesh(nodes(MOST_IN_RING))), layout(full_mesh(nodes(MOST_IN_RING + 1)))
    assert few.discs[0].ring
    assert not many.discs[0].ring
    (radius,) = {round(math.hypot(*point), 3) for point in few.points.values()}
    assert radius > 100


def test_a_hub_is_in_the_middle_of_its_site():
    spokes = [Box(f"s{number}", f"s{number}") for number in range(6)]
    placed = layout(graph_of([Box("hub", "hub", hub=True), *spokes], [(each.name, "hub") for each in spokes]))
    assert placed.points["hub"] == (0.0, 0.0)


def test_the_site_of_the_hubs_is_in_the_middle_where_the_others_meet_only_there():
    boxes = [Box("hub", "hub", "centre", hub=True), *(Box(f"s{n}", f"s{n}", f"site{n}") for n in range(4))]
    lines = [(f"s{number}", "hub") for number in range(4)]
    star = layout(graph_of(boxes, lines))
    assert star.points["hub"] == (0.0, 0.0)
    with_a_link = layout(graph_of(boxes, [*lines, ("s0", "s1")]))
    assert with_a_link.points["hub"] != (0.0, 0.0)


def test_two_sites_stand_beside_each_other():
    placed = layout(full_mesh(nodes(3, 3)))
    (left, right) = placed.centres
    assert left[0] < right[0]
    assert left[1] == pytest.approx(right[1])
