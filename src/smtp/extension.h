/*
 * extension -- the service extensions of SMTP and LMTP, by the words EHLO tells them with
 *
 * extension_find()   the extension a word names, 0 when it is none.
 * extensions_read()  a list as smtpd_discard_ehlo_keywords has it: words in any case, with
 *                    "silent-discard" for those who know it from Postfix.  False with the
 *                    first word that is none.
 */
#ifndef SMTP_EXTENSION_H
#define SMTP_EXTENSION_H

#include "base/bytes.h"

enum extension {
	EXTENSION_PIPELINING    = 1 << 0,    /* rfc2920 */
	EXTENSION_SIZE          = 1 << 1,    /* rfc1870 */
	EXTENSION_VRFY          = 1 << 2,
	EXTENSION_ETRN          = 1 << 3,    /* rfc1985 */
	EXTENSION_STARTTLS      = 1 << 4,    /* rfc3207 */
	EXTENSION_AUTH          = 1 << 5,    /* rfc4954 */
	EXTENSION_STATUS_CODES  = 1 << 6,    /* rfc2034 */
	EXTENSION_8BITMIME      = 1 << 7,    /* rfc6152 */
	EXTENSION_DSN           = 1 << 8,    /* rfc3461 */
	EXTENSION_SMTPUTF8      = 1 << 9,    /* rfc6531 */
	EXTENSION_CHUNKING      = 1 << 10,   /* rfc3030 */
	EXTENSION_BINARYMIME    = 1 << 11,   /* rfc3030 */
	EXTENSION_REQUIRETLS    = 1 << 12,   /* rfc8689 */
	EXTENSION_FUTURERELEASE = 1 << 13,   /* rfc4865 */
	EXTENSION_DELIVERBY     = 1 << 14,   /* rfc2852 */
	EXTENSION_PRIORITY      = 1 << 15,   /* rfc6710 */
	EXTENSION_LIMITS        = 1 << 16,   /* rfc9422 */
	EXTENSION_NO_SOLICITING = 1 << 17,   /* rfc3865 */
	EXTENSION_EXPN          = 1 << 18,
	EXTENSION_BURL          = 1 << 19,   /* rfc4468 */
	EXTENSION_XCLIENT       = 1 << 20,
	EXTENSION_XFORWARD      = 1 << 21,
	EXTENSION_XVERP         = 1 << 22,   /* Postfix's VERP_README */
};
unsigned extension_find(struct bytes word);
bool extensions_read(const char *const *word, size_t count, unsigned *out, const char **wrong);

#endif
