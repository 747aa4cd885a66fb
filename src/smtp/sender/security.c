#include "smtp/sender/security.h"
#include "dns/hostname.h"
#include <string.h>

const char *const        security_level_names[SECURITY_LEVELS] = { "none",   "may",       "encrypt",
	                                                           "dane",   "dane-only", "fingerprint",
	                                                           "verify", "secure" };
static const char *const grade_names[] = { "export", "low", "medium", "high", "null" };
enum {
	MATCHES_MOST = 100,
	FINGERPRINT_MOST = 2 * 64, /* digits of SHA-512 */
	SAYS_PROTOCOLS = 1,
	SAYS_GRADE = 2,
	SAYS_EXCLUDE = 4,
	SAYS_ANCHORS = 8,
	SAYS_NAME = 16,
	SAYS_REUSE = 32
};

/* What holds at a level, unless a table says otherwise. */
static void
set_level(const struct sender_settings *r, struct arena *a, int level, struct security *out)
{
	static const struct setting_list none = { NULL, 0 };
	bool                             must = level > SECURITY_MAY;

	*out = (struct security){
		.level = level,
		.protocols = must ? r->tls_mandatory_protocols : r->tls_protocols,
		.grade = grade_names[must ? r->tls_mandatory_ciphers : r->tls_ciphers],
		.exclude = must ? arena_printf(a, "%s %s", r->tls_exclude, r->tls_mandatory_exclude)
		                : r->tls_exclude,
		.match = level == SECURITY_FINGERPRINT ? r->tls_fingerprints
		         : level == SECURITY_VERIFY    ? r->tls_verify_match
		         : level == SECURITY_SECURE    ? r->tls_secure_match
		                                       : none,
		.anchors = level >= SECURITY_VERIFY ? r->tls_anchors : none,
		.servername = r->tls_servername,
	};
}

void
security_set(const struct sender_settings *r, bool lmtp, struct arena *a, struct security *out)
{
	int chosen = lmtp ? r->lmtp_tls_level : r->tls_level;
	int level = chosen > 0 ? chosen - 1 : SECURITY_NONE; /* the first choice is "" */

	if (chosen == 0 && r->use_tls)
		level = SECURITY_MAY;
	set_level(r, a, level, out);
}

static int
choice_of(struct bytes word, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes_equal_nocase(word, bytes_of(names[i])))
			return (int)i;
	return -1;
}

/* The digits of a fingerprint, with colons between them or without; false: it is none. */
static bool
fingerprint_digits(struct bytes text, char out[static FINGERPRINT_MOST], size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == ':')
			continue;
		if (*count == FINGERPRINT_MOST ||
		    strchr("0123456789abcdefABCDEF", text.at[i]) == NULL || text.at[i] == '\0')
			return false;
		out[(*count)++] = ascii_upper(text.at[i]);
	}
	return *count > 0 && *count % 2 == 0;
}

static bool
is_same_fingerprint(const char *wanted, const char *shown)
{
	char   a[FINGERPRINT_MOST], b[FINGERPRINT_MOST];
	size_t n, m;

	return fingerprint_digits(bytes_of(wanted), a, &n) &&
	       fingerprint_digits(bytes_of(shown), b, &m) && n == m && memcmp(a, b, n) == 0;
}

/* More of what matches: fingerprints have colons in them, so they stand between bars. */
static bool
add_matches(struct arena *a, struct security *s, struct bytes text, bool afresh)
{
	char         between = s->level == SECURITY_FINGERPRINT ? '|' : ':';
	const char **item = arena_take_array(a, MATCHES_MOST, sizeof *item);
	size_t       n = 0, len;
	struct bytes one;
	char         digits[FINGERPRINT_MOST];

	for (size_t i = 0; !afresh && i < s->match.count && n < MATCHES_MOST; i++)
		item[n++] = s->match.item[i];
	while (bytes_split(&text, between, &one)) {
		if (one.len == 0)
			continue;
		if (s->level == SECURITY_FINGERPRINT && !fingerprint_digits(one, digits, &len))
			continue;
		if (n == MATCHES_MOST)
			return false;
		item[n++] = arena_copy(a, one);
	}
	s->match = (struct setting_list){ item, n };
	return true;
}

/* Those of a table stand instead of the setting's. */
static const char *
add_anchor(const struct sender_settings *r, struct arena *a, struct bytes path, struct security *s)
{
	const char **item = arena_take_array(a, MATCHES_MOST, sizeof *item);
	bool         held = false;
	size_t       n = 0;

	if (s->level < SECURITY_VERIFY)
		return "tafile= is for verify and secure";
	for (size_t i = 0; i < r->tls_policy_anchors.count; i++)
		held = held || bytes_equal(path, bytes_of(r->tls_policy_anchors.item[i]));
	if (!held)
		return arena_printf(a, "tafile=%.*s is not in smtp_tls_policy_anchor_files",
		                    (int)path.len, path.at);
	for (size_t i = 0; (s->said & SAYS_ANCHORS) != 0 && i < s->anchors.count; i++)
		item[n++] = s->anchors.item[i];
	if (n == MATCHES_MOST)
		return "too many tafile=";
	item[n++] = arena_copy(a, path);
	s->anchors = (struct setting_list){ item, n };
	s->said |= SAYS_ANCHORS;
	return NULL;
}

/* NULL: it is taken, as `says`; or why not. */
static const char *
set_once(struct arena *a, struct bytes name, struct security *s, unsigned *says)
{
	static const struct {
		const char *name;
		unsigned    says;
	} once[] = { { "protocols", SAYS_PROTOCOLS },
		     { "ciphers", SAYS_GRADE },
		     { "exclude", SAYS_EXCLUDE },
		     { "servername", SAYS_NAME },
		     { "connection_reuse", SAYS_REUSE } };
	size_t i = 0;

	while (i < COUNT(once) && !bytes_is(name, once[i].name))
		i++;
	*says = i < COUNT(once) ? once[i].says : 0;
	if ((s->said & *says) != 0)
		return arena_printf(a, "%s= is said twice", once[i].name);
	s->said |= *says;
	return NULL;
}

static const char *
set_attribute(const struct sender_settings *r, struct arena *a, struct bytes name,
              struct bytes value, bool *matched, struct security *s)
{
	const char *why;
	unsigned    says;

	if (bytes_is(name, "match")) {
		bool afresh = !*matched;

		*matched = true;
		if (s->level < SECURITY_FINGERPRINT)
			return "match= is for fingerprint, verify and secure";
		return value.len > 0 && add_matches(a, s, value, afresh) ? NULL
		                                                         : "match= without names";
	}
	if (bytes_is(name, "tafile"))
		return add_anchor(r, a, value, s);
	if ((why = set_once(a, name, s, &says)) != NULL)
		return why;
	if (says == SAYS_PROTOCOLS)
		s->protocols = arena_copy(a, value);
	else if (says == SAYS_GRADE && choice_of(value, grade_names, COUNT(grade_names)) >= 0)
		s->grade = arena_copy(a, value);
	else if (says == SAYS_NAME && hostname_valid(value))
		s->servername = arena_copy(a, value);
	else if (says == SAYS_EXCLUDE)
		s->exclude = arena_copy(a, value);
	else if (says == SAYS_REUSE && bytes_is(value, "no"))
		s->alone = true;
	else if (says != SAYS_REUSE || !bytes_is(value, "yes"))
		return arena_printf(a, "%.*s=%.*s is not known", (int)name.len, name.at,
		                    (int)value.len, value.at);
	return NULL;
}

static bool
next_word(struct bytes *rest, struct bytes *word)
{
	size_t n = 0;

	while (rest->len > 0 && strchr(", \t\r\n", rest->at[0]) != NULL)
		*rest = bytes_cut(*rest, 1, SIZE_MAX);
	while (n < rest->len && strchr(", \t\r\n", rest->at[n]) == NULL)
		n++;
	*word = bytes_cut(*rest, 0, n);
	*rest = bytes_cut(*rest, n, SIZE_MAX);
	return n > 0;
}

bool
security_read(struct bytes value, const struct sender_settings *r, struct arena *a,
              struct security *out, const char **why)
{
	struct bytes word;
	int          level = next_word(&value, &word)
	                             ? choice_of(word, security_level_names, SECURITY_LEVELS)
	                             : -1;
	bool         matched = false;

	*why = NULL;
	if (level < 0) {
		*why = arena_printf(a,
		                    "\"%.*s\" is no level: write none, may, encrypt, dane, "
		                    "dane-only, fingerprint, verify or secure",
		                    (int)word.len, word.at);
		return false;
	}
	set_level(r, a, level, out);
	while (*why == NULL && next_word(&value, &word)) {
		ptrdiff_t is = bytes_find(word, '=');

		if (level == SECURITY_NONE) /* without TLS it asks for nothing, as in Postfix */
			continue;
		if (is <= 0)
			*why = arena_printf(a, "%.*s is no NAME=VALUE", (int)word.len, word.at);
		else
			*why = set_attribute(r, a, bytes_cut(word, 0, (size_t)is),
			                     bytes_cut(word, (size_t)is + 1, SIZE_MAX), &matched,
			                     out);
	}
	if (*why == NULL && level == SECURITY_FINGERPRINT && out->match.count == 0)
		*why = "fingerprint without match= and smtp_tls_fingerprint_cert_match";
	return *why == NULL;
}

void
security_become(const struct sender_settings *r, struct arena *a, int level, struct security *s)
{
	struct security was = *s;

	set_level(r, a, level, s);
	s->said = was.said;
	if ((was.said & SAYS_PROTOCOLS) != 0)
		s->protocols = was.protocols;
	if ((was.said & SAYS_GRADE) != 0)
		s->grade = was.grade;
	if ((was.said & SAYS_EXCLUDE) != 0)
		s->exclude = was.exclude;
	if ((was.said & SAYS_NAME) != 0)
		s->servername = was.servername;
	s->alone = was.alone;
}

struct security
security_keep(struct arena *a, const struct security *s)
{
	struct security to = *s;
	const char    **item = arena_take_array(a, s->match.count, sizeof *item);
	const char    **anchor = arena_take_array(a, s->anchors.count, sizeof *anchor);

	for (size_t i = 0; i < s->anchors.count; i++)
		anchor[i] = arena_copy(a, bytes_of(s->anchors.item[i]));
	to.anchors.item = anchor;
	to.protocols = arena_copy(a, bytes_of(s->protocols));
	to.grade = arena_copy(a, bytes_of(s->grade));
	to.exclude = arena_copy(a, bytes_of(s->exclude));
	to.servername = arena_copy(a, bytes_of(s->servername));
	for (size_t i = 0; i < s->match.count; i++)
		item[i] = arena_copy(a, bytes_of(s->match.item[i]));
	to.match.item = item;
	return to;
}

bool
security_next(struct bytes destination, struct bytes *key)
{
	struct bytes rest;
	ptrdiff_t    dot;

	if (key->len == 0) {
		*key = destination;
		return key->len > 0;
	}
	if (strchr("[", destination.at[0]) != NULL || bytes_find(destination, ':') >= 0 ||
	    bytes_find(destination, '/') >= 0)
		return false; /* no domain */
	rest = bytes_cut(*key, 1, SIZE_MAX);
	if ((dot = bytes_find(rest, '.')) < 0)
		return false;
	*key = bytes_cut(rest, (size_t)dot, SIZE_MAX);
	return true;
}

/* The domain of a destination: without brackets and port. */
static const char *
domain_of(struct arena *a, const char *nexthop)
{
	struct bytes text = bytes_of(nexthop);
	ptrdiff_t    end;

	if (text.len > 0 && text.at[0] == '[') {
		end = bytes_find(text, ']');
		return arena_copy(a, bytes_cut(text, 1, end < 1 ? SIZE_MAX : (size_t)end - 1));
	}
	end = bytes_find(text, ':');
	return arena_copy(a, bytes_cut(text, 0, end < 0 ? SIZE_MAX : (size_t)end));
}

const char *
security_name(const struct security *s, const char *host, const char *nexthop, struct arena *a)
{
	if (s->public || strcmp(s->servername, "hostname") == 0)
		return host;
	return strcmp(s->servername, "nexthop") == 0 ? domain_of(a, nexthop) : s->servername;
}

static bool
is_named(const char *match, const char *host, const char *domain, struct arena *a,
         bool (*named)(void *ctx, const char *name), void *ctx)
{
	struct bytes word = bytes_of(match);

	if (bytes_is(word, "hostname"))
		return named(ctx, host);
	if (bytes_is(word, "nexthop"))
		return named(ctx, domain);
	if (bytes_is(word, "dot-nexthop"))
		return named(ctx, arena_printf(a, ".%s", domain));
	return named(ctx, match);
}

const char *
security_trusts(const struct security *s, const struct tls_facts *f, const char *host,
                const char *nexthop, struct arena *a, bool (*named)(void *ctx, const char *name),
                void *ctx)
{
	const char *domain = domain_of(a, nexthop);

	if (s->level == SECURITY_DANE || s->level == SECURITY_DANE_ONLY)
		return f->dane ? NULL : "Server certificate not verified";
	if (s->level < SECURITY_FINGERPRINT)
		return NULL;
	if (s->level > SECURITY_FINGERPRINT && (!f->certificate || !f->trusted))
		return s->anchors.count > 0 && !s->public ? "Server certificate not verified"
		                                          : "Server certificate not trusted";
	for (size_t i = 0; f->certificate && i < s->match.count; i++) {
		const char *m = s->match.item[i];

		if (s->level == SECURITY_FINGERPRINT
		            ? is_same_fingerprint(m, f->fingerprint) ||
		                      is_same_fingerprint(m, f->key_fingerprint)
		            : is_named(m, host, domain, a, named, ctx))
			return NULL;
	}
	return "Server certificate not verified";
}
