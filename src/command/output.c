#include "command/output.h"

#include <stdarg.h>
#include <string.h>

#include "base/arena.h"

/* So wide doveadm takes a terminal to be that it does not see. */
enum { WIDTH_MOST = 200, DOVEADM_WIDTH = 80 };

struct output {
	enum output_form      form;
	struct output_column *column;
	size_t                columns, at; /* the column that comes next          */
	size_t                rows;
	bool                  doveadm;
	bool                  large, piece;  /* the value comes in pieces; one has come    */
	bool                  broken_before; /* pager: the value ended its line     */
	struct buffer         cells;         /* of a table: each a string with its NUL   */
	struct buffer         half;          /* of a character at the end of a piece     */
};

static const char *const form_names[OUTPUT_FORMS] = {
	[OUTPUT_TABLE] = "table", [OUTPUT_FLOW] = "flow", [OUTPUT_TAB] = "tab",
	[OUTPUT_PAGER] = "pager", [OUTPUT_JSON] = "json", [OUTPUT_VALUES] = "values",
};

bool
output_option(struct call *c, enum output_form standard, enum output_form *out)
{
	const char *name = NULL;

	*out = standard;
	if (command_option(c, "--json", NULL))
		*out = OUTPUT_JSON;
	if (!command_option(c, "-f", &name) && !command_option(c, "--format", &name))
		return true;
	for (int i = 0; i < OUTPUT_FORMS; i++)
		if (strcmp(name, form_names[i]) == 0) {
			*out = (enum output_form)i;
			return true;
		}
	(void)command_wrong(
		c, "\"%s\" is not a form; right would be table, flow, tab, pager, json or values",
		name);
	return false;
}

static struct output *
begin(enum output_form form, size_t columns)
{
	struct output *o = memory_take(sizeof *o);

	*o = (struct output){ .form = form, .columns = columns };
	o->column = memory_take(columns * sizeof *o->column);
	return o;
}

static struct output *
begun(struct output *o)
{
	if (o->form == OUTPUT_TAB)
		for (size_t i = 0; i < o->columns; i++)
			(void)printf("%s%c", o->column[i].title, i + 1 < o->columns ? '\t' : '\n');
	if (o->form == OUTPUT_JSON)
		(void)fputs("[", stdout);
	return o;
}

struct output *
output_open(enum output_form form, const char *const *column, size_t columns)
{
	struct output *o = begin(form, columns);

	for (size_t i = 0; i < columns; i++)
		o->column[i].title = column[i];
	return begun(o);
}

struct output *
output_open_as_doveadm(enum output_form form, const struct output_column *column, size_t columns)
{
	struct output *o = begin(form, columns);

	memcpy(o->column, column, columns * sizeof *column);
	o->doveadm = true;
	return begun(o);
}

/* ---- as doveadm writes them ---- */

/* What stands before a value; `large`: it comes in pieces.  Between two pages of a pager stands a form feed, unless the
   second one begins with a large value. */
static void
doveadm_begin(const struct output *o, bool large)
{
	const struct output_column *c = &o->column[o->at];
	const char                 *between = o->at > 0 ? "," : o->rows > 0 ? ",{" : "{";

	switch (o->form) {
	case OUTPUT_FLOW:
	case OUTPUT_VALUES:
		(void)printf("%s%s%s", o->at > 0 ? " " : "", c->untitled ? "" : c->title,
		             c->untitled ? "" : "=");
		break;
	case OUTPUT_TAB: (void)fputs(o->at > 0 && !large ? "\t" : "", stdout); break;
	case OUTPUT_PAGER:
		(void)printf("%s%s%s", o->at == 0 && o->rows > 0 && !large ? "\f\n" : "",
		             c->untitled ? "" : c->title,
		             large         ? ":\n"
		             : c->untitled ? ""
		                           : ": ");
		break;
	case OUTPUT_JSON:
		(void)printf("%s\"%s\":\"", between, c->key != NULL ? c->key : c->title);
		break;
	case OUTPUT_TABLE:
	case OUTPUT_FORMS: break;
	}
}

/* What stands behind it.  A large one has a tab before its first piece and one behind, as its end is an empty value. */
static void
doveadm_end(const struct output *o, bool large)
{
	bool last = o->at + 1 == o->columns;

	if (o->form == OUTPUT_TAB && large && o->at > 0)
		(void)putchar('\t');
	if (o->form == OUTPUT_PAGER && !large)
		(void)putchar('\n');
	if (o->form == OUTPUT_JSON)
		(void)fputs(last ? "\"}" : "\"", stdout);
	if (last && (o->form == OUTPUT_FLOW || o->form == OUTPUT_VALUES || o->form == OUTPUT_TAB))
		(void)putchar('\n');
}

/* ---- values ---- */

void
output_begin(struct output *o)
{
	const char *name = o->column[o->at].title;

	if (o->doveadm) {
		o->large = true;
		doveadm_begin(o, true);
		return;
	}
	switch (o->form) {
	case OUTPUT_FLOW: (void)printf("%s%s=", o->at > 0 ? " " : "", name); break;
	case OUTPUT_VALUES: (void)fputs(o->at > 0 ? " " : "", stdout); break;
	case OUTPUT_TAB: (void)fputs(o->at > 0 ? "\t" : "", stdout); break;
	case OUTPUT_PAGER:
		(void)printf("%s%s: ", o->at == 0 && o->rows > 0 ? "\f\n" : "", name);
		break;
	case OUTPUT_JSON:
		(void)printf("%s\"%s\": \"",
		             o->at > 0     ? ", "
		             : o->rows > 0 ? ",\n {"
		                           : "\n {",
		             name);
		break;
	case OUTPUT_TABLE:
	case OUTPUT_FORMS: break;
	}
}

/* What is not UTF-8 is shown by U+FFFD, its own sign for that. */
static void
json_piece(struct output *o, struct bytes text, bool last)
{
	static const char short_of[] = "\b\f\n\r\t";
	const char       *at;

	buffer_add(&o->half, text);
	text = buffer_bytes(&o->half);
	while (text.len > 0) {
		uint32_t rune = 0;
		size_t   n = bytes_utf8(text, &rune);
		if (n == 0 && !last && text.len < 4 && (unsigned char)text.at[0] >= 0xc0)
			break;
		if (n == 0)
			(void)fputs("\\ufffd", stdout);
		else if (rune == '"' || rune == '\\')
			(void)printf("\\%c", (int)rune);
		else if ((at = memchr(short_of, (int)rune, sizeof short_of - 1)) != NULL &&
		         rune < 0x20)
			(void)printf("\\%c", "bfnrt"[at - short_of]);
		else if (rune < 0x20 || (rune == 0x7f && !o->doveadm) || rune == 0x2028 ||
		         rune == 0x2029)
			(void)printf("\\u%04x", rune);
		else
			(void)fwrite(text.at, 1, n, stdout);
		text = bytes_cut(text, n == 0 ? 1 : n, text.len);
	}
	buffer_eat(&o->half, o->half.len - text.len);
}

/* Tabs and line ends within a value, as doveadm escapes them. */
static void
tab_piece(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		if (c == '\t' || c == '\n' || c == '\r' || c == 1 || c == '\0')
			(void)printf("\001%c", c == '\t'   ? 't'
			                       : c == '\n' ? 'n'
			                       : c == '\r' ? 'r'
			                       : c == 1    ? '1'
			                                   : '0');
		else
			(void)putchar(c);
	}
}

void
output_piece(struct output *o, struct bytes text)
{
	if (text.len == 0)
		return;
	if (o->doveadm && o->large && !o->piece && o->form == OUTPUT_TAB && o->at > 0)
		(void)putchar('\t');
	o->piece = true;
	o->broken_before = text.at[text.len - 1] == '\n';
	if (o->form == OUTPUT_JSON)
		json_piece(o, text, false);
	else if (o->form == OUTPUT_TAB && !o->doveadm)
		tab_piece(text);
	else if (o->form == OUTPUT_TABLE)
		buffer_add(&o->cells, text);
	else
		command_print(text, stdout);
}

static void
end(struct output *o, bool large)
{
	bool last = o->at + 1 == o->columns;

	if (o->form == OUTPUT_JSON)
		json_piece(o, (struct bytes){ NULL, 0 }, true);
	if (o->form == OUTPUT_TABLE)
		buffer_add_char(&o->cells, '\0');
	if (o->doveadm)
		doveadm_end(o, large);
	else
		switch (o->form) {
		case OUTPUT_JSON: (void)fputs(last ? "\"}" : "\"", stdout); break;
		case OUTPUT_PAGER: (void)fputs(o->broken_before ? "" : "\n", stdout); break;
		case OUTPUT_FLOW:
		case OUTPUT_TAB:
		case OUTPUT_VALUES:
			(void)fputs(last && !o->broken_before ? "\n" : "", stdout);
			break;
		case OUTPUT_TABLE:
		case OUTPUT_FORMS: break;
		}
	o->broken_before = o->large = o->piece = false;
	o->at = last ? 0 : o->at + 1;
	o->rows += last;
}

void
output_end(struct output *o)
{
	end(o, true);
}

void
output_value(struct output *o, struct bytes text)
{
	if (o->doveadm)
		doveadm_begin(o, false);
	else
		output_begin(o);
	output_piece(o, text);
	end(o, false);
}

void
output_text(struct output *o, const char *form, ...)
{
	struct buffer b = { 0 };
	va_list       list;

	va_start(list, form);
	buffer_vprintf(&b, form, list);
	va_end(list);
	output_value(o, buffer_bytes(&b));
	buffer_free(&b);
}

/* ---- tables ---- */

/* How many columns of a terminal a character takes: two of those of East Asia (UAX #11, W and F), none of what joins the one before. */
static int
width_of_rune(uint32_t rune)
{
	static const struct {
		uint32_t from, to;
		int      width;
	} ranges[] = {
		{ 0x0300, 0x036f, 0 },   { 0x1100, 0x115f, 2 },   { 0x200b, 0x200f, 0 },
		{ 0x2e80, 0x303e, 2 },   { 0x3041, 0x33ff, 2 },   { 0x3400, 0x4dbf, 2 },
		{ 0x4e00, 0xa4cf, 2 },   { 0xa960, 0xa97c, 2 },   { 0xac00, 0xd7a3, 2 },
		{ 0xf900, 0xfaff, 2 },   { 0xfe00, 0xfe0f, 0 },   { 0xfe30, 0xfe6f, 2 },
		{ 0xff01, 0xff60, 2 },   { 0xffe0, 0xffe6, 2 },   { 0x1f300, 0x1f64f, 2 },
		{ 0x1f900, 0x1f9ff, 2 }, { 0x20000, 0x3fffd, 2 },
	};

	for (size_t i = 0; i < COUNT(ranges); i++)
		if (rune >= ranges[i].from && rune <= ranges[i].to)
			return ranges[i].width;
	return 1;
}

/* Columns, for the eye. */
static int
width_of(const char *text)
{
	struct bytes rest = bytes_of(text);
	int          n = 0;

	while (rest.len > 0) {
		uint32_t rune = 0;
		size_t   len = bytes_utf8(rest, &rune);

		n += len == 0 ? 1 : width_of_rune(rune);
		rest = bytes_cut(rest, len == 0 ? 1 : len, rest.len);
	}
	return n < WIDTH_MOST ? n : WIDTH_MOST;
}

static void
print_cell(const struct output *o, size_t at, const char *text, int width)
{
	bool last = at + 1 == o->columns, right = o->column[at].right;
	int  n = last && !o->doveadm ? 0 : width - width_of(text);

	if (right)
		(void)printf("%*s", n > 0 ? n : 0, "");
	for (; *text != '\0'; text++)
		(void)putchar((unsigned char)*text < 0x20 ? ' ' : *text);
	if (!right)
		(void)printf("%*s", n > 0 ? n : 0, "");
	(void)putchar(last ? '\n' : ' ');
}

/* doveadm gives its last column half of what is left of the line, or takes off what is too much. */
static void
fit_last(const struct output *o, int *width)
{
	int sum = (int)o->columns - 1, *last = &width[o->columns - 1];

	for (size_t i = 0; i < o->columns; i++)
		sum += width[i];
	if (o->doveadm)
		*last += sum < DOVEADM_WIDTH ? (DOVEADM_WIDTH - sum) / 2 : DOVEADM_WIDTH - sum;
}

static void
print_table(const struct output *o)
{
	int        *width = memory_take(o->columns * sizeof *width);
	const char *cell = o->cells.at, *end = cell + o->cells.len;
	bool        titled = false;

	for (size_t i = 0; i < o->columns; i++) {
		width[i] = width_of(o->column[i].title);
		titled |= !o->column[i].untitled;
	}
	for (size_t i = 0; cell < end; cell += strlen(cell) + 1, i = (i + 1) % o->columns)
		if (width_of(cell) > width[i])
			width[i] = width_of(cell);
	fit_last(o, width);
	for (size_t i = 0; titled && i < o->columns; i++)
		print_cell(o, i, o->column[i].title, width[i]);
	cell = o->cells.at;
	for (size_t i = 0; cell < end; cell += strlen(cell) + 1, i = (i + 1) % o->columns)
		print_cell(o, i, cell, width[i]);
	memory_free(width);
}

void
output_close(struct output **op)
{
	struct output *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	if (o->form == OUTPUT_TABLE && (o->rows > 0 || o->doveadm))
		print_table(o);
	if (o->form == OUTPUT_JSON && o->doveadm)
		(void)fputs("]", stdout);
	else if (o->form == OUTPUT_JSON)
		(void)fputs(o->rows > 0 ? "\n]\n" : "]\n", stdout);
	buffer_free(&o->cells);
	buffer_free(&o->half);
	memory_free(o->column);
	memory_free(o);
}
