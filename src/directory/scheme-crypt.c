/* scheme-crypt.c -- what crypt(5) and argon2 make; never dearer than scheme.h allows */
#include "base/base64.h"
#include "base/random.h"
#include "directory/scheme_inner.h"
#include <argon2.h>
#include <crypt.h>
#include <string.h>

enum { SALT_BYTES = 16, ARGON_HASH = 32, ARGON_LANES = 16, ARGON_TURNS = 64 };

/* ---- crypt ---- */

/* The digits of crypt(5) in their order. */
static int
digit(char c)
{
	static const char digits[] =
		"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)(at - digits);
}

static uint64_t
number_behind(const char *text, const char *word)
{
	const char  *at = strstr(text, word);
	struct bytes rest, number;
	uint64_t     n = 0;

	if (at == NULL)
		return 0;
	rest = bytes_of(at + strlen(word));
	for (number = rest, number.len = 0; number.len < rest.len; number.len++)
		if (rest.at[number.len] < '0' || rest.at[number.len] > '9')
			break;
	return bytes_number(number, &n) ? n : UINT64_MAX;
}

/* "$2y$12$..." */
static bool
bcrypt_dear(const char *s)
{
	return strlen(s) > 6 && (s[4] - '0') * 10 + (s[5] - '0') > SCHEME_BCRYPT;
}

static bool
rounds_dear(const char *s)
{
	return number_behind(s, "rounds=") > SCHEME_ROUNDS;
}

static bool
sha1_dear(const char *s)
{
	return number_behind(s, "$sha1$") > SCHEME_ROUNDS;
}

/* "$y$j9T$...": the flavour, log2(N) - 1, r - 1; more than that only where the costs are uncommon. */
static bool
yescrypt_dear(const char *s)
{
	const char *p = s + (s[1] == 'g' ? 4 : 3);
	int         n, r;

	if (*p != 'j' && *p != '/' && *p != '.')
		return true;
	if ((n = digit(p[1])) < 0 || (r = digit(p[2])) < 0)
		return true;
	/* "." says that p follows */
	if (p[3] != '$' && (p[3] != '.' || digit(p[4]) < 0 || digit(p[4]) > 14 || p[5] != '$'))
		return true;
	return n > 20 || r > 47 || (UINT64_C(128) << (n + 1)) * (uint64_t)(r + 1) > SCHEME_MEMORY;
}

/* "$7$" log2(N), r and p of five digits each, the lowest first. */
static bool
scrypt_dear(const char *s)
{
	uint64_t value[2] = { 0, 0 };
	int      n, d;

	if (strlen(s) < 14 || (n = digit(s[3])) < 0)
		return true;
	for (int i = 0; i < 10; i++) {
		if ((d = digit(s[4 + i])) < 0)
			return true;
		value[i / 5] |= (uint64_t)d << 6 * (i % 5);
	}
	return n > 24 || value[0] > 64 || value[1] > 16 ||
	       (UINT64_C(128) << n) * value[0] > SCHEME_MEMORY;
}

static bool
is_dear(const char *s)
{
	/* clang-format off */
	static const struct { const char *prefix; bool (*dear)(const char *); } rows[] = {
		{ "$2", bcrypt_dear },     { "$5$", rounds_dear }, { "$6$", rounds_dear }, { "$md5", rounds_dear },
		{ "$sha1$", sha1_dear },   { "$y$", yescrypt_dear }, { "$gy$", yescrypt_dear }, { "$7$", scrypt_dear },
	};
	/* clang-format on */

	for (size_t i = 0; i < COUNT(rows); i++)
		if (strncmp(s, rows[i].prefix, strlen(rows[i].prefix)) == 0)
			return rows[i].dear(s);
	return false;
}

enum scheme_outcome
scheme_crypt_check(struct scheme_work *w)
{
	struct crypt_data  *data;
	char                setting[CRYPT_OUTPUT_SIZE];
	const char         *made;
	enum scheme_outcome o;

	if (bytes_starts(w->stored, BYTES("$argon2")))
		return scheme_argon_check(w);
	if (!bytes_string(w->stored, setting, sizeof setting))
		return scheme_broken(w, "this is none of crypt(5)");
	if (is_dear(setting))
		return scheme_broken(w, "its cost is more than may be spent on one login");
	data = memory_take(sizeof *data);
	made = crypt_rn(w->word, setting, data, sizeof *data);
	o = made == NULL || made[0] == '*' ? scheme_broken(w, "crypt(3) does not know it")
	                                   : scheme_compare(made, strlen(made), bytes_of(setting));
	explicit_bzero(data, sizeof *data);
	memory_free(data);
	return o;
}

bool
scheme_crypt_make(struct scheme_work *w, struct buffer *out)
{
	struct crypt_data *data = memory_take(sizeof *data);
	char               salt[SALT_BYTES], setting[CRYPT_GENSALT_OUTPUT_SIZE];
	bool               blowfish = strncmp(w->scheme->detail, "$2", 2) == 0;
	const char        *made = NULL;

	random_fill(salt, sizeof salt);
	if (crypt_gensalt_rn(w->scheme->detail,
	                     w->rounds > 0 ? w->rounds
	                     : blowfish    ? 5
	                                   : 0,
	                     salt, sizeof salt, setting, sizeof setting) != NULL)
		made = crypt_rn(w->word, setting, data, sizeof *data);
	if (made != NULL)
		buffer_add_string(out, made);
	explicit_bzero(data, sizeof *data);
	memory_free(data);
	return made != NULL;
}

/* ---- argon2 ---- */

struct argon {
	argon2_type   type;
	uint64_t      version, memory, turns, lanes;
	struct buffer salt, hash;
};

/* "m=19456" or "m=19456,t=2,p=1": the number of one letter */
static bool
cost_of(struct bytes costs, char letter, uint64_t *out)
{
	struct bytes one;

	while (bytes_split(&costs, ',', &one))
		if (one.len > 2 && one.at[0] == letter && one.at[1] == '=')
			return bytes_number(bytes_cut(one, 2, SIZE_MAX), out);
	return false;
}

/* "$argon2id$v=19$m=19456,t=2,p=1$salt$hash"; without v= it is the version of before */
static bool
argon_read(struct bytes rest, struct argon *a)
{
	/* clang-format off */
	static const struct { const char *name; argon2_type type; } types[] = {
		{ "argon2id", Argon2_id }, { "argon2i", Argon2_i }, { "argon2d", Argon2_d },
	};
	/* clang-format on */
	struct bytes part, type;
	size_t       i = 0;

	if (!bytes_split(&rest, '$', &part) || part.len > 0 || !bytes_split(&rest, '$', &type) ||
	    !bytes_split(&rest, '$', &part))
		return false;
	while (i < COUNT(types) && !bytes_equal(type, bytes_of(types[i].name)))
		i++;
	if (i == COUNT(types))
		return false;
	a->type = types[i].type;
	a->version = ARGON2_VERSION_10;
	if (bytes_starts(part, BYTES("v=")) &&
	    (!bytes_number(bytes_cut(part, 2, SIZE_MAX), &a->version) ||
	     !bytes_split(&rest, '$', &part)))
		return false;
	return cost_of(part, 'm', &a->memory) && cost_of(part, 't', &a->turns) &&
	       cost_of(part, 'p', &a->lanes) && bytes_split(&rest, '$', &part) &&
	       scheme_base64(part, &a->salt) && scheme_base64(rest, &a->hash);
}

static bool
argon_dear(const struct argon *a)
{
	return a->memory > SCHEME_MEMORY / 1024 || a->turns > ARGON_TURNS ||
	       a->lanes > ARGON_LANES || a->memory * a->turns > 4 * (SCHEME_MEMORY / 1024);
}

/* In this thread alone, whatever the number of lanes: cages have no new threads. */
static bool
argon_hash(const struct argon *a, struct bytes password, unsigned char *out, size_t len)
{
	argon2_context c = {
		.out = out,
		.outlen = (uint32_t)len,
		.pwd = (uint8_t *)(uintptr_t)password.at,
		.pwdlen = (uint32_t)password.len,
		.salt = (uint8_t *)a->salt.at,
		.saltlen = (uint32_t)a->salt.len,
		.t_cost = (uint32_t)a->turns,
		.m_cost = (uint32_t)a->memory,
		.lanes = (uint32_t)a->lanes,
		.threads = 1,
		.version = (uint32_t)a->version,
	};

	return argon2_ctx(&c, a->type) == ARGON2_OK;
}

enum scheme_outcome
scheme_argon_check(struct scheme_work *w)
{
	struct argon        a = { 0 };
	unsigned char       made[64];
	enum scheme_outcome o = SCHEME_BROKEN;

	if (!argon_read(w->stored, &a) || a.hash.len < 4 || a.hash.len > sizeof made)
		w->why = "this is none of argon2's";
	else if (argon_dear(&a))
		w->why = "its cost is more than may be spent on one login";
	else if (!argon_hash(&a, w->password, made, a.hash.len))
		w->why = "argon2 does not take it";
	else
		o = scheme_compare(made, a.hash.len, buffer_bytes(&a.hash));
	buffer_free(&a.salt);
	buffer_free(&a.hash);
	return o;
}

bool
scheme_argon_make(struct scheme_work *w, struct buffer *out)
{
	struct password_record r;
	bool                   mixed = strcmp(w->scheme->detail, "$argon2id$") == 0;
	unsigned char          salt[SALT_BYTES];

	if (mixed && !password_make(w->password, &r))
		return false;
	random_fill(salt, sizeof salt);
	if (!mixed &&
	    argon2i_hash_encoded(4, 32 * 1024, 1, w->password.at, w->password.len, salt,
	                         sizeof salt, ARGON_HASH, r.hash, sizeof r.hash) != ARGON2_OK)
		return false;
	buffer_add_string(out, r.hash);
	return true;
}
