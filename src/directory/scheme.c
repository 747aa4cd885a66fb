#include "directory/scheme.h"
#include "base/base64.h"
#include "base/random.h"
#include "directory/scheme_inner.h"
#include <openssl/evp.h>
#include <string.h>

enum { SALT = 4, NAME_MOST = 40 };

static enum scheme_outcome plain_check(struct scheme_work *);
static bool                plain_make(struct scheme_work *, struct buffer *);
static enum scheme_outcome digest_check(struct scheme_work *);
static bool                digest_make(struct scheme_work *, struct buffer *);
static bool                salted_make(struct scheme_work *, struct buffer *);
static enum scheme_outcome realm_check(struct scheme_work *);
static bool                realm_make(struct scheme_work *, struct buffer *);
static enum scheme_outcome md5_check(struct scheme_work *);

/* clang-format off */
static const struct scheme schemes[] = {
	{ "ARGON2ID",      "$argon2id$", scheme_argon_check,  scheme_argon_make,  WRITTEN_PLAIN,  0,  0, 0 },
	{ "ARGON2I",       "$argon2i$",  scheme_argon_check,  scheme_argon_make,  WRITTEN_PLAIN,  0,  0, 0 },
	{ "CRYPT",         "$2y$",       scheme_crypt_check,  scheme_crypt_make,  WRITTEN_PLAIN,  0,  4, SCHEME_BCRYPT },
	{ "BLF-CRYPT",     "$2y$",       scheme_crypt_check,  scheme_crypt_make,  WRITTEN_PLAIN,  0,  4, SCHEME_BCRYPT },
	{ "YESCRYPT",      "$y$",        scheme_crypt_check,  scheme_crypt_make,  WRITTEN_PLAIN,  0,  1, 6 },
	{ "SHA512-CRYPT",  "$6$",        scheme_crypt_check,  scheme_crypt_make,  WRITTEN_PLAIN,  0,  1000, SCHEME_ROUNDS },
	{ "SHA256-CRYPT",  "$5$",        scheme_crypt_check,  scheme_crypt_make,  WRITTEN_PLAIN,  0,  1000, SCHEME_ROUNDS },
	{ "MD5-CRYPT",     "$1$",        scheme_crypt_check,  scheme_crypt_make,  WRITTEN_PLAIN,  0,  0, 0 },
	{ "DES-CRYPT",     "",           scheme_crypt_check,  scheme_crypt_make,  WRITTEN_PLAIN,  0,  0, 0 },
	{ "SCRAM-SHA-256", "SHA256",     scheme_scram_check,  scheme_scram_make,  WRITTEN_PLAIN,  0,  4096, SCHEME_ROUNDS },
	{ "SCRAM-SHA-1",   "SHA1",       scheme_scram_check,  scheme_scram_make,  WRITTEN_PLAIN,  0,  4096, SCHEME_ROUNDS },
	{ "PBKDF2",        "SHA1",       scheme_pbkdf2_check, scheme_pbkdf2_make, WRITTEN_PLAIN,  0,  1, SCHEME_ROUNDS },
	{ "PBKDF2-SHA1",   "SHA1",       scheme_pbkdf2_check, scheme_pbkdf2_make, WRITTEN_PLAIN,  0,  1, SCHEME_ROUNDS },
	{ "PBKDF2-SHA256", "SHA256",     scheme_pbkdf2_check, scheme_pbkdf2_make, WRITTEN_PLAIN,  0,  1, SCHEME_ROUNDS },
	{ "PBKDF2-SHA512", "SHA512",     scheme_pbkdf2_check, scheme_pbkdf2_make, WRITTEN_PLAIN,  0,  1, SCHEME_ROUNDS },
	{ "SSHA512",       "SHA512",     digest_check,        salted_make,        WRITTEN_BASE64, 64, 0, 0 },
	{ "SSHA256",       "SHA256",     digest_check,        salted_make,        WRITTEN_BASE64, 32, 0, 0 },
	{ "SSHA",          "SHA1",       digest_check,        salted_make,        WRITTEN_BASE64, 20, 0, 0 },
	{ "SMD5",          "MD5",        digest_check,        salted_make,        WRITTEN_BASE64, 16, 0, 0 },
	{ "SHA512",        "SHA512",     digest_check,        digest_make,        WRITTEN_BASE64, 64, 0, 0 },
	{ "SHA256",        "SHA256",     digest_check,        digest_make,        WRITTEN_BASE64, 32, 0, 0 },
	{ "SHA",           "SHA1",       digest_check,        digest_make,        WRITTEN_BASE64, 20, 0, 0 },
	{ "SHA1",          "SHA1",       digest_check,        digest_make,        WRITTEN_BASE64, 20, 0, 0 },
	{ "LDAP-MD5",      "MD5",        digest_check,        digest_make,        WRITTEN_BASE64, 16, 0, 0 },
	{ "PLAIN-MD5",     "MD5",        digest_check,        digest_make,        WRITTEN_HEX,    16, 0, 0 },
	{ "MD5",           "$1$",        md5_check,           scheme_crypt_make,  WRITTEN_PLAIN,  0,  0, 0 },
	{ "CRAM-MD5",      "MD5",        scheme_cram_check,   scheme_cram_make,   WRITTEN_HEX,    32, 0, 0 },
	{ "HMAC-MD5",      "MD5",        scheme_cram_check,   scheme_cram_make,   WRITTEN_HEX,    32, 0, 0 },
	{ "DIGEST-MD5",    "MD5",        realm_check,         realm_make,         WRITTEN_HEX,    16, 0, 0 },
	{ "PLAIN",         "",           plain_check,         plain_make,         WRITTEN_PLAIN,  0,  0, 0 },
	{ "CLEARTEXT",     "",           plain_check,         plain_make,         WRITTEN_PLAIN,  0,  0, 0 },
	{ "CLEAR",         "",           plain_check,         plain_make,         WRITTEN_PLAIN,  0,  0, 0 },
};
/* clang-format on */

const char *
scheme_name(size_t index, unsigned long *least, unsigned long *most)
{
	if (index >= COUNT(schemes))
		return NULL;
	*least = schemes[index].least;
	*most = schemes[index].most;
	return schemes[index].name;
}

/* ---- how it is written ---- */

static int
hex_digit(char c)
{
	c = ascii_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
scheme_hex(struct bytes text, struct buffer *out)
{
	size_t before = out->len;

	for (size_t i = 0; i + 1 < text.len; i += 2) {
		int high = hex_digit(text.at[i]), low = hex_digit(text.at[i + 1]);
		if (high < 0 || low < 0) {
			out->len = before;
			return false;
		}
		buffer_add_char(out, (char)(high << 4 | low));
	}
	return text.len % 2 == 0;
}

bool
scheme_base64(struct bytes text, struct buffer *out)
{
	struct buffer whole = { 0 };
	bool          good;

	while (text.len > 0 && text.at[text.len - 1] == '=')
		text.len--;
	for (size_t i = 0; i < text.len; i++)
		buffer_add_char(&whole, (char)(text.at[i] == '.' ? '+' : text.at[i]));
	while (whole.len % 4 != 0)
		buffer_add_char(&whole, '=');
	good = base64_decode(out, buffer_bytes(&whole));
	buffer_free(&whole);
	return good;
}

static void
write_out(enum scheme_written written, struct bytes raw, struct buffer *out)
{
	if (written == WRITTEN_PLAIN)
		buffer_add(out, raw);
	else if (written == WRITTEN_BASE64)
		base64_encode(out, raw);
	for (size_t i = 0; written == WRITTEN_HEX && i < raw.len; i++)
		buffer_printf(out, "%02x", (unsigned char)raw.at[i]);
}

/* A digest of known length tells by the length of its text which of the two it is. */
static bool
read_in(const struct scheme *s, enum scheme_written written, struct bytes text, struct buffer *out)
{
	if (written != WRITTEN_PLAIN && s->size > 0 && text.len == 2 * s->size &&
	    scheme_hex(text, out))
		return true;
	if (written == WRITTEN_PLAIN)
		buffer_add(out, text);
	return written == WRITTEN_PLAIN ? true
	       : written == WRITTEN_HEX ? scheme_hex(text, out) || scheme_base64(text, out)
	                                : scheme_base64(text, out);
}

/* ---- which it is ---- */

void
scheme_split(struct bytes stored, const char *fallback, struct bytes *scheme, struct bytes *rest)
{
	ptrdiff_t end = bytes_find(stored, '}');

	*scheme = bytes_of(fallback);
	*rest = stored;
	if (stored.len > 0 && stored.at[0] == '{' && end > 0 && end < NAME_MOST) {
		*scheme = bytes_cut(stored, 1, (size_t)end - 1);
		*rest = bytes_cut(stored, (size_t)end + 1, SIZE_MAX);
	}
}

static const struct scheme *
scheme_of(struct bytes name, enum scheme_written *written)
{
	/* clang-format off */
	static const struct { const char *ending; enum scheme_written written; } endings[] = {
		{ ".b64", WRITTEN_BASE64 }, { ".base64", WRITTEN_BASE64 }, { ".hex", WRITTEN_HEX },
	};
	/* clang-format on */
	size_t ending = COUNT(endings);

	for (size_t i = 0; i < COUNT(endings); i++)
		if (bytes_ends_nocase(name, bytes_of(endings[i].ending))) {
			name.len -= strlen(endings[i].ending);
			ending = i;
		}
	for (size_t i = 0; i < COUNT(schemes); i++)
		if (bytes_is(name, schemes[i].name)) {
			*written = ending < COUNT(endings) ? endings[ending].written
			                                   : schemes[i].written;
			return &schemes[i];
		}
	return NULL;
}

enum scheme_outcome
scheme_broken(struct scheme_work *w, const char *why)
{
	w->why = why;
	return SCHEME_BROKEN;
}

enum scheme_outcome
scheme_compare(const void *made, size_t len, struct bytes with)
{
	return bytes_equal_secret((struct bytes){ made, len }, with) ? SCHEME_RIGHT : SCHEME_WRONG;
}

enum scheme_outcome
scheme_check(struct bytes stored, const char *fallback, struct bytes user, struct bytes password,
             const char **why)
{
	struct scheme_work  w = { .user = user, .password = password };
	struct buffer       raw = { 0 };
	enum scheme_written written = WRITTEN_PLAIN;
	enum scheme_outcome o = SCHEME_BROKEN;
	struct bytes        name, rest;

	scheme_split(stored, fallback, &name, &rest);
	*why = "no such scheme";
	if (!bytes_string(password, w.word, sizeof w.word))
		return SCHEME_WRONG;
	if (rest.len > SCHEME_STORED_MOST)
		*why = "what is stored is too long";
	else if ((w.scheme = scheme_of(name, &written)) != NULL) {
		*why = "what is stored is not written as its scheme wants it";
		if (read_in(w.scheme, written, rest, &raw)) {
			w.stored = buffer_bytes(&raw);
			w.why = *why;
			o = w.scheme->check(&w);
			*why = w.why;
		}
	}
	explicit_bzero(w.word, sizeof w.word);
	if (raw.len > 0)
		explicit_bzero(raw.at, raw.len);
	buffer_free(&raw);
	return o;
}

bool
scheme_make(struct bytes name, unsigned long rounds, struct bytes user, struct bytes password,
            struct buffer *out)
{
	struct scheme_work  w = { .user = user, .password = password, .rounds = rounds };
	struct buffer       raw = { 0 };
	enum scheme_written written = WRITTEN_PLAIN;
	bool                good;

	w.scheme = scheme_of(name, &written);
	if (w.scheme == NULL || password.len == 0 ||
	    !bytes_string(password, w.word, sizeof w.word) ||
	    (rounds != 0 && (rounds < w.scheme->least || rounds > w.scheme->most)))
		return false;
	good = w.scheme->make(&w, &raw);
	if (good) {
		buffer_add_char(out, '{');
		for (size_t i = 0; i < name.len; i++)
			buffer_add_char(out, ascii_upper(name.at[i]));
		buffer_add_char(out, '}');
		write_out(written, buffer_bytes(&raw), out);
	}
	explicit_bzero(w.word, sizeof w.word);
	if (raw.len > 0)
		explicit_bzero(raw.at, raw.len);
	buffer_free(&raw);
	return good;
}

bool
scheme_plain(struct bytes stored, const char *fallback, struct arena *a, struct bytes *out)
{
	struct buffer        raw = { 0 };
	enum scheme_written  written = WRITTEN_PLAIN;
	struct bytes         name, rest;
	const struct scheme *s;
	bool                 good;

	scheme_split(stored, fallback, &name, &rest);
	s = scheme_of(name, &written);
	good = s != NULL && s->check == plain_check && rest.len <= SCHEME_STORED_MOST &&
	       read_in(s, written, rest, &raw);
	if (good)
		*out = arena_keep(a, buffer_bytes(&raw));
	if (raw.len > 0)
		explicit_bzero(raw.at, raw.len);
	buffer_free(&raw);
	return good;
}

bool
scheme_derived(struct bytes stored, const char *fallback, const char *name, struct arena *a,
               struct bytes *out)
{
	struct buffer        raw = { 0 };
	enum scheme_written  written = WRITTEN_PLAIN, as;
	struct bytes         said, rest;
	const struct scheme *s, *wanted = scheme_of(bytes_of(name), &as);
	bool                 good;

	scheme_split(stored, fallback, &said, &rest);
	s = scheme_of(said, &written);
	/* HMAC-MD5 is another name of CRAM-MD5. */
	good = s != NULL && wanted != NULL && s->check == wanted->check &&
	       rest.len <= SCHEME_STORED_MOST && read_in(s, written, rest, &raw) &&
	       raw.len == wanted->size;
	if (good)
		*out = arena_keep(a, buffer_bytes(&raw));
	if (raw.len > 0)
		explicit_bzero(raw.at, raw.len);
	buffer_free(&raw);
	return good;
}

/* crypt(5): of the two oldest kinds, which have no dollars. */
static bool
is_oldest_crypt(const struct scheme *s, struct bytes raw)
{
	static const char letters[] =
		"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	bool extended = raw.len == 20 && raw.at[0] == '_';

	if (strcmp(s->name, "CRYPT") != 0 || (raw.len != 13 && !extended))
		return false;
	for (size_t i = extended; i < raw.len; i++)
		if (raw.at[i] == '\0' || strchr(letters, raw.at[i]) == NULL)
			return false;
	return true;
}

/* How many parts it has that begin with a dollar. */
static size_t
parts_of(struct bytes raw)
{
	size_t n = 0;

	for (size_t i = 0; i < raw.len; i++)
		n += raw.at[i] == '$';
	return n;
}

/* Such as a line of a table that was cut off at a comma. */
static const char *
part_missing(const struct scheme *s, struct bytes stored, const char *fallback, struct bytes raw)
{
	struct arena       *a = arena_open(NULL);
	struct scheme_scram kept;
	const char         *wrong = NULL;

	if (s->check == scheme_argon_check && parts_of(raw) < 4)
		wrong = "a part of what is stored is missing: right is $argon2id$v=19$m=65536,t=3,p=4$salt$hash";
	else if (s->check == scheme_pbkdf2_check && parts_of(raw) < 4)
		wrong = "a part of what is stored is missing: right is $1$salt$rounds$hash";
	else if (s->check == scheme_scram_check &&
	         !scheme_scram(stored, fallback, s->name, a, &kept))
		wrong = "a part of what is stored is missing: right is rounds,salt,stored key,server key";
	arena_close(&a);
	return wrong;
}

const char *
scheme_wrong(struct bytes stored, const char *fallback)
{
	struct buffer        raw = { 0 };
	enum scheme_written  written = WRITTEN_PLAIN;
	struct bytes         name, rest;
	const struct scheme *s;
	const char          *wrong = NULL;

	scheme_split(stored, fallback, &name, &rest);
	s = scheme_of(name, &written);
	if (s == NULL)
		return "there is no scheme of this name";
	if (rest.len > SCHEME_STORED_MOST)
		return "what is stored is too long";
	if (!read_in(s, written, rest, &raw))
		wrong = "what is stored is not written as its scheme wants it: base64 or hex digits";
	else if (s->check == digest_check && raw.len < s->size)
		wrong = "what is stored is shorter than its digest";
	else if (s->check == scheme_crypt_check && s->detail[0] == '$' && raw.len > 0 &&
	         !is_oldest_crypt(s, buffer_bytes(&raw)) &&
	         (raw.at[0] != '$' ||
	          bytes_find(bytes_cut(buffer_bytes(&raw), 1, SIZE_MAX), '$') < 0))
		wrong = "what is stored is none of crypt(5), as $6$salt$hash";
	else
		wrong = part_missing(s, stored, fallback, buffer_bytes(&raw));
	if (raw.len > 0)
		explicit_bzero(raw.at, raw.len);
	buffer_free(&raw);
	return wrong;
}

/* ---- the quick ones ---- */

static enum scheme_outcome
plain_check(struct scheme_work *w)
{
	return w->stored.len == 0 ? SCHEME_WRONG
	                          : scheme_compare(w->stored.at, w->stored.len, w->password);
}

static bool
plain_make(struct scheme_work *w, struct buffer *out)
{
	buffer_add(out, w->password);
	return true;
}

static bool
digest(const char *name, struct bytes a, struct bytes b, unsigned char out[EVP_MAX_MD_SIZE],
       unsigned int *len)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool good = c != NULL && EVP_DigestInit_ex(c, EVP_get_digestbyname(name), NULL) == 1 &&
	            EVP_DigestUpdate(c, a.at, a.len) == 1 &&
	            EVP_DigestUpdate(c, b.at, b.len) == 1 && EVP_DigestFinal_ex(c, out, len) == 1;

	EVP_MD_CTX_free(c);
	return good;
}

/* digest(password salt), and the salt behind it where there is one */
static enum scheme_outcome
digest_check(struct scheme_work *w)
{
	unsigned char made[EVP_MAX_MD_SIZE];
	unsigned int  len = 0;
	bool          salted = w->scheme->make == salted_make;

	if (w->stored.len < w->scheme->size || (!salted && w->stored.len > w->scheme->size))
		return scheme_broken(w, "what is stored has not the length of its digest");
	if (!digest(w->scheme->detail, w->password, bytes_cut(w->stored, w->scheme->size, SIZE_MAX),
	            made, &len))
		return scheme_broken(w, "the digest is not to be had here");
	return scheme_compare(made, len, bytes_cut(w->stored, 0, w->scheme->size));
}

static bool
digest_make(struct scheme_work *w, struct buffer *out)
{
	unsigned char made[EVP_MAX_MD_SIZE];
	unsigned int  len = 0;

	if (!digest(w->scheme->detail, w->password, (struct bytes){ NULL, 0 }, made, &len))
		return false;
	buffer_add(out, (struct bytes){ (const char *)made, len });
	return true;
}

static bool
salted_make(struct scheme_work *w, struct buffer *out)
{
	unsigned char made[EVP_MAX_MD_SIZE];
	unsigned int  len = 0;
	char          salt[SALT];

	random_fill(salt, sizeof salt);
	if (!digest(w->scheme->detail, w->password, (struct bytes){ salt, sizeof salt }, made,
	            &len))
		return false;
	buffer_add(out, (struct bytes){ (const char *)made, len });
	buffer_add(out, (struct bytes){ salt, sizeof salt });
	return true;
}

/* rfc2831:2.1.2.1  H(username ":" realm ":" password); of user@realm */
static bool
realm_make(struct scheme_work *w, struct buffer *out)
{
	ptrdiff_t     at = bytes_find_last(w->user, '@');
	struct bytes  name = at < 0 ? w->user : bytes_cut(w->user, 0, (size_t)at);
	struct bytes  realm = at < 0 ? BYTES("") : bytes_cut(w->user, (size_t)at + 1, SIZE_MAX);
	struct buffer before = { 0 };
	unsigned char made[EVP_MAX_MD_SIZE];
	unsigned int  len = 0;
	bool          good;

	buffer_add(&before, name);
	buffer_add_char(&before, ':');
	buffer_add(&before, realm);
	buffer_add_char(&before, ':');
	good = digest("MD5", buffer_bytes(&before), w->password, made, &len);
	if (good)
		buffer_add(out, (struct bytes){ (const char *)made, len });
	buffer_free(&before);
	return good;
}

static enum scheme_outcome
realm_check(struct scheme_work *w)
{
	struct buffer       made = { 0 };
	enum scheme_outcome o = SCHEME_BROKEN;

	if (realm_make(w, &made))
		o = scheme_compare(made.at, made.len, w->stored);
	buffer_free(&made);
	return o;
}

/* Dovecot's MD5 is that of crypt(5) or a bare digest. */
static enum scheme_outcome
md5_check(struct scheme_work *w)
{
	static const struct scheme bare = { .name = "PLAIN-MD5", .detail = "MD5", .size = 16 };
	struct buffer              raw = { 0 };
	enum scheme_outcome        o;

	if (bytes_starts(w->stored, BYTES("$1$")))
		return scheme_crypt_check(w);
	if (!read_in(&bare, WRITTEN_BASE64, w->stored, &raw)) {
		buffer_free(&raw);
		return scheme_broken(w, "this is neither a digest nor one of crypt(5)");
	}
	w->scheme = &bare;
	w->stored = buffer_bytes(&raw);
	o = digest_check(w);
	buffer_free(&raw);
	return o;
}
