/* What others keep beside letters: From lines and status fields of an mbox, Dovecot's list of uids, a mail_location. */
#include <stdlib.h>
#include <string.h>

#include "store/location.h"
#include "store/maildir.h"
#include "store/mbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void
note_uid(void *ctx, struct bytes name, uint32_t uid)
{
	uint32_t *last = ctx;

	if (uid <= *last || name.len == 0)
		abort();
	*last = uid;
}

/* Status fields written from what was read say the same. */
static void
try_state(struct bytes text)
{
	struct mbox_state s = { 0 }, again = { 0 };
	struct buffer     out = { 0 };
	struct bytes      line, rest;

	while (bytes_split(&text, '\n', &line)) {
		size_t skip;
		if (mbox_is_from(line) && (mbox_is_quoted(line) || !mbox_needs_quote(line)))
			abort();
		if (mbox_is_kept(line, &skip) && skip > line.len)
			abort();
		(void)mbox_from_date(line);
		mbox_field_read(mbox_field_of(line), line, &s);
	}
	mbox_state_write(s.system, true, s.keywords, 200, &out);
	rest = buffer_bytes(&out);
	while (bytes_split(&rest, '\n', &line))
		mbox_field_read(mbox_field_of(line), line, &again);
	if (again.system != s.system || !bytes_equal(again.keywords, s.keywords))
		abort();
	buffer_free(&out);
}

static void
try_location(struct bytes text)
{
	struct arena   *a = arena_open(NULL);
	struct buffer   out = { 0 };
	struct location l;
	const char     *words = arena_copy(a, text);

	(void)location_complain(words, "/home/%n", a);
	if (location_expand(words, "/home/%n", BYTES("eva@example.org"), &out)) {
		buffer_add_char(&out, '\0');
		if (location_read(out.at, a, &l) && l.kind != LOCATION_LOG && l.root[0] != '/')
			abort();
	}
	buffer_reset(&out);
	(void)location_prefix(words, "/home/%n", 0, &out);
	buffer_free(&out);
	arena_close(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes in = { (const char *)at, len };
	uint32_t     uidvalidity, uidnext, last = 0;

	if (uidlist_read(in, &uidvalidity, &uidnext, note_uid, &last) && uidnext <= last && last != UINT32_MAX)
		abort();
	try_state(in);
	try_location(in);
	return 0;
}
