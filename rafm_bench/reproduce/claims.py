"""How many claims came out how: by kind and protocol, and by part of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rafm_bench.reproduce.section import Beside, Section, Table
from rafm_bench.reproduce.verdicts import NO, OPEN, YES, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SIDES = {"paper": "paper protocol", "clean": "clean protocol", "": "other"}


class Tally(NamedTuple):
    """How many claims of a part came out how; `contrary` are of `not_reproduced`."""

    part: str
    reproduced: int
    not_reproduced: int
    contrary: int
    not_testable: int


def tally(part: str, sections: Sequence[Section]) -> Tally:
    """Count the verdicts of a part."""
    verdicts = [one for section in sections for one in section.verdicts]
    yes, no, left = (sum(v.result == one for v in verdicts) for one in (YES, NO, OPEN))
    return Tally(part, yes, no, sum(one.contrary for one in verdicts), left)


def each_once(parts: Mapping[str, Sequence[Section]]) -> list[Verdict]:
    """Return the verdicts of all parts; what stands in two parts counts once."""
    found = [v for part in parts.values() for section in part for v in section.verdicts]
    return list({(one.claim, one.where): one for one in found}.values())


def lead(verdicts: Sequence[Verdict]) -> str:
    """Say in two sentences what came of the claims."""
    n = {one: sum(v.result == one for v in verdicts) for one in (YES, NO, OPEN)}
    contrary = sum(one.contrary for one in verdicts)
    text = (
        f"Of {len(verdicts)} claims, each on one data set under one protocol, {n[YES]} "
        f"were reproduced, {n[NO]} were not (for {contrary} of these the other way "
        f"round holds), and {n[OPEN]} could not be tested on the data at hand. "
    )
    sides = []
    for protocol in ("paper", "clean"):
        own = [
            one
            for one in verdicts
            if one.protocol == protocol and one.kind == "RaFM is better than FM in loss"
        ]
        if own:
            sides.append(f"{_count(own, ' cases')} under the {SIDES[protocol]}")
    if not sides:
        return text
    return f"{text}That RaFM has less loss than FM held in {' and in '.join(sides)}."


def claims_table(verdicts: Sequence[Verdict]) -> Table:
    """Count the claims of each kind under each protocol."""
    kinds = dict.fromkeys(one.kind for one in verdicts if one.kind)
    sides = [side for side in SIDES if any(one.protocol == side for one in verdicts)]
    rows: list[list[str | Beside]] = []
    for kind in sorted(kinds, key=_place):
        own = [one for one in verdicts if one.kind == kind]
        by_side = [
            _count([one for one in own if one.protocol == side]) for side in sides
        ]
        n_open = sum(one.result == OPEN for one in own)
        rows.append([kind[0].upper() + kind[1:], *by_side, str(n_open or "")])
    header = ["reproduced, of the claims tested", *(SIDES[side] for side in sides)]
    return Table([*header, "not testable"], rows, n_words=len(header))


def _place(kind: str) -> tuple[bool, bool, bool]:
    """Put claims of loss first, then those of AUC, costs, and single figures."""
    return (
        not kind.startswith("RaFM is better than")
        or "figure" in kind
        or "absent" in kind,
        not kind.startswith("RaFM"),
        "AUC" in kind,
    )


def _count(verdicts: Iterable[Verdict], unit: str = "") -> str:
    tested = [one for one in verdicts if one.result != OPEN]
    if not tested:
        return ""
    n = sum(one.result == YES for one in tested)
    contrary = sum(one.contrary for one in tested)
    told = f" ({contrary} reversed)" * bool(contrary)
    return f"{n} of {len(tested)}{unit}{told}"
