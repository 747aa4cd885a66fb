/* Answers of web servers: however they come in pieces, they say the same in the end. */
#include <stdlib.h>

#include "smtp/sender/webreply.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	enum { MOST = 4096 };
	struct bytes     all = { (const char *)at, len };
	struct arena    *life = arena_open(NULL);
	struct webreply  whole, part;
	enum web_outcome o = webreply_read(all, true, MOST, life, &whole);

	if (o == WEB_MORE || (o == WEB_WHOLE && (whole.content.len > MOST || whole.code < 100)))
		abort();
	/* What is whole before its end stays so. */
	if (webreply_read(all, false, MOST, life, &part) == WEB_WHOLE &&
	    (o != WEB_WHOLE || !bytes_equal(whole.content, part.content)))
		abort();
	arena_close(&life);
	return 0;
}
