"""Results of agent benchmarks as one HTML file: tables, charts, and every run to read.

What agents, tools and judges wrote is hostile text. It reaches the page in two ways only: through a template that
escapes everything (`page.html`), and as JSON that a script puts into text nodes (`embed`, `page.js`). The file's own
policy forbids every other script and style, and every request.
"""

from reagent_benchmarks.page.write import write_page

__all__ = ["write_page"]
