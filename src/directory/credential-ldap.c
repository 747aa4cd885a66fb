/* credential-ldap.c -- ldap:/path.cf: the server compares, by a bind, or gives what we compare */
#include "directory/credential-remote.h"

#ifdef MANSIO_LDAP

#include <string.h>
#include <sys/time.h>

#include "directory/remote-ldap.h"

/* One question on its way. */
struct searching {
	struct ldap                      *t;
	const struct credential_question *q;
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

/* "uid=user": the values of an attribute under the name of a field */
static void
add_attribute(struct searching *s, LDAP *ld, LDAPMessage *entry, const char *pair,
              struct buffer *fields)
{
	struct bytes    name, field = bytes_of(pair);
	struct berval **value;

	if (!bytes_split(&field, '=', &name) || field.len == 0)
		return;
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
	s->out->fields = arena_keep(s->a, buffer_bytes(&fields));
	buffer_free(&fields);
	if (!s->t->is.auth_bind) {
		credential_compare(s->q, s->t->is.default_pass_scheme, s->out->fields, s->a,
		                   s->out);
		return n;
	}
	dn = ldap_get_dn(ld, entry);
	n = dn != NULL ? bind_as(s, ld, dn) : LDAP_NO_MEMORY;
	ldap_memfree(dn);
	return n == LDAP_SUCCESS ? remote_ldap_bind(ld, &s->t->is) : n;
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
	buffer_free(&dn);
	return n;
}

static enum pool_asked
ask_server(void *asker, void *connection, int timeout_ms, struct buffer *why)
{
	struct searching *s = asker;
	int               n = s->t->userdn.count > 0 ? bind_by_name(s, connection)
	                                             : search_for(s, connection, timeout_ms);

	if (n == LDAP_SUCCESS)
		return POOL_DONE;
	tell(s, CREDENTIAL_LATER, ldap_err2string(n));
	buffer_reset(why);
	buffer_printf(why, "%s", ldap_err2string(n));
	return remote_ldap_lost(n) ? POOL_LOST : POOL_DONE;
}

static void
ldap_ask(void *own, const struct credential_question *q, struct arena *a,
         struct credential_answer *out)
{
	struct searching s = { own, q, a, out };
	struct buffer    why = { 0 };

	if (remote_is_utf8(q->user) && !pool_ask(s.t->pool, ask_server, &s, &why))
		tell(&s, CREDENTIAL_LATER, arena_copy(a, buffer_bytes(&why)));
	buffer_free(&why);
}

static void *
ldap_open_file(const char *path, const struct table_source *source, struct buffer *errors,
               struct buffer *warnings)
{
	struct table_source columns = *source;

	columns.how |= TABLE_COLUMNS | TABLE_KEEP_CASE;
	return remote_ldap_open(bytes_of(path), TABLE_PLAIN, &columns, errors, warnings);
}

const struct credential_ways credential_ldap = { ldap_open_file, ldap_ask, remote_ldap_reach,
	                                         remote_ldap_close };

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
