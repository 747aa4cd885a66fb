/* sasl/principal.c -- who a Kerberos principal is here (gssapi.h) */
#include "sasl/gssapi.h"

bool
gssapi_user(struct bytes principal, struct bytes our_realm, const struct setting_list *realms,
            struct arena *a, struct bytes *user)
{
	ptrdiff_t    at = bytes_find_last(principal, '@');
	struct bytes name = bytes_cut(principal, 0, at < 0 ? 0 : (size_t)at);
	struct bytes realm = bytes_cut(principal, (size_t)(at + 1), SIZE_MAX), domain = { NULL, 0 };

	/* A backslash hides a character of the name: no user of ours has one. */
	if (at <= 0 || realm.len == 0 || bytes_find(name, '/') >= 0 || bytes_find(name, '@') >= 0 ||
	    bytes_find(principal, '\\') >= 0 || bytes_find(principal, '\0') >= 0)
		return false;
	for (size_t i = 0; i < realms->count && domain.len == 0; i++) {
		struct bytes to = bytes_of(realms->item[i]), from;

		if (bytes_split(&to, '=', &from) && bytes_equal(from, realm))
			domain = to;
	}
	if (realms->count == 0 && bytes_equal(realm, our_realm))
		domain = arena_lower(a, realm);
	if (domain.len == 0)
		return false;
	*user = bytes_of(
		arena_printf(a, "%.*s@%.*s", (int)name.len, name.at, (int)domain.len, domain.at));
	return true;
}
