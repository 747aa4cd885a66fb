/* template -- %s, %u, %d and their kin in questions and results */

#include <string.h>

#include "base/variable.h"
#include "directory/remote.h"

/*
 * Parsing
 */

struct parse {
	struct template     *t;
	enum template_of     of;
	enum template_quotes quotes;
	char                 open;    /* the quote we are in, or 0                */
	bool                 escapes; /* backslashes count in it (E'...')       */
};

static void
add_piece(struct parse *p, char what, struct bytes text)
{
	if (what != '\0' || text.len > 0)
		p->t->piece[p->t->count++] = (struct template_piece){ what, p->open, text };
}

/* Where the quotes of SQL stand; a doubled one closes and opens again. */
static void
follow_quotes(struct parse *p, const char *text, size_t i)
{
	char c = text[i];

	if (p->quotes == QUOTES_PLAIN || (c != '\'' && c != '"'))
		return;
	if (p->open == '\0') {
		p->open = c;
		p->escapes = p->quotes == QUOTES_PGSQL && i > 0 && ascii_lower(text[i - 1]) == 'e';
	} else if (p->open == c) {
		p->open = '\0';
	}
}

/* SQL without quotes around a key is a program that a stranger writes. */
static const char *
check_quoted(const struct parse *p)
{
	if (p->quotes == QUOTES_PLAIN || p->open == '\'')
		return p->escapes ? "write '...' instead of E'...' around an expansion" : NULL;
	if (p->open == '"' && p->quotes != QUOTES_PGSQL)
		return NULL;
	return "an expansion stands outside of quotes; write '%s', with quotes around it";
}

static void
note_needs(struct parse *p, char c)
{
	struct template *t = p->t;
	bool             of_key = p->of == TEMPLATE_QUESTION || (c >= 'A' && c <= 'Z');
	unsigned        *needs = of_key || (c >= '1' && c <= '9') ? &t->key_needs : &t->value_needs;

	if (ascii_lower(c) == 'u')
		*needs |= TEMPLATE_USER;
	else if (ascii_lower(c) == 'd')
		*needs |= TEMPLATE_DOMAIN;
	else if (c >= '1' && c <= '9') {
		*needs |= TEMPLATE_DOMAIN;
		if ((unsigned)(c - '0') > t->labels)
			t->labels = (unsigned)(c - '0');
	}
}

const char *
template_parse(struct template *t, struct bytes text, enum template_of of,
               enum template_quotes quotes, struct arena *life)
{
	struct parse p = { .t = t, .of = of, .quotes = quotes };
	size_t       from = 0, most = 2;
	const char  *wrong = NULL, *all = arena_copy(life, text);

	if (text.len == 0)
		return "it is missing or empty; write what is to be asked, with %s for the key";
	for (size_t i = 0; i < text.len; i++)
		most += text.at[i] == '%' || text.at[i] == '\'' || text.at[i] == '"' ? 2 : 0;
	*t = (struct template){ .piece = arena_take_array(life, most, sizeof *t->piece) };
	for (size_t i = 0; i < text.len && wrong == NULL; i++) {
		if (all[i] == '\\' && quotes == QUOTES_MYSQL && p.open != '\0') {
			i++;
			continue;
		}
		follow_quotes(&p, all, i);
		if (all[i] != '%')
			continue;
		char c = all[i + 1];
		add_piece(&p, '\0', bytes_cut((struct bytes){ all, text.len }, from, i - from));
		from = i + 2;
		i++;
		if (c == '%')
			add_piece(&p, '\0', BYTES("%"));
		else if (c == '\0' || strchr("sudSUD123456789", c) == NULL)
			wrong = arena_printf(
				life,
				"%%%c is no expansion; there are %%s %%u %%d %%S %%U %%D "
				"%%1 to %%9, and %%%% for a %%",
				c == '\0' || c < ' ' ? ' ' : c);
		else if ((wrong = check_quoted(&p)) == NULL) {
			note_needs(&p, c);
			add_piece(&p, c, (struct bytes){ NULL, 0 });
		}
	}
	if (wrong == NULL)
		add_piece(&p, '\0', bytes_cut((struct bytes){ all, text.len }, from, text.len));
	return wrong;
}

const char *
template_of_dovecot(const char *text, struct arena *life)
{
	struct buffer out = { 0 };
	const char   *made = NULL;
	bool          good = true;

	for (const char *c = variable_shorten(text, life); *c != '\0' && good; c++) {
		buffer_add_char(&out, *c);
		if (*c != '%')
			continue;
		c += c[1] == 'L' ? 2 : 1;
		good = *c != '\0' && strchr("und%", *c) != NULL;
		if (good)
			buffer_add_char(&out, (char)(*c == 'u' ? 's' : *c == 'n' ? 'u' : *c));
	}
	if (good)
		made = arena_copy(life, buffer_bytes(&out));
	buffer_free(&out);
	return made;
}

/*
 * Expanding
 */

struct address {
	struct bytes whole, user, domain;
	bool         at; /* there is an @ */
};

static struct address
address_of(struct bytes whole)
{
	ptrdiff_t at = bytes_find_last(whole, '@');

	if (at < 0)
		return (struct address){ whole, whole, { NULL, 0 }, false };
	return (struct address){ whole, bytes_cut(whole, 0, (size_t)at),
		                 bytes_cut(whole, (size_t)at + 1, whole.len), true };
}

static bool
has(const struct address *a, unsigned needs)
{
	return ((needs & TEMPLATE_DOMAIN) == 0 || a->domain.len > 0) &&
	       ((needs & TEMPLATE_USER) == 0 || a->user.len > 0);
}

/* The n-th label from the right, of those that are not empty; empty when there are fewer. */
static struct bytes
label(struct bytes domain, unsigned n)
{
	struct bytes rest = domain, one = { NULL, 0 };

	for (unsigned i = 0; i < n && rest.len > 0; i += one.len > 0) {
		ptrdiff_t dot = bytes_find_last(rest, '.');
		one = bytes_cut(rest, (size_t)(dot + 1), rest.len);
		rest = bytes_cut(rest, 0, dot < 0 ? 0 : (size_t)dot);
		if (i + 1 == n && one.len > 0)
			return one;
	}
	return (struct bytes){ NULL, 0 };
}

static struct bytes
part_of(const struct address *a, char what)
{
	char c = ascii_lower(what);

	return c == 's'   ? a->whole
	       : c == 'u' ? a->user
	       : c == 'd' ? a->domain
	                  : label(a->domain, (unsigned)(what - '0'));
}

bool
template_expand(const struct template *t, struct bytes value, const struct bytes *key,
                template_quote *quote, void *ctx, struct buffer *out)
{
	struct address v = address_of(value), k = address_of(key != NULL ? *key : value);

	if (!has(&k, t->key_needs) || !has(&v, t->value_needs) ||
	    (t->labels > 0 && label(k.domain, t->labels).len == 0))
		return false;
	for (size_t i = 0; i < t->count; i++) {
		const struct template_piece *p = &t->piece[i];
		bool                         of_value = p->what >= 'a' && p->what <= 'z';
		if (p->what == '\0')
			buffer_add(out, p->text);
		else if (quote == NULL)
			buffer_add(out, part_of(of_value ? &v : &k, p->what));
		else if (!quote(ctx, p->quote, part_of(of_value ? &v : &k, p->what), out))
			return false;
	}
	return true;
}
