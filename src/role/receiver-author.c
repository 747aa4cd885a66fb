/*
 * receiver-author -- whether who has logged in owns the address in the From field of what they submit
 * (smtpd_header_from_check); the verifier has read it, the clerk knows whose it is
 */
#include "role/receiver.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "message/digest.h"

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

bool
author_ask(struct passage *p)
{
	struct receiver *r = receiver_of(p->house);
	struct letter   *l = p->letter;
	struct link     *link = house_link(p->house, CLERK, 0);
	struct digest    d;
	struct buffer   *b;

	if (p->author_asked || l->user.len == 0 || l->config->set.from_check == FROM_UNCHECKED)
		return false;
	p->author_asked = true;
	if (!digest_view(p->digest, &d) || d.from_addr.len == 0)
		return false;
	if (link == NULL) {
		passage_refuse(p, VERDICT_LATER, "451 4.3.0 Temporary lookup failure");
		return true;
	}
	p->author = ++r->next_ticket;
	(void)map_put(r->authors, ticket_key(&p->author), p);
	b = link_begin(link, WORD_SENDER_ASK, p->author);
	pack_bytes(b, l->user);
	pack_bytes(b, d.from_addr);
	link_end(link);
	return true;
}

/* Bytes of the content, in the letter's arena; "" when they cannot be read. */
static struct bytes
piece(struct passage *p, uint64_t from, size_t len)
{
	struct bytes content;
	uint64_t     at, all;
	int          fd = passage_content(p, &content, &at, &all);
	char        *out;

	if (fd < 0)
		return bytes_cut(content, (size_t)from, len);
	out = arena_take(p->letter->life, len + 1);
	return pread(fd, out, len, (off_t)(at + from)) == (ssize_t)len ? (struct bytes){ out, len }
	                                                               : BYTES("");
}

/* The first From field with the user's own address in the place of the other. */
static bool
rewrite(struct passage *p)
{
	struct arena       *life = p->letter->life;
	struct bytes        user = p->letter->user, field = BYTES("");
	struct edits       *edits = arena_take(life, sizeof *edits);
	struct digest_field f = { 0 };
	struct buffer new = { 0 };
	struct digest d;

	if (bytes_find(user, '@') < 0)
		user = bytes_of(arena_printf(life, "%.*s@%s", (int)user.len, user.at,
		                             p->letter->config->myorigin));
	if (!digest_view(p->digest, &d))
		return false;
	for (uint32_t i = 0; i < d.fields && field.len == 0; i++) {
		f = digest_field_at(&d, i);
		if (f.part == 0 && bytes_is(piece(p, f.at, f.name_len), "From"))
			field = piece(p, f.at, (size_t)f.len);
	}
	if (field.len == 0)
		return false;
	rewrite_address_in(field, d.from_addr, user, &new);
	if (bytes_equal(buffer_bytes(&new), field)) {
		buffer_reset(&new);
		buffer_printf(&new, "From: <%.*s>\r\n", (int)user.len, user.at);
	}
	*edits = edits_in(life);
	if (edits_add(edits, &(struct edit){ .at = f.at,
	                                     .len = f.len,
	                                     .instead = arena_keep(life, buffer_bytes(&new)) })) {
		p->step = PASSAGE_CHECKS;
		letter_edit(p, edits, -1, 0, passage_edited);
	}
	buffer_free(&new);
	return true;
}

static void
author_is(struct passage *p, enum owner o)
{
	struct letter *l = p->letter;

	if (o == OWNER_SELF)
		passage_finish(p);
	else if (o == OWNER_LATER)
		passage_refuse(p, VERDICT_LATER, "451 4.3.0 Temporary lookup failure");
	else if (l->config->set.from_check == FROM_REWRITTEN && rewrite(p))
		return;
	else {
		l->refused_by = BYTES("smtpd_header_from_check");
		passage_refuse(
			p, VERDICT_REFUSE,
			arena_printf(
				l->life,
				"553 5.7.1 Error: the address in From is not owned by user %.*s",
				(int)l->user.len, l->user.at));
	}
}

/* False: it was not asked for a From field. */
bool
author_heard(struct receiver *r, uint32_t ticket, struct bytes body)
{
	struct unpack   u = unpack_of(body);
	uint8_t         o = unpack_u8(&u);
	struct passage *p = unpack_done(&u) && o <= OWNER_LATER
	                            ? map_drop(r->authors, ticket_key(&ticket))
	                            : NULL;

	if (p != NULL)
		author_is(p, (enum owner)o);
	return p != NULL;
}

void
author_drop(struct passage *p)
{
	if (p->author != 0)
		(void)map_drop(receiver_of(p->house)->authors, ticket_key(&p->author));
	p->author = 0;
}

/* The clerk died. */
void
authors_lost(struct receiver *r)
{
	struct map *lost = r->authors;

	r->authors = map_open();
	for (struct map_place place = { 0 }; map_next(lost, &place);)
		author_is(place.value, OWNER_LATER);
	map_close(&lost);
}
