/* Decoders: the first byte chooses; UTF-8 comes out; modified UTF-7 goes there and back. */
#include <stdlib.h>

#include "message/encoding.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
want_utf8(const struct buffer *b)
{
	if (!utf8_valid(buffer_bytes(b)))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	static const char *const charsets[] = {
		"utf-8", "us-ascii", "latin1", "gb18030", "big5", "iso-2022-jp", "shift_jis", "euc-kr",
		"utf-16", "utf-7", "euc-tw", "iso-2022-kr", "koi8-r", "windows-1255", "", "x",
	};
	struct buffer b = { 0 }, back = { 0 };
	struct bytes in;

	if (len == 0)
		return 0;
	in = (struct bytes){ (const char *)at + 1, len - 1 };
	charset_to_utf8(bytes_of(charsets[at[0] % COUNT(charsets)]), in, at[0] < 128 ? SIZE_MAX : at[0], &b);
	want_utf8(&b);
	if (at[0] >= 128 && b.len > at[0])
		abort();
	buffer_reset(&b);
	words_decode(in, &b);
	want_utf8(&b);
	if (bytes_find(buffer_bytes(&b), '\n') >= 0)
		abort();
	buffer_reset(&b);
	qp_decode(in, &b);
	if (b.len > in.len)
		abort();
	buffer_reset(&b);
	base64_decode_mime(in, &b);
	buffer_reset(&b);
	if (utf7_to_utf8(in, &b)) {
		want_utf8(&b);
		utf8_to_utf7(buffer_bytes(&b), &back);
		if (!bytes_equal(buffer_bytes(&back), in))
			abort();
	}
	buffer_reset(&b);
	buffer_reset(&back);
	utf8_to_utf7(in, &b);
	if (utf8_valid(in) && bytes_find(in, '\0') < 0 &&
	    (!utf7_to_utf8(buffer_bytes(&b), &back) || !bytes_equal(buffer_bytes(&back), in)))
		abort();
	buffer_free(&back);
	buffer_free(&b);
	return 0;
}
