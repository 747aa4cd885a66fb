#include "role/refit.h"

#include <string.h>

#include "base/journal.h"
#include "base/map.h"
#include "message/address.h"
#include "message/header.h"
#include "message/seven.h"
#include "role/receiver.h"

enum { ADDRESSES_MOST = 2000 };

uint32_t
refit_tell(struct bytes content, struct arena *a, const struct bytes **out)
{
	struct bytes *address = arena_take_array(a, ADDRESSES_MOST, sizeof *address);
	struct map   *seen = map_open();
	struct header h = header_of(content);
	struct field  field;
	uint32_t      n = 0;
	bool          sender;

	while (n < ADDRESSES_MOST && header_next(&h, &field)) {
		struct mailboxes list;
		struct mailbox   box;

		if (!rewrite_is_field(field.name, &sender))
			continue;
		list = mailboxes_of(field.value, a);
		while (n < ADDRESSES_MOST && mailboxes_next(&list, &box)) {
			struct address one = { box.local, box.domain };

			if (box.group_start || box.group_end || box.domain.len == 0)
				continue;
			address[n] = address_text(a, &one);
			if (map_put(seen, address[n], address) == NULL)
				n++;
		}
	}
	map_close(&seen);
	*out = address;
	return n;
}

/* Every field that has one of the addresses, with what is to stand there. */
static void
put_pairs(const struct word_refit *w, struct bytes content, struct arena *a, struct edits *e)
{
	struct rewrite_pairs *pairs = rewrite_pairs_open();
	struct header         h = header_of(content);
	struct field          field;
	struct buffer         now = { 0 };
	bool                  sender;

	for (uint32_t i = 0; i < w->pairs; i++)
		rewrite_pairs_add(pairs, w->pair[i].old, &w->pair[i].instead);
	while (w->pairs > 0 && header_next(&h, &field)) {
		struct edit edit = { .at = (uint64_t)(field.whole.at - content.at),
			             .len = field.whole.len };

		if (!rewrite_is_field(field.name, &sender))
			continue;
		buffer_reset(&now);
		rewrite_pairs_in(pairs, field.whole, &now);
		if (bytes_equal(buffer_bytes(&now), field.whole))
			continue;
		edit.instead = arena_keep(a, buffer_bytes(&now));
		if (!edits_add(e, &edit))
			continue; /* a check has the field already */
	}
	buffer_free(&now);
	rewrite_pairs_close(&pairs);
}

/* What changes neither the time nor the destination of a letter is done; the rest is told of. */
static enum refit_answer
put_checks(struct bytes content, const struct checks_settings *set,
           const struct checks_needs *needs, struct arena *a, struct edits *e)
{
	struct checks_said said;

	checks_run(set, needs, BYTES(""), content, a, &said);
	if (said.waits)
		return REFIT_ASKS;
	if (said.verdict == CHECKS_LATER)
		return REFIT_LATER;
	if (said.verdict != CHECKS_PASS || said.discard || said.hold.len > 0 ||
	    said.filter.len > 0 || said.redirect.len > 0 || said.copies > 0)
		warn_("smtp_header_checks: only DUNNO, IGNORE, INFO, PREPEND, REPLACE, STRIP and WARN are for letters on their way out");
	for (uint32_t i = 0; i < said.notes; i++)
		note("%.*s%s%.*s", (int)said.note[i].what.len, said.note[i].what.at,
		     said.note[i].text.len > 0 ? ": " : "", (int)said.note[i].text.len,
		     said.note[i].text.at);
	for (uint32_t i = 0; i < said.edits.count; i++)
		if (!edits_add(e, &said.edits.edit[i]))
			return REFIT_LATER;
	return REFIT_DONE;
}

enum refit_answer
refit_make(const struct word_refit *w, struct bytes content, const struct checks_settings *set,
           const struct checks_needs *needs, struct arena *a, struct edits *e)
{
	struct buffer     packed = { 0 };
	struct digest     digest;
	enum refit_answer made = w->checks ? put_checks(content, set, needs, a, e) : REFIT_DONE;

	if (made != REFIT_DONE)
		return made;
	put_pairs(w, content, a, e);
	if (w->seven) {
		digest_make(content, a, &packed);
		if (!digest_view(buffer_bytes(&packed), &digest) ||
		    !seven_make(content, &digest, a, e))
			made = REFIT_CANNOT;
	}
	buffer_free(&packed);
	return made;
}

bool
refit_signed(struct bytes content)
{
	struct header h = header_of(content);
	struct field  field;

	while (header_next(&h, &field))
		if (bytes_is(field.name, "DKIM-Signature") ||
		    bytes_is(field.name, "ARC-Message-Signature"))
			return true;
	return false;
}
