"""A laid-out table as Markdown, as LaTeX and as a page of HTML."""

import html as markup
import itertools
import re

from simcrop.report.layout import Cell, Grid

_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "†": r"\dag{}",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "α": r"$\alpha$",
    "λ": r"$\lambda$",
    "τ": r"$\tau$",
}
_STYLE = """
body { font: 14px/1.5 sans-serif; margin: 2em; color: #222; }
table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; }
caption { text-align: left; font-weight: bold; padding-bottom: 0.5em; }
th, td { padding: 0.2em 0.8em; text-align: right; vertical-align: top; }
th:first-child { text-align: left; font-weight: normal; }
thead th { text-align: center; border-bottom: 1px solid #999; }
tbody + tbody { border-top: 1px solid #999; }
small { display: block; color: #666; white-space: nowrap; }
p { max-width: 60em; }
"""


def markdown(grid: Grid, caption: str, foot: list[str]) -> str:
    """The grid as a Markdown table under its caption, with `foot` below it."""
    lines = [f"### {_plain(caption)}", ""]
    if grid.rows:
        headers = ["<br>".join(_plain(part) for part in header if part) for header in grid.headers]
        lines.append(_line(["Method", *headers]))
        lines.append(_line(["---", *["---:"] * len(headers)]))
        marks = {None: "{}", 1: "**{}**", 2: "<u>{}</u>"}
        for method, cells in [*grid.rows, *grid.published]:
            texts = [f"{_marked(c, marks, '†')} {c.interval}".strip() for c in cells]
            lines.append(_line([_plain(method), *texts]))
    else:
        lines.append("No runs.")
    for sentence in foot:
        lines += ["", _plain(sentence)]
    return "\n".join(lines) + "\n"


def latex(grid: Grid, caption: str, foot: list[str], label: str) -> str:
    """The grid as a LaTeX float, intervals below their means, no wider than the text.

    It needs the packages booktabs and graphicx.
    """
    if not grid.rows:
        return f"% {caption}: no runs.\n"
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}.",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escaped(caption)}.}}",
        rf"\label{{tab:{label}}}",
        r"\setlength{\tabcolsep}{2pt}",
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'c' * len(grid.headers)}}}",
        r"\toprule",
        *_latex_headers(grid.headers),
        r"\midrule",
        *_latex_rows(grid.rows),
        *([r"\midrule", *_latex_rows(grid.published)] if grid.published else []),
    ]
    lines += [r"\bottomrule", r"\end{tabular}}", "", r"\smallskip", r"\footnotesize"]
    lines += [r"\parbox{\textwidth}{\sloppy"]
    lines += [escaped(sentence) for sentence in foot]
    return "\n".join([*lines, "}", r"\end{table*}"]) + "\n"


def html(grid: Grid, caption: str, foot: list[str]) -> str:
    """The grid as a page of its own: nothing is loaded from elsewhere."""
    title = markup.escape(caption)
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{_STYLE}</style></head><body>",
    ]
    if grid.rows:
        lines += [f"<table><caption>{title}</caption>", *_html_headers(grid.headers)]
        lines += ["<tbody>", *_html_rows(grid.rows), "</tbody>"]
        if grid.published:
            lines += ["<tbody>", *_html_rows(grid.published), "</tbody>"]
        lines.append("</table>")
    else:
        lines += [f"<h1>{title}</h1>", "<p>No runs.</p>"]
    lines += [f"<p>{markup.escape(sentence)}</p>" for sentence in foot]
    return "\n".join([*lines, "</body></html>"]) + "\n"


def escaped(text: str) -> str:
    """`text` with the characters that mean something to LaTeX made harmless."""
    text = "".join(_LATEX.get(character, character) for character in text)
    return re.sub(r"(?<=\d) \\%", r"\\,\\%", text)


def _marked(cell: Cell, marks: dict[int | None, str], dagger: str) -> str:
    return marks[cell.rank].format(cell.mean) + (dagger if cell.different else "")


def _groups(headers: list[tuple[str, str, str]]) -> list[tuple[str, int]]:
    """The benchmarks above the columns, each with how many it spans."""
    return [(name, len([*part])) for name, part in itertools.groupby(h[0] for h in headers)]


def _latex_headers(headers: list[tuple[str, str, str]]) -> list[str]:
    titles, rules, column = [], [], 2
    for name, count in _groups(headers):
        titles.append(rf"\multicolumn{{{count}}}{{c}}{{{escaped(name)}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + count - 1}}}")
        column += count
    metrics = [escaped(header[1]) for header in headers]
    lines = [" & ".join(["", *titles]).strip() + r" \\", " ".join(rules)]
    lines.append(" & ".join(["Method", *metrics]) + r" \\")
    if any(header[2] for header in headers):
        lines.append(" & ".join(["", *(escaped(h[2]) for h in headers)]).strip() + r" \\")
    return lines


def _latex_rows(rows: list[tuple[str, list[Cell]]]) -> list[str]:
    marks = {None: "{}", 1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"}
    lines = []
    for method, cells in rows:
        means = [
            escaped(cell.mean) if cell == Cell() else _marked(cell, marks, r"$^{\dagger}$")
            for cell in cells
        ]
        # What begins with a bracket would be an argument of the row before.
        lines.append(" & ".join(["{}" + escaped(method), *means]) + r" \\")
        intervals = [rf"{{\scriptsize {cell.interval}}}" if cell.interval else "" for cell in cells]
        if any(intervals):
            lines.append(" & ".join(["", *intervals]).strip() + r" \\")
    return lines


def _html_headers(headers: list[tuple[str, str, str]]) -> list[str]:
    groups = [
        f'<th scope="colgroup" colspan="{count}">{markup.escape(name)}</th>'
        for name, count in _groups(headers)
    ]
    columns = [
        f'<th scope="col">{"<br>".join(markup.escape(part) for part in header[1:] if part)}</th>'
        for header in headers
    ]
    return [
        f"<thead><tr><th></th>{''.join(groups)}</tr>",
        f'<tr><th scope="col">Method</th>{"".join(columns)}</tr></thead>',
    ]


def _html_rows(rows: list[tuple[str, list[Cell]]]) -> list[str]:
    marks = {None: "{}", 1: "<b>{}</b>", 2: "<u>{}</u>"}
    lines = []
    for method, cells in rows:
        texts = [
            f"<td>{_marked(cell, marks, '<sup>†</sup>')}"
            + (f"<small>{cell.interval}</small>" if cell.interval else "")
            + "</td>"
            for cell in cells
        ]
        lines.append(f'<tr><th scope="row">{markup.escape(method)}</th>{"".join(texts)}</tr>')
    return lines


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)
