# SPDX-License-Identifier: ISC
"""Plots as SVG text, without any library."""

import math

INK, PALE, GRID = "#222", "#666", "#ddd"
GOOD, FAIR, POOR = "#2a7f4f", "#3b6fb6", "#b5483a"
LINES = ["#3b6fb6", "#b5483a", "#2a7f4f", "#8a5fb0", "#b07d2a"]


def escape(text):
	return str(text).replace("&", "&amp;").replace("<", "&lt;")


def text(x, y, what, anchor="start", size=12, colour=INK, weight="normal"):
	return ('<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d" '
	    'fill="%s" font-weight="%s">%s</text>' %
	    (x, y, anchor, size, colour, weight, escape(what)))


def line(x1, y1, x2, y2, colour=GRID, width=1, dash=""):
	return ('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" '
	    'stroke-width="%g"%s/>' % (x1, y1, x2, y2, colour, width,
	    ' stroke-dasharray="%s"' % dash if dash else ""))


def page(width, height, parts):
	return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
	    'viewBox="0 0 %d %d" font-family="sans-serif">\n'
	    '<rect width="100%%" height="100%%" fill="white"/>\n%s\n</svg>\n' %
	    (width, height, width, height, "\n".join(parts)))


def step_of(most):
	"""A round distance between grid lines, for about six of them."""
	raw = max(most, 1e-9) / 6
	base = 10 ** math.floor(math.log10(raw))
	return next(base * k for k in (1, 2, 5, 10) if base * k >= raw)


def bars(title, subtitle, rows, logarithmic=False):
	"""rows: (label, value, must, aim, note); value may be None.

	A bar is green from the aim on, blue from the must on, red below.  The
	must is drawn as a solid mark, the aim as a dashed one.
	"""
	left, right, top, each = 560, 190, 74, 30
	width = 1230
	height = top + each * len(rows) + 50
	most = max([r[1] or 0 for r in rows] + [r[3] or r[2] or 0 for r in rows])
	most *= 1.08
	scale = (width - left - right) / (most or 1)

	def place(value):
		"""Octaves from a quarter on, or the value as it is."""
		if logarithmic:
			return (width - left - right) * max(0, math.log2(max(value, 0.25) / 0.25)) / \
			    max(1, math.log2(most / 0.25))
		return value * scale
	parts = [text(20, 28, title, size=18, weight="bold"),
	    text(20, 50, subtitle, colour=PALE)]
	bottom = top + each * len(rows)
	step = step_of(most)
	grid = [2 ** i / 4 for i in range(40) if 2 ** i / 4 <= most] if logarithmic else \
	    [i * step for i in range(int(most / step) + 1)]
	for value in grid:
		x = left + place(value)
		parts += [line(x, top - 6, x, bottom),
		    text(x, bottom + 16, "%g×" % value, "middle", 11, PALE)]
	for n, (label, value, must, aim, note) in enumerate(rows):
		y = top + n * each
		parts.append(text(left - 10, y + 17, label, "end"))
		if value is not None:
			colour = POOR if must and value < must else (
			    FAIR if aim and value < aim else GOOD)
			parts.append('<rect x="%d" y="%.1f" width="%.1f" height="18" '
			    'fill="%s"/>' % (left, y + 4, place(value), colour))
		parts.append(text(width - right + 12, y + 17, "%s   %s" %
		    ("–" if value is None else "%.2f×" % value, note)))
		for mark, dash in ((must, ""), (aim, "3,2")):
			if mark:
				x = left + place(mark)
				parts.append(line(x, y, x, y + 26, INK, 2, dash))
	parts.append(text(left, bottom + 38, "solid mark: must    dashed mark: aim",
	    size=11, colour=PALE))
	return page(width, height, parts)


def lines(title, panels):
	"""panels: (heading, x label, y label, {series: [(x, y), ...]}), x in log."""
	each_w, each_h, columns = 480, 300, 2
	rows = (len(panels) + columns - 1) // columns
	parts = [text(20, 30, title, size=18, weight="bold")]
	for n, (heading, x_label, y_label, series) in enumerate(panels):
		ox = (n % columns) * each_w + 70
		oy = (n // columns) * each_h + 80
		w, h = each_w - 110, each_h - 110
		points = [p for s in series.values() for p in s]
		parts.append(text(ox - 50, oy - 16, heading, weight="bold"))
		if not points:
			continue
		low = math.log10(min(p[0] for p in points))
		high = math.log10(max(p[0] for p in points))
		most = max(p[1] for p in points) * 1.1 or 1

		def at(p):
			x = ox + (math.log10(p[0]) - low) / ((high - low) or 1) * w
			return x, oy + h - p[1] / most * h

		step = step_of(most)
		for i in range(int(most / step) + 1):
			y = oy + h - i * step / most * h
			parts += [line(ox, y, ox + w, y),
			    text(ox - 6, y + 4, "%g" % (i * step), "end", 10, PALE)]
		for x in sorted({p[0] for p in points}):
			parts.append(text(at((x, 0))[0], oy + h + 15,
			    "{:,}".format(x).replace(",", " "), "middle", 10, PALE))
		parts += [text(ox + w / 2, oy + h + 32, x_label, "middle", 11, PALE),
		    text(ox + w, oy - 16, y_label, "end", 11, PALE)]
		for i, (name, s) in enumerate(series.items()):
			colour = LINES[i % len(LINES)]
			places = [at(p) for p in sorted(s)]
			parts.append('<polyline fill="none" stroke="%s" stroke-width="2" '
			    'points="%s"/>' % (colour,
			    " ".join("%.1f,%.1f" % p for p in places)))
			parts += ['<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' %
			    (p[0], p[1], colour) for p in places]
			if len(series) > 1:
				parts.append(text(ox + 8 + 110 * i, oy - 2, name,
				    size=11, colour=colour))
	return page(each_w * columns, each_h * rows + 60, parts)
