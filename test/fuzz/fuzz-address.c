/* Paths and address lists: what is read back from what we write is the same. */
#include <stdlib.h>

#include "base/buffer.h"
#include "message/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
try_path(struct bytes in, enum path_style style)
{
	struct arena *a = arena_open(NULL);
	struct scan r = scan_of(in), again;
	struct address got, back;
	struct buffer b = { 0 };

	if (path_parse(&r, style, a, &got)) {
		buffer_add_char(&b, '<');
		buffer_add(&b, address_text(a, &got));
		buffer_add_char(&b, '>');
		again = scan_of(buffer_bytes(&b));
		if (got.local.len + got.domain.len < 200 && !(got.local.len > 0 && got.domain.len == 0)) {
			if (!path_parse(&again, PATH_LENIENT | PATH_UTF8, a, &back) ||
			    !bytes_equal(got.local, back.local) || !bytes_equal(got.domain, back.domain))
				abort();
		}
		if (got.domain.len > 0 && !(style & PATH_UTF8) && !domain_valid(got.domain))
			abort();
	} else if (r.fault == NULL) {
		abort();
	}
	buffer_free(&b);
	arena_close(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes in = { (const char *)at, len };
	struct arena *a = arena_open(NULL);
	struct mailboxes r;
	struct mailbox m;
	struct address got;
	size_t mailboxes = 0, open = 0, sum = 0;

	try_path(in, PATH_STRICT);
	try_path(in, PATH_LENIENT);
	try_path(in, PATH_UTF8);
	try_path(in, PATH_LENIENT | PATH_UTF8);
	if (address_parse(in, a, &got))
		(void)address_text(a, &got);
	r = mailboxes_of(in, a);
	while (mailboxes_next(&r, &m)) {
		mailboxes++;
		open += m.group_start;
		open -= m.group_end;
		if (open > 1)
			abort();
		sum += m.name.len + m.local.len + m.domain.len;
	}
	if (open != 0 || mailboxes > len + 1 || sum > 2 * len)
		abort();
	arena_close(&a);
	return 0;
}
