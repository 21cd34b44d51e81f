"""Runs every SQL block of the documentation in DuckDB, as a reader would: python docs_sql.py [PAGE...]

In the repository, on results/sample. Fails where a block fails, or finds nothing.
"""

import glob
import re
import sys

import duckdb


def blocks(page):
    text = open(page, encoding="utf-8").read()
    return re.findall(r"^```sql\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def main():
    pages = sys.argv[1:] or ["README.md", *sorted(glob.glob("docs/**/*.md", recursive=True))]
    seen, wrong = 0, []
    for page in pages:
        for block in blocks(page):
            seen += 1
            try:
                rows = duckdb.sql(block).fetchall()
            except Exception as error:
                wrong.append(f"{page}: {error}\n{block}")
                continue
            if not rows:
                wrong.append(f"{page}: no rows\n{block}")
    print(f"{seen} blocks, {len(wrong)} wrong")
    sys.exit("\n".join(wrong) if wrong or not seen else 0)


main()
