#include "smtp/grammar.h"

#include <string.h>

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_solid(char c)
{
	return !is_blank(c);
}

/* The characters of an atom, rfc5322:3.2.3, and the dot. */
static bool
is_local_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr(".!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

struct bytes
command_verb(struct bytes *line)
{
	struct scan  r = scan_of(*line);
	struct bytes verb;

	(void)scan_while(&r, is_blank);
	verb = scan_while(&r, is_solid);
	*line = bytes_trim(r.rest);
	return verb;
}

bool
helo_valid(struct bytes name)
{
	if (name.len == 0 || name.len > 255)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] <= ' ' || name.at[i] > '~' ||
		    strchr("()<>\"\\;", name.at[i]) != NULL)
			return false;
	return true;
}

/* A name alone, with or without brackets: "<jill>" or "jill".  It is not in the
   grammar of rfc5321:4.1.2, but people type it, and it means a user of ours. */
static bool
bare_name(struct scan *r, struct arena *a, struct address *out)
{
	struct scan  try = *r;
	bool         brackets;
	struct bytes name;

	(void)scan_while(&try, is_blank);
	brackets = scan_skip(&try, '<');
	name = scan_while(&try, is_local_char);
	if (name.len == 0 || name.len > 64 || bytes_is(name, "postmaster"))
		return false;
	if (brackets && !scan_skip(&try, '>'))
		return false;
	if (try.rest.len > 0 && !is_blank(try.rest.at[0]))
		return false;
	out->local = arena_keep(a, name);
	out->domain = BYTES("");
	*r = try;
	return true;
}

static bool
read_path(struct scan *r, bool strict, struct arena *a, struct address *out, bool *bare)
{
	*bare = !strict && bare_name(r, a, out);
	return *bare || path_parse(r, strict ? PATH_STRICT : PATH_LENIENT, a, out);
}

/*
 * Parameters: esmtp-param = esmtp-keyword ["=" esmtp-value]
 */
struct parameter {
	const char *name;
	const char *(*take)(struct mail_command *, struct bytes value); /* NULL, or the reply */
};

static const char *
take_size(struct mail_command *m, struct bytes value)
{
	/* rfc1870:6 size-value ::= 1*20DIGIT */
	if (value.len > 20 || !bytes_number(value, &m->size))
		return "501 5.5.4 Bad message size syntax";
	m->has_size = true;
	return NULL;
}

static const char *
take_body(struct mail_command *m, struct bytes value)
{
	if (!bytes_is(value, "7BIT") && !bytes_is(value, "8BITMIME"))
		return "501 5.5.4 Syntax: BODY=7BIT or BODY=8BITMIME";
	m->eight_bit = bytes_is(value, "8BITMIME");
	return NULL;
}

/* rfc4954:5: an identity a trusted client tells.  It is heard and not believed. */
static const char *
take_auth(struct mail_command *m, struct bytes value)
{
	(void)m;
	return value.len == 0 || value.len > 500 ? "501 5.5.4 Bad AUTH parameter syntax" : NULL;
}

/* clang-format off */
static const struct parameter mail_parameters[] = {
	{ "SIZE", take_size },
	{ "BODY", take_body },
	{ "AUTH", take_auth },
};
/* clang-format on */

static const char *
read_parameters(struct scan *r, struct mail_command *m)
{
	while (scan_while(r, is_blank).len > 0 || r->rest.len > 0) {
		struct bytes            word = scan_while(r, is_solid), name;
		const struct parameter *p = NULL;
		const char             *wrong;

		if (word.len == 0)
			break;
		if (!bytes_split(&word, '=', &name))
			return "501 5.5.4 Syntax error in parameters";
		for (size_t i = 0; m != NULL && i < COUNT(mail_parameters); i++)
			if (bytes_is(name, mail_parameters[i].name))
				p = &mail_parameters[i];
		if (p == NULL)
			return "555 5.5.4 Unsupported option"; /* rfc5321:4.1.1.11 */
		if ((wrong = p->take(m, word)) != NULL)
			return wrong;
	}
	return NULL;
}

/* mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]      rfc5321:4.1.1.2 */
bool
mail_parse(struct bytes line, bool strict, struct arena *a, struct mail_command *m,
           const char **reply)
{
	struct scan r = scan_of(line);

	memset(m, 0, sizeof *m);
	if (!scan_skip_word(&r, "FROM:")) {
		*reply = "501 5.5.4 Syntax: MAIL FROM:<address>";
		return false;
	}
	if (!read_path(&r, strict, a, &m->sender, &m->bare)) {
		*reply = "501 5.1.7 Bad sender address syntax";
		return false;
	}
	return (*reply = read_parameters(&r, m)) == NULL;
}

/* rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
          [SP Rcpt-parameters]                                rfc5321:4.1.1.3 */
bool
rcpt_parse(struct bytes line, bool strict, struct arena *a, struct rcpt_command *c,
           const char **reply)
{
	struct scan r = scan_of(line);

	memset(c, 0, sizeof *c);
	if (!scan_skip_word(&r, "TO:")) {
		*reply = "501 5.5.4 Syntax: RCPT TO:<address>";
		return false;
	}
	if (!read_path(&r, strict, a, &c->recipient, &c->bare) || c->recipient.local.len == 0) {
		*reply = "501 5.1.3 Bad recipient address syntax";
		return false;
	}
	return (*reply = read_parameters(&r, NULL)) == NULL;
}
