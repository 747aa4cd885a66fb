#include "channel/tls_rules.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS ",: \t\r\n"

/* A word of a list; false at the end. */
static bool
next_word(struct bytes *rest, struct bytes *word)
{
	size_t n = 0;

	while (rest->len > 0 && memchr(SEPARATORS, rest->at[0], sizeof SEPARATORS - 1) != NULL)
		*rest = bytes_cut(*rest, 1, rest->len);
	while (n < rest->len && memchr(SEPARATORS, rest->at[n], sizeof SEPARATORS - 1) == NULL)
		n++;
	*word = bytes_cut(*rest, 0, n);
	*rest = bytes_cut(*rest, n, rest->len);
	return word->len > 0;
}

/* A number as the handshake has it, in hex: "0304", or "0x0304".  -1: none. */
static long
version_number(struct bytes text)
{
	char copy[8], *end = copy;
	long n = -1;

	if (bytes_string(text, copy, sizeof copy))
		n = strtol(copy, &end, 16);
	return end > copy && *end == '\0' ? n : -1;
}

/* The place of a version among all there were; -1: none. */
static int
version_of(struct bytes name)
{
	static const struct {
		const char *name;
		long        number;
		int         place;
	} names[] = {
		{ "SSLv2", 0x0002, 0 },   { "SSLv3", 0x0300, 1 },   { "TLSv1", 0x0301, 2 },
		{ "TLSv1.0", 0x0301, 2 }, { "TLSv1.1", 0x0302, 3 }, { "TLSv1.2", 0x0303, 4 },
		{ "TLSv1.3", 0x0304, 5 },
	};

	for (size_t i = 0; i < COUNT(names); i++)
		if (bytes_equal_nocase(name, bytes_of(names[i].name)) ||
		    version_number(name) == names[i].number)
			return names[i].place;
	return -1;
}

enum { VERSIONS = 6, NEW = 1 << 4 | 1 << 5 };
struct range {
	unsigned with, without;
	int      least, most;
};

static bool
take_word(struct bytes word, struct range *r)
{
	bool at_least = bytes_starts(word, BYTES(">=")), at_most = bytes_starts(word, BYTES("<="));
	bool not = word.at[0] == '!';
	int v = version_of(bytes_cut(word, at_least || at_most ? 2 : not, word.len));

	if (v < 0)
		return false;
	if (at_least)
		r->least = v;
	else if (at_most)
		r->most = v;
	else if (not )
		r->without |= 1U << v;
	else
		r->with |= 1U << v;
	return true;
}

bool
tls_protocols(struct bytes text, struct tls_versions *out, struct bytes *wrong)
{
	struct range r = { .least = 0, .most = VERSIONS - 1 };
	struct bytes word;
	unsigned     spoken = 0;

	*wrong = (struct bytes){ "", 0 };
	while (next_word(&text, &word))
		if (!take_word(word, &r)) {
			*wrong = word;
			return false;
		}
	for (int v = r.least; v <= r.most; v++)
		if ((r.with == 0 || (r.with & 1U << v) != 0) && (r.without & 1U << v) == 0)
			spoken |= 1U << v;
	*out = (struct tls_versions){ (spoken & 1U << 4) != 0, (spoken & 1U << 5) != 0,
		                      (spoken & NEW) == 0 };
	if (out->older) {
		out->v12 = (r.without & 1U << 4) == 0;
		out->v13 = (r.without & 1U << 5) == 0;
	}
	return out->v12 || out->v13;
}

static bool
is_name_char(char c)
{
	char l = ascii_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || memchr("-_+.", c, 4) != NULL;
}

/* "aNULL", "RC4-SHA", "kECDHE+AES": what takes away and cannot add. */
static bool
is_cipher_name(struct bytes word)
{
	for (size_t i = 0; i < word.len; i++)
		if (!is_name_char(word.at[i]))
			return false;
	return word.at[0] != '+' && word.at[0] != '-';
}

static bool
cipher_list(struct bytes grade, const char *never, struct bytes exclude, struct buffer *out)
{
	struct bytes word;

	buffer_add(out, grade);
	buffer_add_string(out, never);
	while (next_word(&exclude, &word)) {
		if (word.at[0] == '!')
			word = bytes_cut(word, 1, word.len);
		if (word.len == 0 || !is_cipher_name(word))
			return false;
		buffer_printf(out, ":!%.*s", (int)word.len, word.at);
	}
	return true;
}

/* A key exchange by RSA would need the private key to decrypt with: the signer does not. */
bool
tls_ciphers(struct bytes grade, struct bytes exclude, struct buffer *out)
{
	return cipher_list(grade, ":!aNULL:!eNULL:!kRSA:!kPSK:!kSRP", exclude, out);
}

bool
tls_ciphers_outgoing(struct bytes grade, struct bytes exclude, struct buffer *out)
{
	return cipher_list(grade, ":!aNULL:!eNULL:!kPSK:!kSRP", exclude, out);
}

void
tls_curves(struct bytes names, struct buffer *out)
{
	struct bytes word;
	size_t       from = out->len;

	while (next_word(&names, &word))
		buffer_printf(out, "%s%.*s", out->len > from ? ":" : "", (int)word.len, word.at);
}

uint64_t
tls_option(struct bytes name)
{
	static const struct {
		const char *name;
		uint64_t    bit;
	} options[] = {
		{ "ENABLE_MIDDLEBOX_COMPAT", SSL_OP_ENABLE_MIDDLEBOX_COMPAT },
		{ "LEGACY_SERVER_CONNECT", SSL_OP_LEGACY_SERVER_CONNECT },
		{ "NO_COMPRESSION", SSL_OP_NO_COMPRESSION },
		{ "NO_ENCRYPT_THEN_MAC", SSL_OP_NO_ENCRYPT_THEN_MAC },
		{ "NO_RENEGOTIATION", SSL_OP_NO_RENEGOTIATION },
		{ "NO_SESSION_RESUMPTION_ON_RENEGOTIATION",
		  SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION },
		{ "NO_TICKET", SSL_OP_NO_TICKET },
		{ "PRIORITIZE_CHACHA", SSL_OP_PRIORITIZE_CHACHA },
	};

	for (size_t i = 0; i < COUNT(options); i++)
		if (bytes_equal_nocase(name, bytes_of(options[i].name)))
			return options[i].bit;
	return 0;
}
