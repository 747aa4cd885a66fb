/* table-ldap -- ldap:/path.cf, as in ldap_table(5) */

#include "directory/remote.h"
#include "directory/table_inner.h"

#ifdef MANSIO_LDAP

#include <string.h>
#include <sys/time.h>

#include "base/clock.h"
#include "directory/remote-ldap.h"

/* A group may have many thousand members, each a search; the time-out ends what goes on for ever.  Depth is stack (role/lanes.c). */
enum { SEARCHES_MOST = 100000, DEPTH_MOST = 200 };

struct asking {
	struct ldap   *table;
	struct bytes   key;
	struct arena  *scratch;
	struct answers answers;
	int64_t        until;
	int            searches, depth;
};

/*
 * What is put into a question
 */

static void
add_hex(struct buffer *out, char c)
{
	buffer_printf(out, "\\%02x", (unsigned)(unsigned char)c);
}

/* rfc4515:3 */
bool
remote_ldap_quote_filter(void *ctx, char q, struct bytes in, struct buffer *out)
{
	(void)ctx;
	(void)q;
	for (size_t i = 0; i < in.len; i++)
		if (in.at[i] == '\0' || strchr("*()\\", in.at[i]) != NULL)
			add_hex(out, in.at[i]);
		else
			buffer_add_char(out, in.at[i]);
	return true;
}

/* rfc4514:2.4 */
bool
remote_ldap_quote_dn(void *ctx, char q, struct bytes in, struct buffer *out)
{
	(void)ctx;
	(void)q;
	for (size_t i = 0; i < in.len; i++) {
		char c = in.at[i];
		bool edge = (i == 0 && (c == ' ' || c == '#')) || (i + 1 == in.len && c == ' ');
		if (edge || (unsigned char)c < 0x20 || strchr("\"+,;<>\\=#", c) != NULL)
			add_hex(out, c);
		else
			buffer_add_char(out, c);
	}
	return true;
}

/*
 * What an entry holds
 */

static bool
is_among(const char *name, const struct setting_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (bytes_is(bytes_of(name), list->item[i]))
			return true;
	return false;
}

/* Whether an entry has a value of one of these. */
static bool
has_any(LDAP *ld, LDAPMessage *entry, const struct setting_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct berval **v = ldap_get_values_len(ld, entry, list->item[i]);
		int             n = ldap_count_values_len(v);
		ldap_value_free_len(v);
		if (n > 0)
			return true;
	}
	return false;
}

static int search(struct asking *, LDAP *, const char *base, int scope, const char *filter,
                  const struct setting_list *only);

/* A URL asks for its own attributes, of those we know (rfc4516:2). */
static int
follow_url(struct asking *a, LDAP *ld, const char *url)
{
	LDAPURLDesc        *u = NULL;
	struct setting_list only = { NULL, 0 };
	int                 n;

	if (ldap_url_parse(url, &u) != LDAP_SUCCESS)
		return LDAP_SUCCESS;
	for (only.item = (const char *const *)u->lud_attrs;
	     u->lud_attrs != NULL && u->lud_attrs[only.count] != NULL;)
		only.count++;
	n = search(a, ld, u->lud_dn != NULL ? u->lud_dn : "",
	           u->lud_scope == LDAP_SCOPE_DEFAULT ? LDAP_SCOPE_BASE : u->lud_scope,
	           u->lud_filter != NULL ? u->lud_filter : "(objectClass=*)",
	           only.count > 0 ? &only : NULL);
	ldap_free_urldesc(u);
	return n;
}

static int
follow(struct asking *a, LDAP *ld, struct bytes value)
{
	char *text = arena_copy(a->scratch, value);
	int   n = ldap_is_ldap_url(text)
	                  ? follow_url(a, ld, text)
	                  : search(a, ld, text, LDAP_SCOPE_BASE, "(objectClass=*)", NULL);

	/* What a group names and nobody has is nobody. */
	return n == LDAP_NO_SUCH_OBJECT ? LDAP_SUCCESS : n;
}

static int
add_values(struct asking *a, LDAP *ld, LDAPMessage *entry, const char *name, bool special)
{
	struct berval **v = ldap_get_values_len(ld, entry, name);
	int             n = LDAP_SUCCESS;

	for (int i = 0; v != NULL && v[i] != NULL && n == LDAP_SUCCESS && !a->answers.over; i++) {
		struct bytes value = { v[i]->bv_val, v[i]->bv_len };
		if (special)
			n = follow(a, ld, value);
		else
			(void)answers_add(&a->answers, value);
	}
	ldap_value_free_len(v);
	return n;
}

/* Terminal attributes silence all others; special ones silence the leaves. */
static int
add_entry(struct asking *a, LDAP *ld, LDAPMessage *entry, const struct setting_list *only)
{
	const struct ldap_settings *is = &a->table->is;
	bool                        terminal = has_any(ld, entry, &is->terminal);
	bool                        special = !terminal && has_any(ld, entry, &is->special);
	BerElement                 *place = NULL;
	int                         n = LDAP_SUCCESS;

	for (char *name = ldap_first_attribute(ld, entry, &place);
	     name != NULL && n == LDAP_SUCCESS; name = ldap_next_attribute(ld, entry, place)) {
		bool wanted = only == NULL || is_among(name, only);
		if (terminal) {
			if (is_among(name, &is->terminal))
				n = add_values(a, ld, entry, name, false);
		} else if (wanted && is_among(name, &is->special)) {
			n = add_values(a, ld, entry, name, true);
		} else if (wanted && (is_among(name, &is->result) ||
		                      (!special && is_among(name, &is->leaf)))) {
			n = add_values(a, ld, entry, name, false);
		}
		ldap_memfree(name);
	}
	if (place != NULL)
		ber_free(place, 0);
	return n;
}

static int
add_entries(struct asking *a, LDAP *ld, LDAPMessage *found, const struct setting_list *only)
{
	int n = LDAP_SUCCESS;

	for (LDAPMessage *e = ldap_first_entry(ld, found); e != NULL && n == LDAP_SUCCESS;
	     e = ldap_next_entry(ld, e))
		n = add_entry(a, ld, e, only);
	return n;
}

static int
search(struct asking *a, LDAP *ld, const char *base, int scope, const char *filter,
       const struct setting_list *only)
{
	const struct ldap *t = a->table;
	int64_t            left = a->until - clock_patient_ms();
	struct timeval     patience = { left / 1000, left % 1000 * 1000 };
	LDAPMessage       *found = NULL;
	int64_t            deep = t->is.recursion_limit;
	int                n;

	if (left <= 0)
		return LDAP_TIMEOUT;
	if (++a->searches > SEARCHES_MOST || ++a->depth > (deep < DEPTH_MOST ? deep : DEPTH_MOST))
		return LDAP_LOOP_DETECT;
	/* The library reads the list and nothing more. */
	n = ldap_search_ext_s(ld, base, scope, filter, (char **)(uintptr_t)t->attributes, 0, NULL,
	                      NULL, &patience, t->is.size_limit > 0 ? (int)t->is.size_limit : 0,
	                      &found);
	if (n == LDAP_SUCCESS)
		n = add_entries(a, ld, found, only);
	if (found != NULL)
		(void)ldap_msgfree(found);
	a->depth--;
	return n;
}

/*
 * Questions
 */

bool
remote_ldap_lost(int n)
{
	static const int lost[] = { LDAP_SERVER_DOWN,
		                    LDAP_TIMEOUT,
		                    LDAP_CONNECT_ERROR,
		                    LDAP_ENCODING_ERROR,
		                    LDAP_DECODING_ERROR,
		                    LDAP_LOCAL_ERROR,
		                    LDAP_BUSY,
		                    LDAP_UNAVAILABLE,
		                    LDAP_NO_MEMORY,
		                    LDAP_OTHER,
		                    LDAP_UNWILLING_TO_PERFORM };

	for (size_t i = 0; i < COUNT(lost); i++)
		if (lost[i] == n)
			return true;
	return false;
}

static enum pool_asked
ask(void *asker, void *connection, int timeout_ms, struct buffer *why)
{
	struct asking     *a = asker;
	const struct ldap *t = a->table;
	LDAP              *ld = connection;
	struct buffer      base = { 0 }, filter = { 0 };
	int                n = LDAP_SUCCESS;

	a->until = clock_patient_ms() + timeout_ms;
	a->searches = a->depth = 0;
	if (template_expand(&t->base, a->key, NULL, remote_ldap_quote_dn, NULL, &base) &&
	    template_expand(&t->rules.question, a->key, NULL, remote_ldap_quote_filter, NULL,
	                    &filter)) {
		buffer_add_char(&base, '\0');
		buffer_add_char(&filter, '\0');
		n = search(a, ld, base.at, t->scope, filter.at, NULL);
		/* ou=%d may be of a domain that nobody has. */
		if (n == LDAP_NO_SUCH_OBJECT && t->base.count > 1)
			n = LDAP_SUCCESS;
	}
	buffer_free(&base);
	buffer_free(&filter);
	if (n == LDAP_SUCCESS)
		return POOL_DONE;
	answers_reset(&a->answers);
	buffer_reset(why);
	buffer_printf(why, "search: %s", ldap_err2string(n));
	a->answers.failed = !remote_ldap_lost(n);
	return a->answers.failed ? POOL_DONE : POOL_LOST;
}

static enum table_outcome
find(void *own, struct bytes key, struct arena *life, struct bytes *value)
{
	struct ldap       *t = own;
	struct buffer      why = { 0 };
	struct asking      a = { .table = t, .answers = { .rules = &t->rules } };
	enum table_outcome is = TABLE_NONE;

	*value = (struct bytes){ NULL, 0 };
	if (remote_asks(&t->rules, key) && remote_is_utf8(key)) {
		a.answers.key = a.key = remote_key(&t->rules, key, life);
		a.scratch = arena_open(NULL);
		is = answers_end(&a.answers, pool_ask(t->pool, ask, &a, &why), &why, life, value);
		arena_close(&a.scratch);
	}
	buffer_free(&why);
	return is;
}

const struct table_type table_ldap = {
	.name = "ldap",
	.remote = true,
	.file = true,
	.open = remote_ldap_open,
	.find = find,
	.close = remote_ldap_close,
	.reach = remote_ldap_reach,
	.rows = &remote_ldap_rows,
};

#else

REMOTE_NOT_BUILT(table_ldap, "ldap", "OpenLDAP's client")

#endif
