/* Header and body checks: a letter whose fields say what is to be done with them. */
#include <string.h>

#include "base/journal.h"
#include "policy/checks-elsewhere.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum check_answer
obedient(void *ctx, const char *table, struct bytes key, struct arena *life, struct bytes *value)
{
	ptrdiff_t at = bytes_search(key, BYTES(": "));

	(void)ctx;
	(void)table;
	(void)life;
	if (bytes_starts(key, BYTES("?")))
		return CHECK_LATER;
	*value = bytes_cut(key, at < 0 ? 0 : (size_t)at + 2, key.len);
	return at < 0 && key.len > 20 ? CHECK_NOTHING : CHECK_SAYS;
}

/* What is to be asked elsewhere: broken lists are told, whole ones come back as they are, and what is not known is noted once. */
static void
ask_elsewhere(struct bytes in)
{
	struct arena              *a = arena_open(NULL);
	struct elsewhere          *e = elsewhere_open(in);
	struct elsewhere_question *q;
	struct buffer              again = { 0 };
	struct bytes               value;
	uint32_t                   n = 0;

	q = elsewhere_unpack(in, a, &n);
	INSIDE((e != NULL) == (q != NULL || in.len == 0));
	if (q != NULL) {
		elsewhere_pack(q, n, &again);
		INSIDE(bytes_equal(buffer_bytes(&again), in));
	}
	for (size_t i = 0; e != NULL && i < 2; i++)
		(void)elsewhere_find(e, "x:y", in, &value);
	buffer_reset(&again);
	if (e != NULL)
		elsewhere_wanted(e, &again);
	INSIDE(e == NULL || (elsewhere_unpack(buffer_bytes(&again), a, &n) != NULL && n <= 1));
	elsewhere_close(&e);
	buffer_free(&again);
	arena_close(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const one[] = { "x" };
	static bool              quiet;
	struct bytes             in = { (const char *)data, size };
	struct checks_settings   set = { .body_most = 1000,
		                         .boundary_most = 20,
		                         .nest_most = 4,
		                         .strict = true,
		                         .strict_encoding = true };
	struct checks_needs      needs = { obedient, NULL };
	struct arena            *a = arena_open(NULL);
	struct checks_said       said, got;
	struct buffer            packed = { 0 }, again = { 0 }, left = { 0 };

	for (size_t i = 0; i < CHECK_LISTS; i++)
		set.list[i] = (struct setting_list){ one, 1 };
	if (!quiet)
		journal_open(JOURNAL_FILE, -1, false, "host");
	quiet = true;
	checks_run(&set, &needs, bytes_cut(in, 0, 40), in, a, &said);
	checks_pack(&said, &packed);
	INSIDE(checks_unpack(buffer_bytes(&packed), a, &got));
	INSIDE(edits_fit(&got.edits, size, 0));
	edits_apply(&got.edits, in, BYTES(""), &left);
	INSIDE(left.len == edits_size(&got.edits, size));
	INSIDE(bytes_find(got.reply, '\n') < 0 && bytes_find(got.reply, '\r') < 0);
	ask_elsewhere(in);
	if (checks_unpack(in, a, &got)) {
		checks_pack(&got, &again);
		INSIDE(bytes_equal(buffer_bytes(&again), in));
	}
	buffer_free(&packed);
	buffer_free(&again);
	buffer_free(&left);
	arena_close(&a);
	return 0;
}
