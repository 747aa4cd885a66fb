/* TLSA records of anybody: what counts as usable OpenSSL can use. */
#include <stdlib.h>

#include "smtp/sender/tlsa.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct tls_record r;
	struct buffer     text = { 0 };

	if (tlsa_read((struct bytes){ (const char *)at, len }, &r)) {
		if (tls_record_usable(&r) &&
		    (r.usage < 2 || r.usage > 3 || r.selector > 1 || r.matching > 2))
			abort();
		tlsa_write(&r, &text);
		if (text.len < 8)
			abort();
	}
	buffer_free(&text);
	return 0;
}
