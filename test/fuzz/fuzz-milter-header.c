/* A header section, and what a filter does to its fields, one after the other: the edits fit the section, what comes of them
   are whole fields, and nothing is there that was taken out.  Up to the first byte 0xff it is the section; then each step is
   a byte that says what, one for the place, and name and value up to the next 0xff and 0xfe. */
#include "base/journal.h"
#include "policy/milter-header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes
until(struct bytes *rest, char end)
{
	struct bytes part;

	if (!bytes_split(rest, end, &part))
		return BYTES("");
	return part;
}

/* rfc5322:3.6.8 */
static bool
begins_field(struct bytes line)
{
	ptrdiff_t colon = bytes_find(line, ':');

	for (ptrdiff_t i = 0; i < colon; i++)
		if (line.at[i] <= ' ' || line.at[i] > '~')
			return false;
	return colon > 0 && colon <= 200;
}

static bool
is_made_of_fields(struct bytes text)
{
	struct bytes line;
	bool         first = true;

	if (text.len == 0)
		return true;
	if (!bytes_ends_nocase(text, BYTES("\r\n")))
		return false;
	if ((text.len -= 2) == 0)
		return false;
	while (bytes_split(&text, '\n', &line)) {
		bool more = line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t');

		if (text.at != NULL && text.len > 0 && (line.len == 0 || line.at[line.len - 1] != '\r'))
			return false;
		if (more ? first : !begins_field(line))
			return false;
		first = false;
	}
	return true;
}

static void
step(struct milter_header *h, struct bytes *rest)
{
	uint8_t      what = (uint8_t)rest->at[0];
	uint32_t     place = rest->len > 1 ? (uint8_t)rest->at[1] : 0;
	struct bytes name, value;

	*rest = bytes_cut(*rest, 2, rest->len);
	name = until(rest, '\xff');
	value = until(rest, '\xfe');
	switch (what & 3) {
	case 0: (void)milter_header_add(h, name, what & 4 ? " " : "", value); break;
	case 1: (void)milter_header_insert(h, place, name, what & 4 ? " " : "", value); break;
	default: (void)milter_header_change(h, place, name, what & 4 ? " " : "", value); break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes         rest = { (const char *)data, size }, head = until(&rest, '\xff');
	struct arena        *life = arena_open(NULL);
	struct milter_header h = { 0 };
	struct edits         edits = edits_in(life);
	struct buffer        front = { 0 }, whole = { 0 };
	bool                 sound;

	milter_header_read(&h, life, head);
	sound = is_made_of_fields(head);
	for (int n = 0; rest.len > 0 && n < 200; n++)
		step(&h, &rest);
	if (milter_header_edits(&h, &edits, &front)) {
		INSIDE(edits_fit(&edits, head.len, 0));
		edits_apply(&edits, head, BYTES(""), &whole);
		INSIDE(whole.len == edits_size(&edits, head.len));
		if (sound)
			INSIDE(is_made_of_fields(buffer_bytes(&whole)) && is_made_of_fields(buffer_bytes(&front)));
		if (sound && !milter_header_changed(&h))
			INSIDE(bytes_equal(buffer_bytes(&whole), head) && front.len == 0);
	}
	buffer_free(&front);
	buffer_free(&whole);
	arena_close(&life);
	return 0;
}
