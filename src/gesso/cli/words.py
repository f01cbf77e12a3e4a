"""Words of the command line to options: one cyclopts command a task, made from its fields."""

import inspect
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import cyclopts
from cyclopts import App, CycloptsError, Group, Parameter

from gesso.cli.show import ANYWHERE, console, rows
from gesso.contract.task import Task
from gesso.errors import GessoError, nearest
from gesso.tasks import TASKS

SHORT = {"count": "-n", "out": "-o"}  # a letter means the same in every command
HUGE = 10**9  # bounds beyond are those of the machine, and not worth a word


def command(name: str, asked: Task[Any]) -> App:
    """The cyclopts command of a task: a parameter for each field of its options, in the field's own words."""
    given, options = Group("Give", sort_key=0), Group("Options", sort_key=1)
    signature = []
    fields = asked.Options.model_fields
    for key in [*asked.positional, *(key for key in fields if key not in asked.positional)]:
        field, placed = fields[key], key in asked.positional
        default = inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
        many = str(field.annotation).startswith("tuple")
        meaning = Parameter(
            help=field.description,
            alias=SHORT.get(key),
            negative=f"--no-{key.replace('_', '-')}" if default is True else "",
            group=given if placed else options,
            consume_multiple=True if placed and many else None,
            show_default=not any(default is dull for dull in (None, False, True, inspect.Parameter.empty))
            and default not in ("", ()),
        )
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if placed else inspect.Parameter.KEYWORD_ONLY
        annotation = Annotated[field.annotation or str, meaning]
        signature.append(inspect.Parameter(key, kind, default=default, annotation=annotation))
    where = Annotated[Path | None, Parameter(help=ANYWHERE[0][1], group=options)]
    law = Annotated[Literal["none", "eu", "cn"] | None, Parameter(help=ANYWHERE[1][1], group=options)]
    if "profile" not in fields and name in TASKS:
        signature.append(inspect.Parameter("profile", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=law))
    signature.append(inspect.Parameter("home", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=where))

    def take(*_: Any, **__: Any) -> bool:
        return True

    vars(take)["__signature__"] = inspect.Signature(signature)
    app = App(
        name=f"gesso {name}",
        help=_unwrapped(asked.Options.__doc__ or ""),
        usage=_usage(name, asked),
        help_format="plaintext",
        help_formatter=cast(Any, _Page(fields)),
        version_flags=[],
        console=console(),
    )
    app["--help"].show = False
    app.default(take)
    return app


def read(name: str, asked: Task[Any], words: list[str]) -> dict[str, Any] | None:
    """What a person has chosen, by the names of the options; None when they asked for help, which is now shown.

    Raises GessoError, with the nearest right name, for words that fit no option.
    """
    app = command(name, asked)
    try:
        call, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise _explained(name, asked, error) from None
    if call(*bound.args, **bound.kwargs):
        return dict(bound.arguments)
    if asked.example:
        rows("Example", [(f"[dim]$[/] {asked.example}", "")], wide=True)
    return None


def _explained(name: str, asked: Task[Any], error: CycloptsError) -> GessoError:
    """One sentence about words that make no options."""
    see = f"See gesso {name} --help."
    if isinstance(error, cyclopts.UnknownOptionError):
        wrong = (error.token.keyword or error.token.value).split("=")[0]
        near = nearest(wrong, [word for argument in error.argument_collection for word in argument.names])
        return GessoError(f"gesso {name} has no option '{wrong}'.", near if near.startswith("Did") else see)
    if isinstance(error, cyclopts.UnusedCliTokensError):
        return GessoError(f"gesso {name} has no use for '{(error.unused_tokens or ['?'])[0]}'.", see)
    if isinstance(error, cyclopts.MissingArgumentError) and error.argument is not None:
        said = error.keyword or next((token.keyword for token in error.argument.tokens if token.keyword), None)
        if said:
            return GessoError(f"{said} needs a value.", see)
        word = error.argument.name.lstrip("-")
        word = word.upper() if word.replace("-", "_") in asked.positional else f"--{word}"
        return GessoError(f"gesso {name} needs {word}.", f"For example: {asked.example}" if asked.example else see)
    return GessoError(str(error), see)


def _bounds(field: Any) -> str:
    """'1 to 4,096', from the bounds of a pydantic field; empty when there are none."""
    rules = {type(rule).__name__.lower(): rule for rule in field.metadata}
    found = {key: getattr(rules[key], key) for key in ("ge", "gt", "le", "lt") if key in rules}
    low, high = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
    if high is not None and high > HUGE:
        high = None
    if high is None and low == 0 and "ge" in found:
        return ""
    if low is not None and high is not None and "ge" in found and "le" in found:
        return f"{low:,} to {high:,}"
    said = [f"{'above' if 'gt' in found else 'at least'} {low:,}"] if low is not None else []
    said += [f"{'below' if 'lt' in found else 'at most'} {high:,}"] if high is not None else []
    return ", ".join(said)


def _unwrapped(doc: str) -> str:
    """A docstring with each paragraph on one line, for the terminal to wrap."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(doc).split("\n\n"))


def _usage(name: str, asked: Task[Any]) -> str:
    """'gesso style CONTENT STYLE… [OPTIONS]'; what may be left out is in brackets."""
    words = []
    for key in asked.positional:
        field = asked.Options.model_fields[key]
        word = key.upper() + ("…" if str(field.annotation).startswith("tuple") else "")
        words.append(word if field.is_required() else f"[{word}]")
    return " ".join(["gesso", name, *words, "[OPTIONS]"])


class _Page:
    """A command's help in the manner of the front page (a cyclopts help formatter)."""

    def __init__(self, fields: dict[str, Any]):
        self.fields = fields

    def render_usage(self, screen: Any, _: Any, usage: Any) -> None:
        screen.print(f"  {str(usage).removeprefix('Usage: ').strip()}\n", markup=False, highlight=False, style="bold")

    def render_description(self, screen: Any, _: Any, description: Any) -> None:
        from rich.padding import Padding

        screen.print(Padding(description, (0, 0, 0, 2)), highlight=False, width=min(screen.width, 100))

    def __call__(self, screen: Any, _: Any, panel: Any) -> None:
        from rich.text import Text

        pairs = []
        for entry in panel.entries:
            value = f" {entry.metavar}" if entry.metavar and not entry.choices else ""
            names = [*entry.positive_shorts, *entry.positive_names]
            label = entry.positional_label or ", ".join([*names, *entry.negative_names]) + value
            key = (entry.positional_label or entry.positive_names[0]).strip("-").lower().replace("-", "_")
            notes = [" | ".join(entry.choices)] if entry.choices else []
            notes += filter(None, [_bounds(self.fields[key]) if key in self.fields else ""])
            notes += [f"default {entry.default}"] if entry.default is not None else []
            said = Text(str(getattr(entry.description, "primary_renderable", "")))
            if notes:
                said.append(f"  {', '.join(notes)}", style="dim")
            pairs.append((Text(label), said))
        if pairs:
            rows(str(panel.title), pairs, screen=screen)
