"""Licences by name, and what they say: may one use a picture commercially, change it, must one name its maker.

What stands here are the licences' own terms in four words, no advice in law: whether a model that has learned from a
picture is a work derived from it is for courts to say. Names follow SPDX where it has one.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["LICENCES", "NOTHING", "Licence", "goes_into", "known", "parts_of"]

LONGEST = 2000  # characters of a text that are read
NOTHING = (
    "unknown", "n/a", "na", "none", "no license", "no licence", "unlicensed", "not specified", "unspecified", "unclear",
    "tbd", "other", "?", "-", "null", "无", "未知", "不明",
)  # fmt: skip
DULL = {"the", "license", "licence", "version", "v", "international", "unported"}  # words that tell no licences apart


@dataclass(frozen=True)
class Licence:
    """What a licence says. None is what it does not tell.

    commercial: one may use the work commercially. derive: one may make other works of it and pass them on. attribution:
    one must name its maker. alike: works made of it must be under the same licence. caution: a sentence about what is
    beyond the licence.
    """

    name: str
    commercial: bool | None
    derive: bool | None
    attribution: bool = False
    alike: bool = False
    caution: str = ""

    @property
    def strictness(self) -> tuple[int, int, int, int]:
        """How much it forbids, so that the stricter of two is the greater."""
        order = {True: 0, None: 1, False: 2}
        return order[self.derive], order[self.commercial], int(self.alike), int(self.attribution)


FREE = (
    "CC0-1.0",
    "CC-PDM-1.0",
    "PDDL-1.0",
    "Unlicense",
    "0BSD",
    "MIT-0",
    "WTFPL",
    "US-Government-Work",
    "DL-DE-ZERO-2.0",
)
NAMED = (
    "MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "OGL-UK-1.0", "OGL-UK-2.0", "OGL-UK-3.0", "OGL",
    "etalab-1.0", "etalab-2.0", "DL-DE-BY-2.0", "NLOD-2.0", "ODC-By-1.0",
)  # fmt: skip
ALIKE = (
    "LAL", "LAL-1.2", "LAL-1.3", "MPL-2.0", "EUPL-1.2", "OFL-1.0", "OFL-1.1", "OFL", "ODbL-1.0",
)  # fmt: skip
GNU = (
    "GPL-1.0", "GPL-2.0", "GPL-3.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0", "AGPL-1.0", "AGPL-3.0", "GFDL-1.1", "GFDL-1.2",
    "GFDL-1.3",
)  # fmt: skip
LATER = "-or-later"
ALL_HOLD = " AND "  # between the names of several that hold together, as SPDX writes it
VERSIONS = ("", "-1.0", "-2.0", "-2.1", "-2.5", "-3.0", "-4.0")
CC = ("BY", "BY-SA", "BY-NC", "BY-ND", "BY-NC-SA", "BY-NC-ND", "SA", "NC", "ND", "NC-SA", "NC-ND")
ASKS = "The terms of its site restrict machine learning: ask for permission."


def _made() -> dict[str, Licence]:
    found = [Licence(name, True, True) for name in FREE]
    found += [Licence(name, True, True, attribution=True) for name in NAMED]
    gnu = (*GNU, *(name + LATER for name in GNU), "GPL", "LGPL", "AGPL", "GFDL")
    found += [Licence(name, True, True, attribution=True, alike=True) for name in (*ALIKE, *gnu)]
    for kind in CC:
        parts = kind.split("-")
        for version in VERSIONS:
            terms = ("NC" not in parts, "ND" not in parts, "BY" in parts, "SA" in parts)
            found.append(Licence(f"CC-{kind}{version}", *terms))
    found += [
        Licence("own", True, True),
        Licence("Pixabay", True, True),
        Licence("Unsplash", True, None, caution=ASKS),
        Licence("Pexels", True, None, caution=ASKS),
        Licence("editorial", False, False, attribution=True),
        Licence("non-commercial", False, None),
        Licence("all-rights-reserved", False, False),
        Licence("InC-EDU-1.0", False, None),
        Licence("InC-NC-1.0", False, None),
        Licence("NoC-NC-1.0", False, True),
        Licence("no-known-copyright", None, None),
        Licence("unknown", None, None),
    ]
    return {licence.name: licence for licence in found}


LICENCES = _made()
_FOLDED = {name.casefold(): licence for name, licence in LICENCES.items()}
# Names that are a licence where they are all that is said, as they are after `_plain`.
_ALIASES = {
    "own": (
        "own", "mine", "my own", "own work", "my own work", "my work", "self", "self made", "ours", "our own",
        "our own work", "i made it", "made by me", "made by us", "eigenes werk", "自己",
         "自己的作品", "本人", "本人作品", "原创", "自有",
    ),
    "all-rights-reserved": ("copyrighted", "proprietary", "in copyright", "inc", "arr"),
    "CC-PDM-1.0": (
        "public domain", "pd", "pdm", "public domain mark", "publicdomain", "gemeinfrei", "domaine public", "公共领域",
        "公有领域", "public domain mark 1.0", "pdm 1.0", "cc pdm", "cc pdm 1.0", "pd us", "pd old", "pd old 100",
    ),
    "CC0-1.0": ("cc0", "cc zero", "cc 0", "zero"),
    "editorial": ("editorial", "editorial use", "editorial only"),
    "non-commercial": ("non commercial", "noncommercial", "nc", "non commercial use", "personal use",
                       "personal use only", "research only", "academic only", "非商业", "非商用"),
    "US-Government-Work": ("united states government work", "us government work", "pd usgov", "pd us gov", "usgov"),
    "no-known-copyright": ("no known copyright restrictions", "no known copyright", "nkc"),
    "Pixabay": ("pixabay content",),
    "MIT": ("mit", "expat"), "Apache-2.0": ("apache", "apache 2"), "BSD-3-Clause": ("bsd", "new bsd", "bsd 3 clause"),
    "BSD-2-Clause": ("simplified bsd", "bsd 2 clause"),
    "LAL": ("free art", "licence art libre", "art libre", "lal", "fal"),
    "LAL-1.3": ("free art 1.3", "licence art libre 1.3", "fal 1.3"),
    "OFL-1.1": ("sil ofl", "sil open font", "open font"),
    "OGL": ("open government", "ogl"), "OGL-UK-3.0": ("open government 3.0", "ogl 3.0", "ogl 3", "ogl uk 3"),
    "etalab-2.0": ("etalab 2", "ouverte 2.0", "ouverte 2"),
    "etalab-1.0": ("etalab", "ouverte 1.0"),
}  # fmt: skip
_NAMES = {alias: LICENCES[name] for name, aliases in _ALIASES.items() for alias in aliases}
# What names a licence wherever it stands in a text.
_ANYWHERE = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"all rights reserved|alle rechte vorbehalten|tous droits réservés|todos los derechos reservados"
         r"|版权所有|保留所有权利|保留一切权利|著作权所有|無断転載", "all-rights-reserved"),
        (r"editorial use only|for editorial use|仅供编辑", "editorial"),
        (r"rightsstatements\.org/\w+/inc-edu", "InC-EDU-1.0"), (r"rightsstatements\.org/\w+/inc-nc", "InC-NC-1.0"),
        (r"rightsstatements\.org/\w+/(?:inc-ow-eu|inc-ruu|inc)/", "all-rights-reserved"),
        (r"rightsstatements\.org/\w+/noc-nc", "NoC-NC-1.0"),
        (r"rightsstatements\.org/\w+/(?:noc-us|noc-oklr|noc-cr|nkc)", "no-known-copyright"),
        (r"rightsstatements\.org/\w+/(?:cne|und)", "unknown"),
        (r"no known copyright", "no-known-copyright"), (r"^public domain\b", "CC-PDM-1.0"),
        (r"unsplash\.com/licen[cs]e|\bunsplash licen[cs]e", "Unsplash"),
        (r"pexels\.com/licen[cs]e|\bpexels licen[cs]e", "Pexels"),
        (r"pixabay\.com/(?:service/)?licen[cs]e|\bpixabay (?:content )?licen[cs]e", "Pixabay"),
        (r"opensource\.org/licen[cs]es?/mit\b|\bmit licen[cs]e", "MIT"),
        (r"apache\.org/licen[cs]es/licen[cs]e-2|\bapache(?: licen[cs]e)?,? ?(?:version |v)?2(?:\.0)?\b", "Apache-2.0"),
        (r"\bopen font licen[cs]e|scripts\.sil\.org/ofl", "OFL-1.1"),
        (r"artlibre\.org|\bfree art licen[cs]e|\blicence art libre", "LAL-1.3"),
        (r"/doc/open-government-licence/version/3|\bopen government licen[cs]e v?3", "OGL-UK-3.0"),
        (r"/doc/open-government-licence/version/2|\bopen government licen[cs]e v?2", "OGL-UK-2.0"),
        (r"\bopen government licen[cs]e", "OGL"),
        (r"etalab\.gouv\.fr|\blicence ouverte", "etalab-2.0"),
        (r"unlicense\.org", "Unlicense"),
    )
]  # fmt: skip
_GNU = re.compile(
    r"\b(?P<kind>(?:gnu )?(?:affero |lesser )?general public licen[cs]e|[al]?gpl|(?:gnu )?free documentation licen[cs]e"
    r"|gfdl)(?:\s*[,-]?\s*(?:version|v\.?)?\s*(?P<version>\d(?:\.\d)?)"
    r"(?P<later>\+|,?[ -]or[ -](?:any[ -])?(?:later|newer))?)?"
)
_URL = re.compile(
    r"creativecommons\.org/(?:licen[cs]es|publicdomain)/(?P<kind>[a-z0-9+-]{1,20})(?:/(?P<version>\d\.\d))?"
)
OR = re.compile(r"[ ]+(?:or|oder)[ ]+(?!later|any|newer)|或")
AND = re.compile(r"[ ]+(?:and|und)[ ]+|\s*[;|,&]\s*|和")
_LONG = (
    (r"\b(?:non|not|nicht|pas d.?utilisation|uso no|no)[ -]?(?:kommerziell\w*|commercial\w*|comercial)", " nc "),
    (r"非商业性?(?:使用)?|非商業性", " nc "),
    (r"\bno[ -]?deriv\w*(?: works?)?|\bkeine bearbeitung\w*|\bpas de modification|\bsin derivad\w*|禁止演绎|禁止改作",
     " nd "),
    (r"\bshare[ -]?alike|\bweitergabe unter gleichen bedingungen|\bpartage dans les mêmes conditions"
     r"|\bpartage à l.identique|\bcompartir ?igual|相同方式共享|相同方式分享", " sa "),
    (r"\battribution\b|\bnamensnennung|\batribución|\breconocimiento|署名|姓名標示", " by "),
    (r"\bcreative[ -]?commons|知识共享|創用", " cc "),
)  # fmt: skip
_LONG_RE = [(re.compile(pattern), word) for pattern, word in _LONG]
_DENIED = re.compile(r"(?:\bnot|\bno|\bnever|\bwithout|\bexcept|n't|\bnicht|\bkeine|\bohne|非|不)\s(?:[\w-]+\s){0,3}$")
_PARTS = {"by": "BY", "nc": "NC", "nd": "ND", "sa": "SA"}


def known(text: str) -> Licence | None:
    """The licence that a text names, as people and files write it: 'CC BY-NC 4.0', an address, 'my own work'; or None.

    Where a text names several, all hold: it is the strictest, or several as one ('CC-BY-NC-4.0 AND CC-BY-ND-4.0')
    where each forbids or asks for something else. Where it leaves the choice ('MIT or GPL'), it is the freest.
    A licence that is named to be denied ('not under CC BY') is none. Reads 2,000 characters at most.
    """
    return _known(text[:LONGEST])


@lru_cache(maxsize=4096)
def _known(text: str) -> Licence | None:
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().replace("_", "-").split())
    plain = _plain(text)
    if text in NOTHING or plain in NOTHING:
        return LICENCES["unknown"]
    exact = _FOLDED.get(text) or _FOLDED.get(plain.replace(" ", "-")) or _NAMES.get(plain)
    if exact is not None or not plain:
        return exact
    for pattern, chosen in ((OR, _freest), (AND, _all_of)):
        parts = pattern.split(text) if len(text) < 200 else []
        several = [part for part in map(_known, parts) if part is not None] if len(parts) > 1 else []
        if several and len(several) == len(parts):
            return chosen(several)
    found = [*_commons(text), *_gnu(text)]
    found += [
        LICENCES[name] for pattern, name in _ANYWHERE if (at := pattern.search(text)) and not _denied(text, at.start())
    ]
    if not found:
        return None
    return (_freest if OR.search(text) else _all_of)(found)


def parts_of(name: str) -> list[Licence]:
    """The licences of the table that a name as `known` gives it is made of; none for other texts."""
    return [LICENCES[one] for one in name.split(ALL_HOLD) if one in LICENCES]


def _freest(several: list[Licence]) -> Licence:
    return min(several, key=lambda licence: licence.strictness)


def _all_of(several: list[Licence]) -> Licence:
    """One licence that is as strict as all of several together: one of them, or all those that it takes."""
    parts = {part.name: part for one in several for part in parts_of(one.name)}
    first, *others = sorted(parts.values(), key=lambda licence: licence.strictness, reverse=True)
    if first.commercial is False and first.derive is False:
        return first
    made, names = first, [first.name]
    for one in others:
        pairs = zip(made.strictness, one.strictness, strict=True)
        if any(more > less for less, more in pairs):
            names.append(one.name)
            made = Licence(
                ALL_HOLD.join(sorted(names)),
                _stricter(made.commercial, one.commercial),
                _stricter(made.derive, one.derive),
                made.attribution or one.attribution,
                made.alike or one.alike,
                made.caution or one.caution,
            )
    return made


def _stricter(one: bool | None, other: bool | None) -> bool | None:
    """The stricter of two answers."""
    return False if one is False or other is False else None if one is None or other is None else True


def goes_into(one: str, other: str) -> bool:
    """Whether a work under a share-alike licence may become part of one under another, as the licences' makers say."""
    if one == other:
        return True
    (kind, version), (wanted, newer) = _split(one), _split(other)
    if kind == wanted:
        if not version or not newer:  # which one is meant was not said
            return True
        # Those of Creative Commons name later versions of the same, after the first; GNU's where 'or later' was said.
        return version == newer or (
            version < newer and (one.endswith(LATER) or (kind[:3] == "CC-" and version != "1.0"))
        )
    if kind == "CC-BY-SA" and version == "4.0":
        return other in ("GPL-3.0", "GPL-3.0-or-later", "LAL-1.3")
    if kind == "LAL" and version == "1.3":
        return other == "CC-BY-SA-4.0"
    return (one.removesuffix(LATER), other.removesuffix(LATER)) in {
        ("LGPL-2.1", "GPL-2.0"), ("LGPL-2.1", "GPL-3.0"), ("LGPL-3.0", "GPL-3.0"), ("GPL-3.0", "AGPL-3.0"),
        ("LGPL-3.0", "AGPL-3.0"), ("MPL-2.0", "GPL-2.0"), ("MPL-2.0", "GPL-3.0"), ("MPL-2.0", "AGPL-3.0"),
    }  # fmt: skip


def _split(name: str) -> tuple[str, str]:
    """'CC-BY-SA-4.0' -> ('CC-BY-SA', '4.0'); the version is empty where none is said."""
    kind, _, version = name.removesuffix(LATER).rpartition("-")
    return (kind, version) if re.fullmatch(r"\d\.\d", version) else (name, "")


def _plain(text: str) -> str:
    """A text without what does not tell licences apart: marks of punctuation, and the word licence itself."""
    words = re.sub(r"[^\w.+]+", " ", text).split()
    words = [re.sub(r"^v(?=\d)", "", word).strip(".") for word in words]
    return " ".join([word for word in words if word and word not in DULL] or words)


def _denied(text: str, at: int) -> bool:
    """Whether what stands at a place is said not to be so."""
    return _DENIED.search(text[max(0, at - 40) : at]) is not None


def _commons(text: str) -> list[Licence]:
    """Licences of Creative Commons in a text, folded."""
    found = []
    for at in _URL.finditer(text):
        kind, version = at["kind"], at["version"] or ""
        if _denied(text, at.start()):
            continue
        if kind in ("zero", "mark", "publicdomain"):
            found.append(LICENCES["CC0-1.0" if kind == "zero" else "CC-PDM-1.0"])
        elif set(kind.split("-")) <= set(_PARTS):
            found.append(_of_parts(set(kind.split("-")), version))
    if re.match(r"(?:https?://|www\.)\S+$", text):  # what else an address has in it are no words
        return found
    rest = _URL.sub(" ", text)
    for pattern, word in _LONG_RE:
        rest = pattern.sub(word, rest)
    rest = re.sub(r"[^\w.+]+", " ", rest)
    whole = re.fullmatch(r"\s*(?:cc )?(?:by )?(?:n[cd]|sa|by)(?: .*)?", rest)
    start = re.search(r"\bcc ?(?=(?:by|nc|nd|sa|zero|0|public)\b)|\bcc0\b", rest)
    if start is None and whole and re.match(r"\s*by (?:n[cd]|sa|licen[cs]e|\d\.\d)\b", rest):
        start = re.match(r"\s*", rest)
    if start is not None and not _denied(rest, start.start()):
        tail = rest[start.end() :] if start[0].strip() != "cc0" else "zero"
        if re.match(r"\s*(?:zero|0|public)\b", tail):
            found.append(
                LICENCES["CC-PDM-1.0" if tail.lstrip().startswith("public") and "zero" not in tail else "CC0-1.0"]
            )
        else:
            first = re.match(r"\s*(?:(?:by|nc|nd|sa)\b\s*)+", tail)
            parts = set(first[0].split()) if first else set()
            # A restriction anywhere in the text counts: 'CC BY, non-commercial use only'.
            parts |= {word for word in ("nc", "nd", "sa") if re.search(rf"\b{word}\b", rest)} if parts else set()
            number = re.search(r"\b(\d\.\d)\b", tail[:80])
            if parts:
                found.append(_of_parts(parts, number[1] if number else ""))
    return found


def _of_parts(parts: set[str], version: str) -> Licence:
    """The licence of Creative Commons with these parts; of no version where there is none of that number."""
    parts = parts - {"sa"} if {"nd", "sa"} <= parts else parts
    kind = "-".join(_PARTS[part] for part in ("by", "nc", "nd", "sa") if part in parts)
    return LICENCES.get(f"CC-{kind}-{version}") or LICENCES[f"CC-{kind}"]


def _gnu(text: str) -> list[Licence]:
    """Licences of GNU in a text, folded."""
    found = []
    for at in _GNU.finditer(text):
        if _denied(text, at.start()):
            continue
        kind = at["kind"]
        if kind == "gfdl" or "documentation" in kind:
            name = "GFDL"
        elif kind in ("agpl", "lgpl", "gpl"):
            name = kind.upper()
        else:
            name = "AGPL" if "affero" in kind else "LGPL" if "lesser" in kind else "GPL"
        version = at["version"] or ""
        version = f"{version}.0" if len(version) == 1 else version
        full = f"{name}-{version}"
        found.append(LICENCES.get(full + LATER if at["later"] else full) or LICENCES.get(full) or LICENCES[name])
    return found
