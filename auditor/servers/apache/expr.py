"""httpd's expressions: what <If>, Require expr, SetEnvIfExpr, RewriteCond expr and the values expr=... say of a request
(manual: "Expressions in Apache HTTP Server").

How they are read and computed is imported with the first of them: most configurations have none.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from auditor.servers.apache.run import Run
    from auditor.source import Place
    from auditor.values import Value


class ExprError(ValueError):
    """httpd does not take the expression."""


class Expr(NamedTuple):
    """A compiled expression: a condition or a string (trees of expr_tree, Condition and Word)."""

    text: str
    condition: Any
    word: Any


@lru_cache(maxsize=4096)
def compile_condition(text: str, restricted: bool = False) -> Expr:
    """A boolean expression; `restricted`: of a .htaccess. Raises ExprError."""
    from auditor.servers.apache.expr_syntax import parse_condition

    return Expr(text, parse_condition(text, restricted), None)


@lru_cache(maxsize=4096)
def compile_string(text: str, restricted: bool = False) -> Expr:
    """An expression that gives a text; `restricted`: of a .htaccess. Raises ExprError."""
    from auditor.servers.apache.expr_syntax import parse_string

    return Expr(text, None, parse_string(text, restricted))


def holds(run: "Run", expr: Expr, place: "Place | None") -> bool:
    """Whether a condition holds. `run.captures` is then what its last regex with groups matched, empty where none did;
    the request headers looked at go to `run.vary`, whether it holds or not (ap_expr_exec_ctx)."""
    result, groups = matched(run, expr, place)
    run.captures = tuple(group.text or "" for group in groups)
    return result


def matched(run: "Run", expr: Expr, place: "Place | None") -> "tuple[bool, Sequence[Value]]":
    """As `holds`, with the captures as values; `run.captures` stays as it is."""
    from auditor.servers.apache.expr_eval import Evaluation

    assert expr.condition is not None
    evaluation = Evaluation(run, place)
    result = evaluation.condition(expr.condition)
    run.vary += evaluation.vary
    return result, evaluation.groups


def string(run: "Run", expr: Expr, place: "Place | None") -> "Value":
    """The text that a string expression gives."""
    from auditor.servers.apache.expr_eval import Evaluation

    assert expr.word is not None
    return Evaluation(run, place).word(expr.word)
