#include "message/subject.h"

#include <string.h>

#include "message/encoding.h"

enum { REFERENCES_MOST = 1000, ID_MOST = 998 };

/*
 * Base subject, rfc5256:2.1 with its grammar in :5
 */

static void
eat(struct bytes *b, size_t n)
{
	*b = (struct bytes){ b->at + n, b->len - n };
}

static void
eat_blanks(struct bytes *b)
{
	while (b->len > 0 && b->at[0] == ' ')
		eat(b, 1);
}

/* subj-trailer = "(fwd)" / WSP, as often as it stands there */
static void
cut_trailers(struct bytes *b, bool *reply)
{
	for (;;) {
		if (b->len > 0 && b->at[b->len - 1] == ' ')
			b->len--;
		else if (bytes_ends_nocase(*b, BYTES("(fwd)"))) {
			b->len -= 5;
			*reply = true;
		} else
			return;
	}
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP */
static bool
eat_blob(struct bytes *b)
{
	struct bytes r = *b;

	if (r.len == 0 || r.at[0] != '[')
		return false;
	eat(&r, 1);
	while (r.len > 0 && r.at[0] != '[' && r.at[0] != ']')
		eat(&r, 1);
	if (r.len == 0 || r.at[0] != ']')
		return false;
	eat(&r, 1);
	eat_blanks(&r);
	*b = r;
	return true;
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static bool
eat_refwd(struct bytes *b)
{
	struct bytes r = *b;

	if (bytes_starts_nocase(r, BYTES("re")))
		eat(&r, 2);
	else if (bytes_starts_nocase(r, BYTES("fwd")))
		eat(&r, 3);
	else if (bytes_starts_nocase(r, BYTES("fw")))
		eat(&r, 2);
	else
		return false;
	eat_blanks(&r);
	(void)eat_blob(&r);
	if (r.len == 0 || r.at[0] != ':')
		return false;
	eat(&r, 1);
	*b = r;
	return true;
}

/* Steps 3 to 5.  A run of blobs is looked over once: if no re or fwd follows
   it, all of them go, but the last stays if nothing else is left. */
static void
cut_leaders(struct bytes *b, bool *reply)
{
	for (;;) {
		struct bytes r, last;

		eat_blanks(b);
		r = last = *b;
		while (eat_blob(&r) && r.len > 0)
			last = r;
		if (r.len == 0) {
			*b = last;
			return;
		}
		*b = r;
		if (!eat_refwd(b))
			return;
		*reply = true;
	}
}

/* Tabs and runs of blanks become one blank: step 1. */
static struct bytes
one_blanks(struct bytes in, struct arena *a)
{
	char  *out = arena_take(a, in.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		char c = in.at[i] == '\t' ? ' ' : in.at[i];

		if (c != ' ' || n == 0 || out[n - 1] != ' ')
			out[n++] = c;
	}
	return (struct bytes){ out, n };
}

static struct bytes
base_of(struct bytes b, bool *reply)
{
	for (;;) {
		cut_trailers(&b, reply);
		cut_leaders(&b, reply);
		/* subj-fwd = "[fwd:" subj-base "]": step 6 */
		if (!bytes_starts_nocase(b, BYTES("[fwd:")) || b.at[b.len - 1] != ']')
			return b;
		b = bytes_cut(b, 5, b.len - 6);
		*reply = true;
	}
}

struct bytes
subject_base(struct bytes decoded, struct arena *a)
{
	bool reply = false;

	return base_of(one_blanks(decoded, a), &reply);
}

bool
subject_is_reply(struct bytes decoded, struct arena *a)
{
	bool reply = false;

	(void)base_of(one_blanks(decoded, a), &reply);
	return reply;
}

/*
 * Message ids, rfc5322:3.6.4
 */

/* The quotes of a local part that needs none. */
static struct bytes
without_quotes(struct bytes id, struct arena *a)
{
	ptrdiff_t    close;
	struct bytes inside;
	char        *out;
	size_t       n = 0;

	if (id.len < 5 || id.at[1] != '"')
		return id;
	close = bytes_find(bytes_cut(id, 2, id.len), '"');
	if (close <= 0 || id.at[close + 3] != '@')
		return id;
	inside = bytes_cut(id, 2, (size_t)close);
	for (size_t i = 0; i < inside.len; i++)
		if (strchr("()<>@,;:\\\"[] ", inside.at[i]) != NULL)
			return id;
	out = arena_take(a, id.len);
	out[n++] = '<';
	memcpy(out + n, inside.at, inside.len);
	n += inside.len;
	memcpy(out + n, id.at + close + 3, id.len - (size_t)close - 3);
	return (struct bytes){ out, n + id.len - (size_t)close - 3 };
}

/* msg-id = "<" id-left "@" id-right ">", off the front of *b.  Blanks inside,
   which folding put there, are taken for an end of it.  False when none is left. */
static bool
take_id(struct bytes *b, struct arena *a, struct bytes *id)
{
	ptrdiff_t open;

	while ((open = bytes_find(*b, '<')) >= 0) {
		size_t n = 1;
		bool   at = false;

		eat(b, (size_t)open);
		while (n < b->len && b->at[n] != '>' && b->at[n] != '<' &&
		       (unsigned char)b->at[n] > ' ' && b->at[n] != 0x7f) {
			at = at || b->at[n] == '@';
			n++;
		}
		*id = bytes_cut(*b, 0, n + 1);
		if (n < b->len && b->at[n] == '>') {
			eat(b, n + 1);
			if (at && id->len <= ID_MOST && utf8_valid(*id)) {
				*id = without_quotes(*id, a);
				return true;
			}
		} else {
			eat(b, n);
		}
	}
	return false;
}

struct bytes
message_id_of(struct bytes field, struct arena *a)
{
	struct bytes id;

	return take_id(&field, a, &id) ? id : BYTES("");
}

struct bytes
references_of(struct bytes references, struct bytes in_reply_to, struct arena *a)
{
	struct bytes id;
	char  *out = arena_take(a, references.len / 3 * 4 + 1); /* <@> is the least, and a blank */
	size_t n = 0, len = 0;

	while (n < REFERENCES_MOST && take_id(&references, a, &id)) {
		if (n++ > 0)
			out[len++] = ' ';
		memcpy(out + len, id.at, id.len);
		len += id.len;
	}
	return n > 0 ? (struct bytes){ out, len } : message_id_of(in_reply_to, a);
}
