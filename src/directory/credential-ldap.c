/* credential-ldap.c -- ldap:/path.cf: the server compares, by a bind, or gives what we compare */
#include "directory/credential-remote.h"

#ifdef MANSIO_LDAP

#include <string.h>
#include <sys/time.h>

#include "directory/remote-ldap.h"
#include "directory/renaming.h"

/* The file twice: asked for passwords, and for users where it has user_filter. */
struct ldap_users {
	struct ldap *passwords, *users;
};

/* One question on its way. */
struct searching {
	struct ldap                      *t;
	const struct credential_question *q;
	bool                              ping;
	struct arena                     *a;
	struct credential_answer         *out;
};

static void
tell(struct searching *s, enum credential_outcome o, const char *why)
{
	s->out->outcome = o;
	s->out->why = why;
}

/* The connection is the user's then: who asks next must bind anew. */
static int
bind_as(struct searching *s, LDAP *ld, const char *dn)
{
	struct berval password = { s->q->password.len, (char *)(uintptr_t)s->q->password.at };
	int           n = ldap_sasl_bind_s(ld, dn, LDAP_SASL_SIMPLE, &password, NULL, NULL, NULL);

	switch (n) {
	case LDAP_SUCCESS: tell(s, CREDENTIAL_PASS, ""); break;
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_INAPPROPRIATE_AUTH: tell(s, CREDENTIAL_FAIL, "password mismatch"); break;
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INVALID_DN_SYNTAX: tell(s, CREDENTIAL_NOBODY, ""); break;
	case LDAP_UNWILLING_TO_PERFORM:
	case LDAP_CONSTRAINT_VIOLATION:
	case LDAP_INSUFFICIENT_ACCESS:
		tell(s, CREDENTIAL_CLOSED, "the server does not let this account bind");
		break;
	default: tell(s, CREDENTIAL_LATER, ldap_err2string(n)); return n;
	}
	return LDAP_SUCCESS;
}

static bool
as_it_is(void *ctx, char quote, struct bytes in, struct buffer *out)
{
	(void)ctx;
	(void)quote;
	buffer_add(out, in);
	return true;
}

/* "=home=/srv/mail/%d/%n" */
static void
add_text(struct searching *s, struct bytes field, struct buffer *fields)
{
	struct template t = { .count = 0 };
	struct buffer b = { 0 };
	struct bytes  name;
	const char   *text;

	if (bytes_split(&field, '=', &name) &&
	    (text = template_of_dovecot(arena_copy(s->a, field), s->a)) != NULL &&
	    template_parse(&t, bytes_of(text), TEMPLATE_QUESTION, QUOTES_PLAIN, s->a) == NULL &&
	    template_expand(&t, s->q->user, NULL, as_it_is, NULL, &b))
		credential_column(fields, name, buffer_bytes(&b));
	buffer_free(&b);
}

/* "uid=user": the values of an attribute under the name of a field */
static void
add_attribute(struct searching *s, LDAP *ld, LDAPMessage *entry, const char *pair,
              struct buffer *fields)
{
	struct bytes    name, field = bytes_of(pair);
	struct berval **value;

	if (!bytes_split(&field, '=', &name) || field.len == 0)
		return;
	if (name.len == 0) {
		add_text(s, field, fields);
		return;
	}
	value = ldap_get_values_len(ld, entry, arena_copy(s->a, name));
	for (size_t i = 0; value != NULL && value[i] != NULL; i++)
		credential_column(fields, field,
		                  (struct bytes){ value[i]->bv_val, value[i]->bv_len });
	if (value != NULL)
		ldap_value_free_len(value);
}

/* One entry is the user; two are a mistake nobody may log in by. */
static int
take_entry(struct searching *s, LDAP *ld, LDAPMessage *found)
{
	LDAPMessage  *entry = ldap_first_entry(ld, found);
	struct buffer fields = { 0 };
	char         *dn;
	int           n = LDAP_SUCCESS;

	if (entry == NULL) {
		tell(s, CREDENTIAL_NOBODY, "");
		return n;
	}
	if (ldap_count_entries(ld, found) > 1) {
		tell(s, CREDENTIAL_LATER, "more than one entry fits pass_filter");
		return n;
	}
	for (size_t i = 0; i < s->t->is.pass_attrs.count; i++)
		if (!s->t->is.auth_bind || strstr(s->t->is.pass_attrs.item[i], "=password") == NULL)
			add_attribute(s, ld, entry, s->t->is.pass_attrs.item[i], &fields);
	s->out->fields = renaming_fields(arena_keep(s->a, buffer_bytes(&fields)), s->q->user, s->a);
	buffer_free(&fields);
	if (s->q->mode == CREDENTIAL_SECRET && s->t->is.auth_bind)
		tell(s, CREDENTIAL_CLOSED, "the server compares, and tells no passwords");
	else if (s->q->mode != CREDENTIAL_CHECK || !s->t->is.auth_bind)
		credential_conclude(s->q, s->t->is.default_pass_scheme, s->out->fields, s->a,
		                    s->out);
	if (s->q->mode != CREDENTIAL_CHECK || !s->t->is.auth_bind)
		return n;
	dn = ldap_get_dn(ld, entry);
	n = dn != NULL ? bind_as(s, ld, dn) : LDAP_NO_MEMORY;
	ldap_memfree(dn);
	return n == LDAP_SUCCESS ? remote_ldap_be_again(ld, &s->t->is) : n;
}

static int
search_for(struct searching *s, LDAP *ld, int timeout_ms)
{
	struct timeval patience = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	struct buffer  base = { 0 }, filter = { 0 };
	LDAPMessage   *found = NULL;
	int            n = LDAP_SUCCESS;

	tell(s, CREDENTIAL_NOBODY, "");
	if (template_expand(&s->t->base, s->q->user, NULL, remote_ldap_quote_dn, NULL, &base) &&
	    template_expand(&s->t->rules.question, s->q->user, NULL, remote_ldap_quote_filter, NULL,
	                    &filter)) {
		buffer_add_char(&base, '\0');
		buffer_add_char(&filter, '\0');
		n = ldap_search_ext_s(ld, base.at, s->t->scope, filter.at,
		                      (char **)(uintptr_t)s->t->attributes, 0, NULL, NULL,
		                      &patience, 2, &found);
		if (n == LDAP_SUCCESS || n == LDAP_SIZELIMIT_EXCEEDED)
			n = take_entry(s, ld, found);
		else if (n == LDAP_NO_SUCH_OBJECT && s->t->base.count > 1)
			n = LDAP_SUCCESS;
	}
	if (found != NULL)
		(void)ldap_msgfree(found);
	buffer_free(&base);
	buffer_free(&filter);
	return n;
}

static int
bind_by_name(struct searching *s, LDAP *ld)
{
	struct buffer dn = { 0 };
	int           n = LDAP_SUCCESS;

	tell(s, CREDENTIAL_NOBODY, "");
	if (template_expand(&s->t->userdn, s->q->user, NULL, remote_ldap_quote_dn, NULL, &dn)) {
		buffer_add_char(&dn, '\0');
		n = bind_as(s, ld, dn.at);
	}
	/* To bind as who is not there fails as a wrong password does. */
	if (s->out->outcome == CREDENTIAL_FAIL)
		s->out->outcome = CREDENTIAL_UNSURE;
	buffer_free(&dn);
	return n;
}

static enum pool_asked
ask_server(void *asker, void *connection, int timeout_ms, struct buffer *why)
{
	struct searching *s = asker;
	int               n = s->ping                  ? remote_ldap_be_again(connection, &s->t->is)
	                      : s->t->userdn.count > 0 ? bind_by_name(s, connection)
	                                               : search_for(s, connection, timeout_ms);

	if (n == LDAP_SUCCESS)
		return POOL_DONE;
	tell(s, CREDENTIAL_LATER, ldap_err2string(n));
	buffer_reset(why);
	buffer_printf(why, "%s", ldap_err2string(n));
	return remote_ldap_lost(n) ? POOL_LOST : POOL_DONE;
}

static void
ask_pool(struct ldap *t, const struct credential_question *q, bool ping, struct arena *a,
         struct credential_answer *out)
{
	struct searching s = { t, q, ping, a, out };
	struct buffer    why = { 0 };

	if (remote_is_utf8(q->user) && !pool_ask(t->pool, ask_server, &s, &why))
		tell(&s, CREDENTIAL_LATER, arena_copy(a, buffer_bytes(&why)));
	buffer_free(&why);
}

static void
ldap_ask(void *own, const struct credential_question *q, struct arena *a,
         struct credential_answer *out)
{
	struct ldap_users         *u = own;
	struct credential_question user = *q;
	struct credential_answer   more = { CREDENTIAL_NOBODY, "", { NULL, 0 } };

	user.mode = CREDENTIAL_USER;
	if (q->mode == CREDENTIAL_USER && u->users != NULL)
		ask_pool(u->users, q, false, a, out);
	else if (q->mode != CREDENTIAL_CHECK && u->passwords->userdn.count > 0)
		*out = (struct credential_answer){ CREDENTIAL_CLOSED,
			                           "without user_filter nobody is looked for",
			                           { NULL, 0 } };
	else
		ask_pool(u->passwords, q, false, a, out);
	if (q->mode != CREDENTIAL_CHECK || out->outcome != CREDENTIAL_PASS || u->users == NULL)
		return;
	user.user = renaming_user(out->fields, q->user);
	ask_pool(u->users, &user, false, a, &more);
	credential_join(more.outcome == CREDENTIAL_PASS     ? TABLE_FOUND
	                : more.outcome == CREDENTIAL_NOBODY ? TABLE_NONE
	                                                    : TABLE_LATER,
	                user.user,
	                more.outcome == CREDENTIAL_PASS ? more.fields : bytes_of(more.why), a, out);
}

/* The server is who it was bound as before. */
static void
ldap_ping(void *own, const struct credential_question *q, struct arena *a,
          struct credential_answer *out)
{
	struct ldap_users *u = own;

	ask_pool(u->passwords, q, true, a, out);
}

static void
ldap_close(void *own)
{
	struct ldap_users *u = own;

	if (u->users != NULL)
		remote_ldap_close(u->users);
	if (u->passwords != NULL)
		remote_ldap_close(u->passwords);
	memory_free(u);
}

static void *
ldap_open_file(const char *path, const struct table_source *source, struct buffer *errors,
               struct buffer *warnings)
{
	struct table_source columns = *source;
	struct ldap_users  *u = memory_take(sizeof *u);
	bool                users;

	columns.how |= TABLE_COLUMNS | TABLE_KEEP_CASE;
	u->passwords = remote_ldap_open(bytes_of(path), TABLE_PLAIN, &columns, errors, warnings);
	users = u->passwords != NULL && *u->passwords->is.user_filter != '\0';
	columns.how |= TABLE_USERS;
	if (users)
		u->users =
			remote_ldap_open(bytes_of(path), TABLE_PLAIN, &columns, errors, warnings);
	if (u->passwords == NULL || (users && u->users == NULL)) {
		ldap_close(u);
		return NULL;
	}
	if (u->passwords->is.auth_bind)
		buffer_printf(
			warnings,
			"%s: auth_bind = yes: the server compares and tells no password, so its users log in by PLAIN and "
			"LOGIN, and not by SCRAM, CRAM-MD5 and their kin; for these it must give userPassword by pass_attrs\n",
			path);
	return u;
}

static void
ldap_reach(void *own, struct reach *r)
{
	struct ldap_users *u = own;

	remote_ldap_reach(u->passwords, r);
}

/* ---- all there are ---- */

struct naming {
	struct ldap     *t;
	const char      *attribute;
	credential_each *each;
	void            *ctx;
};

static int
name_all(const struct naming *n, LDAP *ld, int timeout_ms)
{
	const char    *attributes[] = { n->attribute, NULL };
	struct timeval patience = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	LDAPMessage   *found = NULL;
	int was = ldap_search_ext_s(ld, n->t->is.search_base, n->t->scope, n->t->is.iterate_filter,
	                            (char **)(uintptr_t)attributes, 0, NULL, NULL, &patience,
	                            LDAP_NO_LIMIT, &found);

	for (LDAPMessage *e = was == LDAP_SUCCESS ? ldap_first_entry(ld, found) : NULL; e != NULL;
	     e = ldap_next_entry(ld, e)) {
		struct berval **value = ldap_get_values_len(ld, e, n->attribute);

		for (size_t i = 0; value != NULL && value[i] != NULL; i++)
			n->each(n->ctx, (struct bytes){ value[i]->bv_val, value[i]->bv_len });
		if (value != NULL)
			ldap_value_free_len(value);
	}
	if (found != NULL)
		(void)ldap_msgfree(found);
	return was;
}

static enum pool_asked
name_them(void *asker, void *connection, int timeout_ms, struct buffer *why)
{
	int n = name_all(asker, connection, timeout_ms);

	buffer_reset(why);
	if (n != LDAP_SUCCESS)
		buffer_printf(why, "%s", ldap_err2string(n));
	return remote_ldap_lost(n) ? POOL_LOST : POOL_DONE;
}

/* iterate_attrs = "uid=user, ..." */
static const char *
name_attribute(const char *pairs, struct arena *a)
{
	struct bytes rest = bytes_of(pairs), pair, name;

	while (bytes_split(&rest, ',', &pair)) {
		pair = bytes_trim(pair);
		if (bytes_split(&pair, '=', &name) && bytes_is(pair, "user") && name.len > 0)
			return arena_copy(a, name);
	}
	return NULL;
}

static enum table_outcome
ldap_each(void *own, credential_each *each, void *ctx, struct arena *a, const char **why)
{
	struct ldap_users *u = own;
	struct ldap       *t = u->users != NULL ? u->users : u->passwords;
	struct naming      n = { t, name_attribute(t->is.iterate_attrs, a), each, ctx };
	struct buffer      said = { 0 };
	bool               asked = n.attribute != NULL && pool_ask(t->pool, name_them, &n, &said);

	*why = n.attribute == NULL ? "iterate_attrs: write an attribute as uid=user"
	                           : arena_copy(a, buffer_bytes(&said));
	asked = asked && said.len == 0;
	buffer_free(&said);
	return asked ? TABLE_FOUND : TABLE_LATER;
}

const struct credential_ways credential_ldap = { true,       ldap_open_file, ldap_ask, ldap_reach,
	                                         ldap_close, ldap_ping,      ldap_each };

#else

static void *
not_built(const char *path, const struct table_source *source, struct buffer *errors,
          struct buffer *warnings)
{
	(void)source;
	(void)warnings;
	buffer_printf(errors, "%s: this program was built without OpenLDAP's client\n", path);
	return NULL;
}

const struct credential_ways credential_ldap = { .open = not_built };

#endif
