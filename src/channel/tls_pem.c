/* tls_pem.c -- files of keys and certificates, cut at their borders (tls.h) */
#include "channel/tls.h"

#define KEY_MARK "# key\n"

static bool
is_certificate(struct bytes line)
{
	static const char *const kinds[] = { "-----BEGIN CERTIFICATE-----",
		                             "-----BEGIN X509 CERTIFICATE-----",
		                             "-----BEGIN TRUSTED CERTIFICATE-----" };

	for (size_t i = 0; i < COUNT(kinds); i++)
		if (bytes_starts(line, bytes_of(kinds[i])))
			return true;
	return false;
}

/* Whatever does not say of itself that it is a certificate stays where it is. */
void
tls_public_part(struct bytes pem, struct buffer *out)
{
	struct bytes line;
	bool         within = false, shown = false;

	while (bytes_split(&pem, '\n', &line)) {
		line = bytes_trim(line);
		if (bytes_starts(line, BYTES("-----BEGIN "))) {
			within = true;
			shown = is_certificate(line);
			if (!shown && bytes_search_nocase(line, BYTES("PRIVATE KEY")) >= 0)
				buffer_add_string(out, KEY_MARK);
		}
		if (within && shown)
			buffer_printf(out, "%.*s\n", (int)line.len, line.at);
		if (bytes_starts(line, BYTES("-----END ")))
			within = false;
	}
}

bool
tls_next_chain(struct bytes *rest, struct bytes *chain)
{
	while (rest->len > 0) {
		ptrdiff_t mark = bytes_search(*rest, BYTES(KEY_MARK));
		size_t    n = mark < 0 ? rest->len : (size_t)mark;

		*chain = bytes_cut(*rest, 0, n);
		*rest = bytes_cut(*rest, mark < 0 ? n : n + sizeof KEY_MARK - 1, rest->len);
		if (chain->len > 0)
			return true;
	}
	return false;
}
