/*
 * certificate -- keys and certificates to begin with
 *
 * From:     command demo, command setup
 * Touches:  the four files that are named
 *
 * certificate_make()   an ECDSA P-256 key and a certificate for it, both as PEM files; the key
 *     file has mode 0600.  `authority` makes a certificate that signs others; `issuer` and
 *     `issuer_key` are the files of one, NULL: it signs itself.  `names` are for subjectAltName,
 *     the first is the common name; those that are addresses become addresses.
 * certificate_good()   whether the two files belong together, name `host` (NULL: any), and hold for another
 *     day at least.
 *
 * Fails:    false, with words in *errors.  A file is there whole or not at all.
 * See:      rfc5280:4.2.1
 */
#ifndef COMMAND_CERTIFICATE_H
#define COMMAND_CERTIFICATE_H

#include "base/buffer.h"

struct certificate_wish {
	const char        *certificate, *key;    /* files to be made                   */
	const char *const *names;                /* NULL at the end                    */
	bool               authority;
	const char        *issuer, *issuer_key;  /* NULL: signed with its own key      */
	int                days;
};
bool certificate_make(const struct certificate_wish *, struct buffer *errors);
bool certificate_good(const char *certificate, const char *key, const char *host);

#endif
