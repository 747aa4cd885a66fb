#include "delivery/pipe.h"

#include <string.h>

#include "directory/lookup.h"
#include "message/address.h"

enum { WORDS_ROOM = 128 << 10 };

/* ---- the setting ---- */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next word; one in braces is without them.  NULL at: there is none. */
static bool
word_next(struct bytes *rest, struct bytes *word, const char **why)
{
	size_t n = 0, deep = 0;

	*rest = bytes_trim(*rest);
	if (rest->len == 0)
		return false;
	if (rest->at[0] != '{') {
		while (n < rest->len && !is_blank(rest->at[n]))
			n++;
		*word = bytes_cut(*rest, 0, n);
		*rest = bytes_cut(*rest, n, SIZE_MAX);
		return true;
	}
	do {
		deep += rest->at[n] == '{';
		deep -= rest->at[n] == '}';
		n++;
	} while (n < rest->len && deep > 0);
	if (deep > 0 || (n < rest->len && !is_blank(rest->at[n]))) {
		*why = "a word in braces has no end, or something stands behind its end";
		return false;
	}
	*word = bytes_trim(bytes_cut(*rest, 1, n - 2));
	*rest = bytes_cut(*rest, n, SIZE_MAX);
	return true;
}

static const struct {
	char     letter;
	unsigned flag;
} flags[] = {
	{ 'B', PIPE_BLANK },       { 'D', PIPE_DELIVERED },   { 'F', PIPE_FROM },
	{ 'O', PIPE_ORIGINAL },    { 'R', PIPE_RETURN },      { 'X', PIPE_FINAL },
	{ 'h', PIPE_FOLD_DOMAIN }, { 'q', PIPE_QUOTE },       { 'u', PIPE_FOLD_USER },
	{ '.', PIPE_DOTS },        { '>', PIPE_FROM_QUOTED },
};

static const char *
read_flags(struct bytes value, struct arena *a, struct pipe_command *c)
{
	(void)a;
	for (size_t i = 0; i < value.len; i++) {
		size_t n = 0;
		while (n < COUNT(flags) && flags[n].letter != value.at[i])
			n++;
		if (n == COUNT(flags))
			return "flags= are some of BDFORXhqu.>";
		c->flags |= flags[n].flag;
	}
	return NULL;
}

static const char *
read_user(struct bytes value, struct arena *a, struct pipe_command *c)
{
	ptrdiff_t colon = bytes_find(value, ':');

	(void)a;
	c->user = colon < 0 ? value : bytes_cut(value, 0, (size_t)colon);
	c->group = colon < 0 ? BYTES("") : bytes_cut(value, (size_t)colon + 1, SIZE_MAX);
	return c->user.len == 0 || (colon >= 0 && c->group.len == 0)
	               ? "user= is a user, as vmail, or vmail:GROUP"
	               : NULL;
}

/* \n and its kin, as C has them. */
static const char *
read_eol(struct bytes value, struct arena *a, struct pipe_command *c)
{
	static const char letters[] = "abfnrtv\\", means[] = "\a\b\f\n\r\t\v\\";
	char             *out = arena_take(a, value.len + 1);
	size_t            n = 0;

	for (size_t i = 0; i < value.len; i++) {
		const char *known;
		unsigned    octal = 0, digits = 0;

		if (value.at[i] != '\\') {
			out[n++] = value.at[i];
			continue;
		}
		while (digits < 3 && i + 1 < value.len && value.at[i + 1] >= '0' &&
		       value.at[i + 1] <= '7') {
			octal = octal * 8 + (unsigned)(value.at[++i] - '0');
			digits++;
		}
		if (digits > 0) {
			out[n++] = (char)octal;
			continue;
		}
		known = i + 1 < value.len ? memchr(letters, value.at[i + 1], sizeof letters - 1)
		                          : NULL;
		if (known == NULL)
			return "eol= has \\a \\b \\f \\n \\r \\t \\v \\\\ and up to three octal digits behind a backslash";
		out[n++] = means[known - letters];
		i++;
	}
	c->eol = (struct bytes){ out, n };
	return n > 0 && n <= 16 ? NULL : "eol= is what ends a line, as \\n or \\r\\n";
}

static const char *
read_directory(struct bytes value, struct arena *a, struct pipe_command *c)
{
	(void)a;
	c->directory = value;
	return value.len > 0 && value.at[0] == '/' ? NULL : "directory= is an absolute path";
}

static const char *
read_null_sender(struct bytes value, struct arena *a, struct pipe_command *c)
{
	(void)a;
	c->null_sender = value;
	return NULL;
}

static const char *
read_size(struct bytes value, struct arena *a, struct pipe_command *c)
{
	uint64_t n;

	(void)a;
	if (!bytes_number(value, &n) || n > INT64_MAX)
		return "size= is a number of bytes";
	c->size_most = (int64_t)n;
	return NULL;
}

static const char *
read_chroot(struct bytes value, struct arena *a, struct pipe_command *c)
{
	(void)value;
	(void)a;
	(void)c;
	return "chroot= needs root, and nothing that is given a letter has it: let the command change its root by a program of its own";
}

static const struct {
	const char *name;
	const char *(*read)(struct bytes, struct arena *, struct pipe_command *);
} attributes[] = {
	{ "flags", read_flags },
	{ "user", read_user },
	{ "directory", read_directory },
	{ "eol", read_eol },
	{ "null_sender", read_null_sender },
	{ "size", read_size },
	{ "chroot", read_chroot },
};

static size_t macro_at(struct bytes text, struct bytes *name);
static bool   is_known(struct bytes name);

/* A word asks for nothing that nobody knows. */
static bool
is_fit(struct bytes word)
{
	for (size_t i = 0, n; i < word.len; i += n) {
		struct bytes rest = bytes_cut(word, i, SIZE_MAX), name;

		n = 1;
		if (word.at[i] != '$')
			continue;
		if (rest.len > 1 && rest.at[1] == '$')
			n = 2;
		else if ((n = macro_at(rest, &name)) == 0 || !is_known(name))
			return false;
	}
	return true;
}

/* The first word of a command is the program, and no guess is made where it lies. */
static const char *
argv_fault(struct bytes argv, struct arena *a)
{
	const char  *why = NULL;
	struct bytes rest = argv, word = { NULL, 0 }, program = { NULL, 0 };
	size_t       n = 0;

	while (word_next(&rest, &word, &why)) {
		if (n++ == 0)
			program = word;
		if (!is_fit(word))
			return arena_printf(
				a,
				"argv= has \"%.*s\": write $recipient, $original_recipient, $user, "
				"$extension, $mailbox, $domain, $sender, $nexthop, $size, $queue_id, "
				"$envid, $client_address, $client_hostname, $client_helo, "
				"$client_protocol, $client_port, $sasl_method, $sasl_sender or "
				"$sasl_username, and $$ for a dollar",
				(int)word.len, word.at);
	}
	if (why != NULL)
		return why;
	if (program.len == 0 || program.at[0] != '/')
		return "argv= begins with the program, an absolute path as /usr/bin/maildrop";
	return n > PIPE_WORDS_MOST / 2 ? "argv= has too many words" : NULL;
}

bool
pipe_read(struct bytes text, struct arena *a, struct pipe_command *c, const char **why)
{
	struct bytes rest = text, word, name, value;

	*c = (struct pipe_command){ .eol = BYTES("\n"), .null_sender = BYTES("MAILER-DAEMON") };
	*why = NULL;
	for (;;) {
		size_t n = 0;

		rest = bytes_trim(rest);
		if (bytes_starts(rest, BYTES("argv="))) {
			c->argv = bytes_trim(bytes_cut(rest, 5, SIZE_MAX));
			*why = argv_fault(c->argv, a);
			break;
		}
		if (!word_next(&rest, &word, why))
			break;
		value = word;
		if (bytes_find(word, '=') < 0) {
			*why = "a pipe is told by flags=, user=, directory=, eol=, null_sender=, size= and, as the last, argv=";
			break;
		}
		(void)bytes_split(&value, '=', &name);
		value = bytes_trim(value);
		while (n < COUNT(attributes) &&
		       !bytes_equal(bytes_trim(name), bytes_of(attributes[n].name)))
			n++;
		*why = n < COUNT(attributes)
		               ? attributes[n].read(value, a, c)
		               : "a pipe is told by flags=, user=, directory=, eol=, null_sender=, size= and, as the last, argv=";
		if (*why != NULL)
			break;
	}
	if (*why == NULL && c->argv.len == 0)
		*why = "there is no argv=, the command";
	if (*why == NULL && c->user.len == 0)
		*why = "there is no user=, under whose name the command runs";
	return *why == NULL;
}

/* ---- what the command is told ---- */

/* An address in the parts that the flags fold and quote. */
struct parts {
	struct bytes local, domain, user, extension, whole;
};

static struct bytes
folded(struct arena *a, struct bytes b, bool fold)
{
	return fold ? arena_lower(a, b) : b;
}

/* Unquoted: what needs quotes has them only where the flag asks for them. */
static struct parts
parts_of(const struct pipe_command *c, struct bytes address, const char *delimiters,
         struct arena *a)
{
	struct address parsed;
	struct parts   p;
	ptrdiff_t      at = bytes_find_last(address, '@');
	bool           plain = !address_parse(address, a, &parsed);

	p.local = plain ? (at < 0 ? address : bytes_cut(address, 0, (size_t)at)) : parsed.local;
	p.domain = at < 0 ? BYTES("") : bytes_cut(address, (size_t)at + 1, SIZE_MAX);
	p.local = folded(a, p.local, (c->flags & PIPE_FOLD_USER) != 0);
	p.domain = folded(a, p.domain, (c->flags & PIPE_FOLD_DOMAIN) != 0);
	p.user = p.local;
	if (lookup_split(p.local, bytes_of(delimiters), &p.user, &p.extension))
		p.extension = bytes_cut(p.extension, 1, SIZE_MAX);
	if ((c->flags & PIPE_QUOTE) != 0 && !plain)
		p.whole = address_text(a, &(struct address){ p.local, p.domain });
	else
		p.whole = bytes_of(arena_printf(a, "%.*s%s%.*s", (int)p.local.len, p.local.at,
		                                at < 0 ? "" : "@", (int)p.domain.len, p.domain.at));
	return p;
}

struct bytes
pipe_sender(const struct pipe_command *c, struct bytes sender)
{
	return sender.len > 0 ? sender : c->null_sender;
}

/* Everything a word may ask for. */
struct telling {
	const struct pipe_command *command;
	const struct pipe_facts   *facts;
	struct arena              *arena;
	struct parts               sender, recipient, original;
};

enum { OF_EACH = 1, NO_SUCH = 2, DASH = 4 };

/* What a name stands for, and whether there is one for each recipient. */
static unsigned
value_of(const struct telling *t, struct bytes name, struct bytes *out)
{
	const struct pipe_facts *f = t->facts;
	const struct {
		const char  *name;
		struct bytes value;
		unsigned     each;
	} known[] = {
		{ "recipient", t->recipient.whole, OF_EACH },
		{ "original_recipient", t->original.whole, OF_EACH },
		{ "user", t->recipient.user, OF_EACH },
		{ "extension", t->recipient.extension, OF_EACH },
		{ "mailbox", t->recipient.local, OF_EACH },
		{ "domain", t->recipient.domain, OF_EACH },
		{ "sender", t->sender.whole, 0 },
		{ "nexthop", f->nexthop, 0 },
		{ "queue_id", f->queue_id, 0 },
		{ "envid", f->envid, 0 },
		{ "client_address", f->client_address, 0 },
		{ "client_hostname", f->client_hostname, 0 },
		{ "client_helo", f->client_helo, 0 },
		{ "client_protocol", f->client_protocol, 0 },
		{ "client_port", f->client_port, 0 },
		{ "sasl_method", f->sasl_method, 0 },
		{ "sasl_sender", f->sasl_sender, 0 },
		{ "sasl_username", f->sasl_username, 0 },
	};

	for (size_t i = 0; i < COUNT(known); i++)
		if (bytes_equal(name, bytes_of(known[i].name))) {
			*out = known[i].value;
			return known[i].each;
		}
	if (!bytes_equal(name, BYTES("size")))
		return NO_SUCH;
	*out = bytes_of(arena_printf(t->arena, "%llu", (unsigned long long)f->size));
	return 0;
}

static bool
is_known(struct bytes name)
{
	static const struct pipe_command none;
	static const struct pipe_facts   nothing;
	struct arena                    *a = arena_open(NULL);
	struct telling                   t = { .command = &none, .facts = &nothing, .arena = a };
	struct bytes                     value;
	bool                             known = value_of(&t, name, &value) != NO_SUCH;

	arena_close(&a);
	return known;
}

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* $name, ${name} and $(name) at the front of `text`; how long it is, 0: broken. */
static size_t
macro_at(struct bytes text, struct bytes *name)
{
	char   open = text.len > 1 ? text.at[1] : '\0';
	size_t from = open == '{' || open == '(' ? 2 : 1, n = from;

	while (n < text.len && is_name_char(text.at[n]))
		n++;
	*name = bytes_cut(text, from, n - from);
	if (name->len == 0)
		return 0;
	if (from == 1)
		return n;
	return n < text.len && text.at[n] == (open == '{' ? '}' : ')') ? n + 1 : 0;
}

/* One word with everything put in, its NUL behind.  OF_EACH: it asked for something of the recipient.  DASH: it begins with
   a hyphen that was not in the settings. */
static unsigned
word_told(const struct telling *t, struct bytes word, struct buffer *out)
{
	unsigned     all = 0, one;
	size_t       begins = out->len;
	struct bytes name, value = { NULL, 0 };

	for (size_t i = 0, n; i < word.len; i += n) {
		n = 1;
		if (word.at[i] != '$') {
			buffer_add_char(out, word.at[i]);
			continue;
		}
		if (i + 1 < word.len && word.at[i + 1] == '$') {
			buffer_add_char(out, '$');
			n = 2;
			continue;
		}
		if ((n = macro_at(bytes_cut(word, i, SIZE_MAX), &name)) == 0)
			return NO_SUCH;
		if ((one = value_of(t, name, &value)) == NO_SUCH)
			return NO_SUCH;
		all |= one;
		for (size_t k = 0; k < value.len; k++)
			if (value.at[k] == '-' && out->len == begins)
				return DASH;
			else if (value.at[k] != '\0')
				buffer_add_char(out, value.at[k]);
	}
	buffer_add_char(out, '\0');
	return all;
}

/* An address that a command would take for an option: nobody gets mail so (Postfix's allow_min_user). */
static const char *
dash_fault(const struct pipe_facts *f)
{
	if (f->sender.len > 0 && f->sender.at[0] == '-')
		return "the sender begins with a hyphen, which a command takes for an option";
	for (size_t i = 0; i < f->recipients; i++)
		if (f->recipient[i].address.len > 0 && f->recipient[i].address.at[0] == '-')
			return "the address begins with a hyphen, which a command takes for an option";
	return NULL;
}

static void
tell_of(struct telling *t, size_t recipient)
{
	const struct pipe_facts *f = t->facts;

	if (recipient >= f->recipients)
		return;
	t->recipient =
		parts_of(t->command, f->recipient[recipient].address, f->delimiters, t->arena);
	t->original =
		parts_of(t->command, f->recipient[recipient].original, f->delimiters, t->arena);
}

bool
pipe_words(const struct pipe_command *c, const struct pipe_facts *f, struct arena *a,
           struct buffer *out, const char **why)
{
	struct bytes      rest = c->argv, word;
	struct pipe_facts facts = *f;
	struct telling    t = { .command = c, .facts = &facts, .arena = a };

	*why = dash_fault(f);
	if (*why != NULL)
		return false;
	facts.nexthop = folded(a, f->nexthop, (c->flags & PIPE_FOLD_DOMAIN) != 0);
	t.sender.whole = pipe_sender(c, f->sender);
	if ((c->flags & PIPE_QUOTE) == 0 && f->sender.len > 0)
		t.sender = parts_of(&(struct pipe_command){ 0 }, f->sender, "", a);
	tell_of(&t, 0);
	while (*why == NULL && word_next(&rest, &word, why)) {
		unsigned kind = word_told(&t, word, out);

		if (kind == NO_SUCH)
			*why = arena_printf(a, "\"%.*s\" asks for what nobody knows here",
			                    (int)word.len, word.at);
		for (size_t i = 1; kind == OF_EACH && i < f->recipients; i++) {
			tell_of(&t, i);
			kind = word_told(&t, word, out);
		}
		if (f->recipients > 1)
			tell_of(&t, 0);
		if (kind == DASH)
			*why = arena_printf(
				a,
				"\"%.*s\" would begin with a hyphen, which a command takes for an option",
				(int)word.len, word.at);
		if (out->len > WORDS_ROOM)
			*why = "the command is too long";
	}
	return *why == NULL;
}

/* ---- before the letter ---- */

void
pipe_head(const struct pipe_command *c, const struct pipe_facts *f, struct buffer *out)
{
	struct bytes sender = pipe_sender(c, f->sender), original;

	if ((c->flags & PIPE_RETURN) != 0)
		buffer_printf(out, "Return-Path: <%.*s>\r\n", (int)sender.len, sender.at);
	if (f->recipients == 0)
		return;
	original = f->recipient[0].original;
	if ((c->flags & PIPE_ORIGINAL) != 0 && original.len > 0)
		buffer_printf(out, "X-Original-To: %.*s\r\n", (int)original.len, original.at);
	if ((c->flags & PIPE_DELIVERED) != 0)
		buffer_printf(out, "Delivered-To: %.*s\r\n", (int)f->recipient[0].address.len,
		              f->recipient[0].address.at);
}
