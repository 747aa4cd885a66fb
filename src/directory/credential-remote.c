#include "directory/credential-remote.h"
#include "directory/renaming.h"
#include "directory/scheme.h"
#include <string.h>

struct credential_remote {
	const struct credential_ways *ways;
	void                         *own;
};

static const struct credential_ways *const kinds[CREDENTIAL_KINDS] = {
	[CREDENTIAL_SQL] = &credential_sql,
	[CREDENTIAL_LDAP] = &credential_ldap,
	[CREDENTIAL_SASLAUTHD] = &credential_saslauthd,
	[CREDENTIAL_DOVECOT] = &credential_dovecot,
};

struct credential_remote *
credential_remote_open(const struct credential_backend *b, const struct table_source *source,
                       struct buffer *errors, struct buffer *warnings)
{
	const struct credential_ways *ways = kinds[b->kind];
	struct credential_remote     *r;
	void                         *own;

	if (ways == NULL || (own = ways->open(b->argument, source, errors, warnings)) == NULL)
		return NULL;
	r = memory_take(sizeof *r);
	*r = (struct credential_remote){ ways, own };
	return r;
}

void
credential_remote_close(struct credential_remote **rp)
{
	struct credential_remote *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	r->ways->close(r->own);
	memory_free(r);
}

enum table_outcome
credential_remote_each(struct credential_remote *r, credential_each *each, void *ctx,
                       struct arena *a, const char **why)
{
	*why = "it does not tell who there is";
	return r->ways->each != NULL ? r->ways->each(r->own, each, ctx, a, why) : TABLE_NONE;
}

void
credential_remote_ask(struct credential_remote *r, const struct credential_question *q,
                      struct arena *a, struct credential_answer *out)
{
	*out = (struct credential_answer){ CREDENTIAL_NOBODY, "", { NULL, 0 } };
	/* What no protocol here can carry; and an empty password is none (rfc4513:5.1.2). */
	if (q->user.len == 0 || bytes_find(q->user, '\0') >= 0)
		return;
	if (q->mode == CREDENTIAL_PING) {
		struct credential_question user = *q;

		user.mode = CREDENTIAL_USER;
		(r->ways->ping != NULL ? r->ways->ping : r->ways->ask)(r->own, &user, a, out);
		return;
	}
	if (q->mode != CREDENTIAL_CHECK && !r->ways->tells) {
		out->outcome = CREDENTIAL_CLOSED;
		out->why = "it knows passwords alone";
		return;
	}
	if (q->mode == CREDENTIAL_CHECK &&
	    (q->password.len == 0 || bytes_find(q->password, '\0') >= 0)) {
		out->outcome = CREDENTIAL_FAIL;
		out->why = "password mismatch";
		return;
	}
	r->ways->ask(r->own, q, a, out);
}

void
credential_remote_reach(struct credential_remote *r, struct reach *reach)
{
	r->ways->reach(r->own, reach);
}

void
credential_column(struct buffer *fields, struct bytes name, struct bytes value)
{
	char text[128];

	if (bytes_starts_nocase(name, BYTES("userdb_")))
		name = bytes_cut(name, 7, SIZE_MAX);
	if (name.len == 0 || bytes_find(name, '=') >= 0 || !bytes_string(name, text, sizeof text))
		return;
	for (char *c = text; *c != '\0'; c++)
		*c = ascii_lower(*c);
	credential_field_add(fields, text, value);
}

/* All but the password, or all with a password that names its scheme. */
static struct bytes
fields_told(struct bytes all, const char *scheme, bool secret, struct arena *a)
{
	struct buffer rest = { 0 };
	struct bytes  line, told;

	while (bytes_split(&all, '\n', &line)) {
		if (line.len == 0 || (!secret && bytes_starts(line, BYTES("password="))))
			continue;
		if (bytes_starts(line, BYTES("password=")) &&
		    !bytes_starts(line, BYTES("password={")))
			buffer_printf(&rest, "password={%s}%.*s\n", scheme, (int)line.len - 9,
			              line.at + 9);
		else {
			buffer_add(&rest, line);
			buffer_add_char(&rest, '\n');
		}
	}
	told = arena_keep(a, buffer_bytes(&rest));
	if (rest.len > 0)
		explicit_bzero(rest.at, rest.len);
	buffer_free(&rest);
	return told;
}

void
credential_join(enum table_outcome o, struct bytes user, struct bytes fields, struct arena *a,
                struct credential_answer *out)
{
	struct buffer all = { 0 };

	if (o != TABLE_FOUND) {
		out->outcome = CREDENTIAL_LATER;
		out->why = o == TABLE_NONE ? "the password is right, and there is no such user"
		                           : arena_copy(a, fields);
		return;
	}
	buffer_add(&all, renaming_fields(fields_told(fields, "", false, a), user, a));
	buffer_add(&all, out->fields);
	out->fields = arena_keep(a, buffer_bytes(&all));
	buffer_free(&all);
}

void
credential_conclude(const struct credential_question *q, const char *scheme, struct bytes fields,
                    struct arena *a, struct credential_answer *out)
{
	struct bytes hash, no;

	out->fields = renaming_fields(fields_told(fields, scheme, q->mode == CREDENTIAL_SECRET, a),
	                              q->user, a);
	out->outcome = CREDENTIAL_PASS;
	if (q->mode != CREDENTIAL_CHECK)
		return;
	if (!credential_field(fields, "password", &hash) || hash.len == 0) {
		out->outcome = credential_field(fields, "nopassword", &no) ? CREDENTIAL_PASS
		                                                           : CREDENTIAL_FAIL;
		out->why = "there is no password";
	} else {
		switch (scheme_check(hash, scheme, q->user, q->password, &out->why)) {
		case SCHEME_RIGHT: out->outcome = CREDENTIAL_PASS; break;
		case SCHEME_WRONG:
			out->outcome = CREDENTIAL_FAIL;
			out->why = "password mismatch";
			break;
		case SCHEME_BROKEN: out->outcome = CREDENTIAL_FAIL; break;
		}
	}
}
