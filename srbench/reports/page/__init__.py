"""reports/page/: the one HTML page. ``data`` says what stands in it, ``images`` which images, ``build`` makes the file.

``app/`` is the page's own JavaScript and CSS, ``vendor/`` what others wrote: Tabulator and D3, as their npm packages have them.
"""

from __future__ import annotations
