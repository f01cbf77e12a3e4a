"""What may be done with what was made of pictures, as their licences say: a report of a data set's rights.

The strictest licence wins. A picture of one's own and one that came with consent are permitted; one without a licence
that is known leaves it open. What a report counts adds up, so that those of several data sets become one.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from gesso.data.licences import LICENCES, NOTHING, Licence, goes_into, known, parts_of
from gesso.marks.recipe import Rights

__all__ = ["MADE_BY_MACHINE", "Report", "of_record", "report_of", "together"]

MADE_BY_MACHINE = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia")
REFUSED = {
    "no",
    "false",
    "0",
    "none",
    "refused",
    "denied",
    "withdrawn",
    "revoked",
    "declined",
    "n",
    "nope",
    "nein",
    "non",
    "否",
    "不",
    "无",
    "不同意",
}
REFUSALS = ("not ", "refused ", "denied ", "declined ", "withdrawn ", "revoked ")  # a text that begins so is one
CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufffe\uffff]")  # neither in YAML nor for a terminal
MOST = 200  # names of makers, licences that Gesso does not know and places that are kept of a data set
LONGEST = 80  # characters of such a name
SMALLEST = 2000  # bytes of JSON that a picture carries of it
NAMED = 12  # licences and makers in a picture

Answer = Literal["yes", "no", "unknown"]


@dataclass
class Report:
    """What the licences of pictures come to. Counts are of pictures.

    data: names of the data sets; fingerprint: of the first. licences: by name, "" where none is named; creators: all;
    credits: those who must be named; origins: where pictures are from. not_commercial, open_commercial,
    not_derived, open_derived: what forbids it, and what leaves it open. unnamed: without a licence and without
    consent; unknown: with one that Gesso does not know, too; attributed: whose maker must be named; uncredited: of
    these, whose maker is not told.
    """

    data: tuple[str, ...] = ()
    fingerprint: str = ""
    count: int = 0
    licences: Counter[str] = field(default_factory=Counter)
    creators: Counter[str] = field(default_factory=Counter)
    credits: Counter[str] = field(default_factory=Counter)
    origins: Counter[str] = field(default_factory=Counter)
    consent: int = 0
    refused: int = 0
    not_commercial: int = 0
    open_commercial: int = 0
    not_derived: int = 0
    open_derived: int = 0
    unnamed: int = 0
    unknown: int = 0
    attributed: int = 0
    uncredited: int = 0
    machine_made: int = 0
    marked: int = 0

    @property
    def commercial(self) -> Answer:
        """Whether all of it may be used commercially."""
        return _answer(self.not_commercial, self.open_commercial)

    @property
    def derivatives(self) -> Answer:
        """Whether other works may be made of all of it."""
        return _answer(self.not_derived, self.open_derived)

    @property
    def attribution(self) -> bool:
        """Whether someone must be named."""
        return self.attributed > 0

    @property
    def share_alike(self) -> list[str]:
        """The licences that want to go on, most pictures first."""
        names = (one.name for name, _ in self.licences.most_common() for one in parts_of(name) if one.alike)
        return list(dict.fromkeys(names))

    @property
    def conflicts(self) -> list[str]:
        """Licences that do not go together, a sentence each."""
        alike = self.share_alike
        found = []
        if alike and not any(all(goes_into(one, other) for one in alike) for other in alike):
            apart = [
                f"{one} and {other}"
                for i, one in enumerate(alike)
                for other in alike[i + 1 :]
                if not goes_into(one, other) and not goes_into(other, one)
            ]
            what = ", ".join(apart[:4]) or ", ".join(alike[:4])
            found.append(f"These licences each ask for themselves and do not go together: {what}.")
        free = [name for name in alike if LICENCES[name].commercial]
        parts = [one for name in self.licences for one in parts_of(name)]
        closed = [one.name for one in parts if one.commercial is False and one.derive]
        if free and closed:
            found.append(f"{free[0]} asks to allow commercial use, and {closed[0]} forbids it.")
        return found

    @property
    def verdict(self) -> str:
        """All of it in one sentence."""
        if not self.count:
            return "There are no pictures of which anything could be said."
        says = {
            "yes": "{} is allowed",
            "no": "{} is not allowed",
            "unknown": "whether {} is allowed cannot be told",
        }
        words = [
            says[self.commercial].format("commercial use"),
            says[self.derivatives].format("changing and passing on"),
        ]
        if alike := self.share_alike:
            more = " and others" if alike[3:] else ""
            words.append(f"it must be shared alike under {' and '.join(alike[:3])}{more}")
        words.append("makers must be named" if self.attribution else "no one must be named")
        if self.conflicts:
            words.append("some of the licences do not go together")
        return f"As the licences say, of what is made of it: {'; '.join(words)}."

    @property
    def reasons(self) -> list[str]:
        """What the verdict rests on, and what else one should know, a sentence each."""
        named = [f"{count:,} under {name}" for name, count in self.licences.most_common(NAMED) if name]
        rest = len([name for name in self.licences if name]) - len(named)
        out = (
            [f"Of {self.count:,} pictures: {', '.join(named)}{f' and {rest} others' if rest > 0 else ''}."]
            if named
            else []
        )
        if self.not_commercial:
            out.append(f"{self.not_commercial:,} do not allow commercial use.")
        if self.not_derived:
            out.append(f"{self.not_derived:,} do not allow other works to be made of them.")
        if self.unnamed:
            out.append(f"{self.unnamed:,} name no licence, and no consent is noted for them.")
        if self.unknown > self.unnamed:
            out.append(
                f"{self.unknown - self.unnamed:,} name a licence that Gesso does not know, or say that none is known."
            )
        if (open_ := self.open_commercial - self.unknown) > 0:
            out.append(f"{open_:,} do not tell whether commercial use is allowed.")
        if (open_ := self.open_derived - self.unknown) > 0:
            out.append(f"{open_:,} do not tell whether other works may be made of them.")
        if self.attributed:
            most = [name for name, _ in self.credits.most_common(5)]
            more = f" and {len(self.credits) - 5:,} more" if len(self.credits) > 5 else ""
            out.append(
                f"The makers of {self.attributed:,} must be named" + (f": {', '.join(most)}{more}." if most else ".")
            )
        if self.uncredited:
            out.append(f"{self.uncredited:,} of these do not tell who made them.")
        if self.consent:
            out.append(f"Consent is noted for {self.consent:,}.")
        if self.refused:
            out.append(f"Consent was refused for {self.refused:,}.")
        out += self.conflicts
        cautions = {one.caution: one.name for name in self.licences for one in parts_of(name)}
        out += [f"{name}: {caution}" for caution, name in cautions.items() if caution]
        if self.machine_made:
            out.append(f"{self.machine_made:,} say that a machine made them.")
        if self.marked:
            out.append(f"{self.marked:,} are marked as not for training and were taken nevertheless.")
        return out

    def facts(self) -> dict[str, Any]:
        """All of it as plain JSON values, which `of` reads again; lists are cut to what is useful."""
        values: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        values |= {
            "data": list(self.data), "licences": _kept(self.licences), "creators": _firsts(self.creators),
            "credits": dict(self.credits.most_common(MOST)), "origins": dict(self.origins.most_common(20)),
            "creators_count": len(self.creators), "commercial": self.commercial, "derivatives": self.derivatives,
            "attribution": self.attribution, "share_alike": self.share_alike, "conflicts": self.conflicts,
            "verdict": self.verdict, "reasons": self.reasons,
        }  # fmt: skip
        return values

    def short(self) -> Rights:
        """What a picture carries of it: less than 2 KB as JSON, makers left out where there are too many."""
        named = Counter({name or "none named": count for name, count in self.licences.items()}).most_common()
        makers = list(dict.fromkeys([*_firsts(self.credits), *_firsts(self.creators)]))[:NAMED]
        for cut, least in ((LONGEST, NAMED), (40, 8), (20, 0), (8, 0)):
            for shown in range(len(makers), min(least, len(makers)) - 1, -1):
                made = self._cut(named, makers[:shown], cut)
                if len(json.dumps(made.model_dump(mode="json"))) <= SMALLEST:
                    return made
        return self._cut([], [], 8)

    def _cut(self, named: list[tuple[str, int]], makers: list[str], cut: int) -> Rights:
        """The short form with so many characters of each name."""
        licences = Counter[str]()
        for i, (name, count) in enumerate(named):
            licences[name[:cut] if i < NAMED else "others"] += count
        mark = self.fingerprint if re.fullmatch("[0-9a-f]{64}", self.fingerprint) else ""
        return Rights(
            data=" + ".join(self.data)[:cut], fingerprint=mark, count=self.count, licences=dict(licences),
            commercial=self.commercial, derivatives=self.derivatives, share_alike=tuple(self.share_alike[:8]),
            conflict=bool(self.conflicts), attribution=self.attribution, creators=tuple(name[:cut] for name in makers),
            consent=self.consent, unknown=self.unknown, verdict=self.verdict[:400],
        )  # fmt: skip

    @classmethod
    def silent(cls, data: str, fingerprint: str, count: int) -> "Report":
        """Of pictures of which nothing was noted."""
        made = cls((_text(data),), fingerprint, count, Counter({"": count}))
        made.open_commercial = made.open_derived = made.unnamed = made.unknown = count
        return made

    @classmethod
    def of(cls, values: Mapping[str, Any] | None, data: Mapping[str, Any]) -> "Report | None":
        """A report from a record: `values` as `facts` gave them, or as Gesso counted rights before; None without any.

        data: what the record says of the data set: its name, fingerprint and count.
        """
        if not isinstance(values, Mapping) or not isinstance(values.get("licences"), Mapping):
            return None
        if "verdict" not in values:
            return _counted_before(values, data)
        made = cls(tuple(_text(name) for name in values.get("data", ())), str(values.get("fingerprint", "")))
        for one in fields(cls)[2:]:
            value = values.get(one.name)
            if isinstance(getattr(made, one.name), Counter):
                value = dict.fromkeys(value, 1) if isinstance(value, list | tuple) else value
                pairs = value.items() if isinstance(value, Mapping) else ()
                setattr(made, one.name, Counter({_text(name): int(number) for name, number in pairs}))
            elif isinstance(value, int):
                setattr(made, one.name, max(value, 0))
        return made


def report_of(items: Iterable[Mapping[str, Any]], data: str = "", fingerprint: str = "") -> Report:
    """What the licences of some pictures come to. items: what is known of each, as in items.jsonl."""
    made = Report((_text(data),) if data else (), fingerprint)
    for item in items:
        _count(made, item)
    return made


def together(reports: Iterable[Report | None]) -> Report | None:
    """One report of several data sets; None where there are none."""
    there = [report for report in reports if report is not None]
    if not there:
        return None
    made = Report(fingerprint=there[0].fingerprint)
    for report in there:
        for one in fields(Report):
            if one.name == "data":
                made.data = tuple(dict.fromkeys((*made.data, *report.data)))
            elif one.name != "fingerprint":
                setattr(made, one.name, getattr(made, one.name) + getattr(report, one.name))
    return made


def of_record(record: Mapping[str, Any]) -> Report | None:
    """What a run's data said when it was trained: of both its data sets, and of those of the run that it began with.

    record: of run.json; runs of before have less in it. None where nothing was noted.
    """
    try:
        if isinstance(record.get("rights"), Mapping):
            return Report.of(record["rights"], {})
        parts = [record.get(name) for name in ("data", "source")]
        return together(Report.of(part.get("rights"), part) for part in parts if isinstance(part, Mapping))
    except (TypeError, ValueError, AttributeError, OverflowError):  # a record is a file that anyone may edit
        return None


def _count(made: Report, item: Mapping[str, Any]) -> None:
    """Add one picture."""
    said, creator = _word(item, "licence"), _word(item, "creator")
    licence = known(said) if said else known(_word(item, "rights"))
    word = _word(item, "consent")
    refused = _refuses(word)
    consent = bool(word) and not refused and word.casefold() not in NOTHING
    made.count += 1
    made.licences[licence.name if licence else said[:LONGEST]] += 1
    made.consent += consent
    made.refused += refused
    made.machine_made += _word(item, "digital_source") in MADE_BY_MACHINE
    made.marked += bool(item.get("marks"))
    if origin := _word(item, "origin"):
        made.origins[origin[:LONGEST]] += 1
    if creator:
        made.creators[creator[:LONGEST]] += 1
    _weigh(made, licence, bool(said), consent, refused, 1)
    if licence and licence.attribution:
        made.attributed += 1
        made.uncredited += not creator
        if creator:
            made.credits[creator[:LONGEST]] += 1


def _weigh(made: Report, licence: Licence | None, named: bool, consent: bool, refused: bool, count: int) -> None:
    """Add what a licence allows. Consent opens what is closed or open, but lifts no condition against commerce."""
    commercial = licence.commercial if licence else None
    derive = licence.derive if licence else None
    silent = commercial is None or (licence is not None and licence.name == "all-rights-reserved")
    if refused:
        commercial = derive = False
    elif consent:
        commercial, derive = (True if silent else commercial), True
    made.not_commercial += count * (commercial is False)
    made.open_commercial += count * (commercial is None)
    made.not_derived += count * (derive is False)
    made.open_derived += count * (derive is None)
    if not consent and not refused and (licence is None or licence.name == "unknown"):
        made.unknown += count
        made.unnamed += count * (licence is None and not named)


def _counted_before(values: Mapping[str, Any], data: Mapping[str, Any]) -> Report:
    """A report from the counts that runs of before have: whose consent it was is not told there."""
    made = Report((_text(data.get("name", "")),), str(data.get("fingerprint", "")))
    counts = {_text(name): int(number) for name, number in values["licences"].items()}
    told = sum(counts.values())
    made.consent = int(values.get("consent") or 0)
    makers = [_text(name) for name in values.get("creators") or ()]
    made.creators = Counter(dict.fromkeys(makers, 1))
    for said, count in counts.items():
        licence = known(said) if said else None
        made.count += count
        made.licences[licence.name if licence else said[:LONGEST]] += count
        _weigh(made, licence, bool(said), made.consent >= told, False, count)
        if licence and licence.attribution:
            made.attributed += count
            made.credits = Counter(dict.fromkeys(makers, 1))
    return made


def _refuses(word: str) -> bool:
    """Whether what is said of consent is that there is none."""
    word = word.casefold().strip(" .!。！")
    return word in REFUSED or word.startswith(REFUSALS)


def _answer(no: int, unknown: int) -> Answer:
    return "no" if no else "unknown" if unknown else "yes"


def _word(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    if value is None or value == "" or not isinstance(value, str | int | float):
        return ""
    return " ".join(_text(value).split())


def _text(value: Any) -> str:
    """A value as text that can be written and shown: half letters, as JSON may have them, and controls become '?'."""
    return CONTROLS.sub("?", str(value).encode("utf-8", "replace").decode())


def _firsts(names: Counter[str]) -> list[str]:
    return [name for name, _ in names.most_common(MOST)]


def _kept(licences: Counter[str]) -> dict[str, int]:
    """All licences that are known, and the most frequent of the others; what is left as one."""
    kept = Counter({name: count for name, count in licences.items() if name in LICENCES or not name})
    others = Counter({name: count for name, count in licences.items() if name not in kept}).most_common()
    kept.update(dict(others[:MOST]))
    if rest := sum(count for _, count in others[MOST:]):
        kept["others"] += rest
    return dict(kept.most_common())
