#include "smtp/extension.h"

/* clang-format off */
static const struct {
	const char *word;
	unsigned    bit;
} extensions[] = {
	{ "PIPELINING",          EXTENSION_PIPELINING },
	{ "SIZE",                EXTENSION_SIZE },
	{ "VRFY",                EXTENSION_VRFY },
	{ "ETRN",                EXTENSION_ETRN },
	{ "STARTTLS",            EXTENSION_STARTTLS },
	{ "AUTH",                EXTENSION_AUTH },
	{ "ENHANCEDSTATUSCODES", EXTENSION_STATUS_CODES },
	{ "8BITMIME",            EXTENSION_8BITMIME },
	{ "DSN",                 EXTENSION_DSN },
	{ "SMTPUTF8",            EXTENSION_SMTPUTF8 },
	{ "CHUNKING",            EXTENSION_CHUNKING },
	{ "BINARYMIME",          EXTENSION_BINARYMIME },
	{ "REQUIRETLS",          EXTENSION_REQUIRETLS },
	{ "FUTURERELEASE",       EXTENSION_FUTURERELEASE },
	{ "DELIVERBY",           EXTENSION_DELIVERBY },
	{ "MT-PRIORITY",         EXTENSION_PRIORITY },
	{ "LIMITS",              EXTENSION_LIMITS },
	{ "NO-SOLICITING",       EXTENSION_NO_SOLICITING },
	{ "EXPN",                EXTENSION_EXPN },
	{ "BURL",                EXTENSION_BURL },
	{ "XCLIENT",             EXTENSION_XCLIENT },
	{ "XFORWARD",            EXTENSION_XFORWARD },
	{ "XVERP",               EXTENSION_XVERP },
};
/* clang-format on */

unsigned
extension_find(struct bytes word)
{
	for (size_t i = 0; i < COUNT(extensions); i++)
		if (bytes_is(word, extensions[i].word))
			return extensions[i].bit;
	return 0;
}

bool
extensions_read(const char *const *word, size_t count, unsigned *out, const char **wrong)
{
	*out = 0;
	for (size_t i = 0; i < count; i++) {
		unsigned bit = extension_find(bytes_of(word[i]));

		if (bit == 0 && !bytes_is(bytes_of(word[i]), "silent-discard")) {
			*wrong = word[i];
			return false;
		}
		*out |= bit;
	}
	return true;
}
