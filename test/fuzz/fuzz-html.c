/* A page in two pieces says what it says in one; what is seen is no longer than the page. */
#include <stdlib.h>
#include <string.h>

#include "message/encoding.h"
#include "message/html.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct buffer page = { 0 }, whole = { 0 }, pieces = { 0 };
	struct html   a = { 0 }, b = { 0 };
	struct bytes  all;
	size_t        cut = len > 0 ? at[0] : 0;

	charset_to_utf8(BYTES("utf-8"), (struct bytes){ (const char *)at, len }, SIZE_MAX, &page);
	all = buffer_bytes(&page);
	while (cut < all.len && ((unsigned char)all.at[cut] & 0xc0) == 0x80)
		cut++;
	html_text(&a, all, &whole);
	html_end(&a, &whole);
	html_text(&b, bytes_cut(all, 0, cut), &pieces);
	html_text(&b, bytes_cut(all, cut, all.len), &pieces);
	html_end(&b, &pieces);
	if (whole.len != pieces.len || (whole.len > 0 && memcmp(whole.at, pieces.at, whole.len) != 0) ||
	    whole.len > all.len)
		abort();
	buffer_free(&page);
	buffer_free(&whole);
	buffer_free(&pieces);
	return 0;
}
