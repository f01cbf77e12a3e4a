"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    key, word, plain = sa.String(32), sa.String(40), sa.Text()
    op.create_table(
        "jobs",
        sa.Column("id", key, primary_key=True),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("title", plain, nullable=False),
        sa.Column("options", plain, nullable=False),
        sa.Column("going", plain),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        sa.Column("wish", sa.String(16)),
        sa.Column("lane", sa.String(16), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("place", sa.Float, nullable=False),
        sa.Column("created", word, nullable=False),
        sa.Column("started", word),
        sa.Column("ended", word),
        sa.Column("worker", sa.String(64)),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("progress", plain),
        sa.Column("message", plain, nullable=False),
        sa.Column("result", plain),
        sa.Column("error", plain),
        sa.Column("run", plain),
    )
    for name in ("lines", "previews"):
        more = ("level", "text") if name == "lines" else ("title", "path")
        op.create_table(
            name,
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
            sa.Column("job", key, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
            sa.Column("at", word, nullable=False),
            *(sa.Column(one, sa.String(16) if one == "level" else plain, nullable=False) for one in more),
        )
    op.create_table(
        "pictures",
        sa.Column("id", key, primary_key=True),
        sa.Column("path", plain, nullable=False, unique=True),
        sa.Column("name", plain, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("stamp", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, index=True),
        sa.Column("created", word, nullable=False, index=True),
        sa.Column("task", sa.String(64), index=True),
        sa.Column("run", sa.Integer, index=True),
        sa.Column("run_name", plain),
        sa.Column("family", sa.String(64)),
        sa.Column("seed", sa.BigInteger),
        sa.Column("label", plain),
        sa.Column("text", plain),
        sa.Column("recipe", plain),
        sa.Column("colours", plain, nullable=False),
        *(sa.Column(f"{axis}{number}", sa.Float) for number in (1, 2, 3) for axis in "lab"),
        sa.Column("starred", sa.Boolean, nullable=False),
        sa.Column("note", plain, nullable=False),
        sa.Column("job", key),
        sa.Column("thrown", sa.Boolean, nullable=False),
    )
    op.create_index("pictures_shown", "pictures", ["thrown", "created"])
    op.create_table(
        "inputs",
        sa.Column("picture", key, sa.ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True, index=True),
        sa.Column("name", plain, nullable=False),
    )
    op.create_table(
        "boards",
        sa.Column("id", key, primary_key=True),
        sa.Column("name", plain, nullable=False),
        sa.Column("created", word, nullable=False),
    )
    op.create_table(
        "held",
        sa.Column("board", key, sa.ForeignKey("boards.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("picture", key, sa.ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True, index=True),
    )
    op.create_table(
        "uploads",
        sa.Column("id", key, primary_key=True),
        sa.Column("name", plain, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("channels", sa.Integer, nullable=False),
        sa.Column("created", word, nullable=False),
        sa.Column("notes", plain, nullable=False),
    )
