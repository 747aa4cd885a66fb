/* supplicant.c -- the mechanisms, the best first, and those that take a step or two; SCRAM is in supplicant-scram.c */
#include "sasl/mac.h"
#include "sasl/supplicant_inner.h"

static bool
plain_first(struct supplicant *c, struct buffer *out)
{
	buffer_add_char(out, '\0');
	buffer_add_string(out, c->facts->user);
	buffer_add_char(out, '\0');
	buffer_add_string(out, c->facts->password);
	return true;
}

/* User name and password, asked for by words that nobody can rely on. */
static bool
login_answer(struct supplicant *c, struct bytes challenge, struct buffer *out)
{
	(void)challenge;
	buffer_add_string(out, c->step == 1 ? c->facts->user : c->facts->password);
	return c->step <= 2;
}

/* rfc2195: the HMAC of the challenge by the password. */
static bool
cram_answer(struct supplicant *c, struct bytes challenge, struct buffer *out)
{
	unsigned char made[MAC_MOST];
	char          hex[2 * MAC_MOST + 1];

	if (c->step > 1 || challenge.len == 0)
		return false;
	mac_hex(made, mac_make("MD5", bytes_of(c->facts->password), challenge, made), hex);
	buffer_printf(out, "%s %s", c->facts->user, hex);
	return true;
}

static bool
xoauth_first(struct supplicant *c, struct buffer *out)
{
	buffer_printf(out, "user=%s\001auth=Bearer %s\001\001", c->facts->user, c->facts->password);
	return true;
}

/* rfc7628:3.1 */
static bool
bearer_first(struct supplicant *c, struct buffer *out)
{
	buffer_add_string(out, "n,a=");
	supplicant_name_add(out, c->facts->user);
	buffer_printf(out, ",\001host=%s\001port=%u\001auth=Bearer %s\001\001", c->facts->host,
	              c->facts->port, c->facts->password);
	return true;
}

/* What was wrong with the token: it is answered, and then the server says no. */
static bool
xoauth_answer(struct supplicant *c, struct bytes challenge, struct buffer *out)
{
	(void)challenge, (void)out;
	return c->step == 1;
}

/* rfc7628:3.2.3 */
static bool
bearer_answer(struct supplicant *c, struct bytes challenge, struct buffer *out)
{
	(void)challenge;
	buffer_add_char(out, '\001');
	return c->step == 1;
}

enum {
	SHOWN = SUPPLICANT_NO_PLAINTEXT | SUPPLICANT_NO_ACTIVE | SUPPLICANT_NO_DICTIONARY |
	        SUPPLICANT_MUTUAL
};
/* `fails`: the demands it does not meet. */
static const struct supplicant_mechanism mechanisms[] = {
	{ "SCRAM-SHA-256-PLUS", SUPPLICANT_NO_DICTIONARY, SUPPLICANT_BINDS, "SHA-256",
	  supplicant_scram_first, supplicant_scram_answer },
	{ "SCRAM-SHA-1-PLUS", SUPPLICANT_NO_DICTIONARY, SUPPLICANT_BINDS, "SHA-1",
	  supplicant_scram_first, supplicant_scram_answer },
	{ "SCRAM-SHA-256", SUPPLICANT_NO_DICTIONARY, 0, "SHA-256", supplicant_scram_first,
	  supplicant_scram_answer },
	{ "SCRAM-SHA-1", SUPPLICANT_NO_DICTIONARY, 0, "SHA-1", supplicant_scram_first,
	  supplicant_scram_answer },
	{ "CRAM-MD5", SUPPLICANT_NO_ACTIVE | SUPPLICANT_NO_DICTIONARY | SUPPLICANT_MUTUAL, 0, "MD5",
	  NULL, cram_answer },
	{ "OAUTHBEARER", SHOWN, SUPPLICANT_NAMED_ALONE, NULL, bearer_first, bearer_answer },
	{ "XOAUTH2", SHOWN, SUPPLICANT_NAMED_ALONE, NULL, xoauth_first, xoauth_answer },
	{ "PLAIN", SHOWN, 0, NULL, plain_first, NULL },
	{ "LOGIN", SHOWN, 0, NULL, NULL, login_answer },
};

unsigned
supplicant_demand_named(struct bytes word)
{
	static const struct {
		const char *name;
		unsigned    bit;
	} demands[] = { { "noplaintext", SUPPLICANT_NO_PLAINTEXT },
		        { "noactive", SUPPLICANT_NO_ACTIVE },
		        { "nodictionary", SUPPLICANT_NO_DICTIONARY },
		        { "noanonymous", SUPPLICANT_NO_ANONYMOUS },
		        { "mutual_auth", SUPPLICANT_MUTUAL } };

	for (size_t i = 0; i < COUNT(demands); i++)
		if (bytes_is(word, demands[i].name))
			return demands[i].bit;
	return 0;
}

/* ---- which ---- */

static bool
is_offered(struct bytes offered, const char *name)
{
	struct bytes one;

	while (bytes_split(&offered, ' ', &one))
		if (bytes_is(bytes_trim(one), name))
			return true;
	return false;
}

/* The first word that is about it decides. */
static bool
passes(const struct setting_list *filter, const struct supplicant_mechanism *m)
{
	bool by_name = (m->traits & SUPPLICANT_NAMED_ALONE) != 0;

	if (filter == NULL || filter->count == 0)
		return !by_name;
	for (size_t i = 0; i < filter->count; i++) {
		struct bytes word = bytes_of(filter->item[i]);
		bool         no = bytes_starts(word, BYTES("!"));

		word = bytes_cut(word, no, SIZE_MAX);
		if (bytes_is(word, m->name) || (!by_name && bytes_starts(word, BYTES("static:"))))
			return !no;
	}
	return false;
}

struct supplicant *
supplicant_open(struct bytes offered, const struct supplicant_facts *facts, struct arena *life)
{
	for (size_t i = 0; i < COUNT(mechanisms); i++) {
		const struct supplicant_mechanism *m = &mechanisms[i];
		struct supplicant                 *c;

		if (!is_offered(offered, m->name) || !passes(facts->filter, m) ||
		    (facts->demands & m->fails) != 0 || (facts->tried & 1u << i) != 0 ||
		    ((m->traits & SUPPLICANT_BINDS) != 0 && facts->binding == NULL) ||
		    (m->digest != NULL && !mac_has(m->digest)))
			continue;
		c = arena_take(life, sizeof *c);
		*c = (struct supplicant){
			.mechanism = m, .facts = facts, .life = life, .bit = 1u << i
		};
		c->could_bind = facts->binding != NULL &&
		                !is_offered(offered, mechanisms[0].name) &&
		                !is_offered(offered, mechanisms[1].name) &&
		                (passes(facts->filter, &mechanisms[0]) ||
		                 passes(facts->filter, &mechanisms[1]));
		return c;
	}
	return NULL;
}

const char *
supplicant_name(const struct supplicant *c)
{
	return c->mechanism->name;
}

const char *
supplicant_mechanism(size_t n)
{
	return n < COUNT(mechanisms) ? mechanisms[n].name : NULL;
}

unsigned
supplicant_bit(const struct supplicant *c)
{
	return c->bit;
}

bool
supplicant_first(struct supplicant *c, struct buffer *out)
{
	return c->mechanism->first != NULL && c->mechanism->first(c, out);
}

bool
supplicant_answer(struct supplicant *c, struct bytes challenge, struct buffer *out)
{
	c->step++;
	return c->mechanism->answer != NULL && challenge.len <= SUPPLICANT_CHALLENGE_MOST &&
	       c->mechanism->answer(c, challenge, out);
}

bool
supplicant_content(const struct supplicant *c)
{
	return c->mechanism->first != supplicant_scram_first || c->proved;
}
