/*
 * receiver-author -- whether who has logged in owns every address in the From field of what they submit
 * (smtpd_header_from_check); the verifier has read it, the clerk knows whose it is
 */
#include "role/receiver.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "message/address.h"
#include "message/digest.h"

enum { AUTHORS_MOST = 50, FIELD_MOST = 1 << 20 };

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
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

/* An address of From; "" where a field has none that can be read. */
struct author {
	struct author *next;
	struct bytes   address;
	bool           other; /* it is somebody else's                */
};

static void
add_author(struct passage *p, struct bytes address, uint32_t *count)
{
	struct author **at = &p->authors;

	while (*at != NULL && !bytes_equal_nocase((*at)->address, address))
		at = &(*at)->next;
	if (*at != NULL)
		return;
	*at = arena_take(p->letter->life, sizeof **at);
	**at = (struct author){ .address = address, .other = address.len == 0 };
	++*count;
}

/* Past a quoted string or a comment that begins at `at`, to the end when it has none. */
static const char *
past_words(const char *at, const char *end)
{
	bool quoted = *at == '"';
	int  depth = 0;

	for (; at < end; at++) {
		if (*at == '\\')
			at++;
		else if (quoted && *at == '"' && depth++ > 0)
			return at + 1;
		else if (!quoted && *at == '(')
			depth++;
		else if (!quoted && *at == ')' && --depth == 0)
			return at + 1;
	}
	return end;
}

/* A word with a local part and an @, outside of quotes and comments; false at the end.  A route begins with its @, and is not
   one; nor is an encoded word (rfc2047:2). */
static bool
next_word(const char **at, const char *end, struct bytes *word)
{
	while (*at < end) {
		const char *from = *at;

		if (*from == '"' || *from == '(') {
			*at = past_words(from, end);
			continue;
		}
		while (*at < end && memchr(" \t\r\n<>,;\"()", **at, 10) == NULL)
			++*at;
		*word = (struct bytes){ from, (size_t)(*at - from) };
		if (bytes_find(*word, '@') > 0 && !bytes_starts(*word, BYTES("=?")))
			return true;
		*at += *at == from;
	}
	return false;
}

/* One program takes the first of "<a@x> <b@y>" for the author, and another the last: where there are more such words than
   addresses, all of them are to be the user's. */
static void
add_strays(struct passage *p, struct bytes value, uint32_t addresses, uint32_t *count)
{
	const char  *at = value.at, *end = value.at + value.len;
	struct bytes word;
	uint32_t     words = 0;

	while (next_word(&at, end, &word))
		words++;
	for (at = value.at;
	     words > addresses && *count <= AUTHORS_MOST && next_word(&at, end, &word);)
		add_author(p, word, count);
}

static bool
is_from(struct passage *p, const struct digest_field *f)
{
	return f->part == 0 && bytes_is(piece(p, f->at, f->name_len), "From");
}

/* All that stand in From, of however many fields of that name; false: they are too many. */
static bool
gather(struct passage *p, const struct digest *d)
{
	struct arena *life = p->letter->life;
	uint32_t      count = 0, before, seen;

	for (uint32_t i = 0; i < d->fields && count <= AUTHORS_MOST; i++) {
		struct digest_field f = digest_field_at(d, i);
		struct bytes        field;
		struct mailboxes    list;
		struct mailbox      box;

		if (!is_from(p, &f))
			continue;
		if (f.len > FIELD_MOST)
			return false;
		field = piece(p, f.at, (size_t)f.len);
		field = bytes_cut(field, (size_t)(bytes_find(field, ':') + 1), field.len);
		list = mailboxes_of(field, life);
		for (before = count, seen = 0;
		     count <= AUTHORS_MOST && mailboxes_next(&list, &box);) {
			struct address a = { box.local, box.domain };

			if (box.group_start || box.group_end || box.local.len == 0)
				continue;
			seen++;
			add_author(p, address_text(life, &a), &count);
		}
		add_strays(p, field, seen, &count);
		if (count == before && p->authors == NULL)
			add_author(p, BYTES(""), &count);
	}
	return count <= AUTHORS_MOST;
}

static void author_is(struct passage *, enum owner);

static void
ask_next(struct passage *p)
{
	struct receiver *r = receiver_of(p->house);
	struct link     *link = house_link(p->house, CLERK, 0);
	struct buffer   *b;

	if (link == NULL) {
		author_is(p, OWNER_LATER);
		return;
	}
	p->author = ++r->next_ticket;
	(void)map_put(r->authors, ticket_key(&p->author), p);
	b = link_begin(link, WORD_SENDER_ASK, p->author);
	pack_bytes(b, p->letter->user);
	pack_bytes(b, p->asking->address);
	link_end(link);
}

static void
refuse(struct passage *p, const char *why)
{
	p->letter->refused_by = BYTES("smtpd_header_from_check");
	passage_refuse(p, VERDICT_REFUSE,
	               arena_printf(p->letter->life, "553 5.7.1 Error: %s user %.*s", why,
	                            (int)p->letter->user.len, p->letter->user.at));
}

bool
author_ask(struct passage *p)
{
	struct letter *l = p->letter;
	struct digest  d;

	if (p->author_asked || l->user.len == 0 || l->config->set.from_check == FROM_UNCHECKED)
		return false;
	p->author_asked = true;
	if (!digest_view(p->digest, &d))
		return false;
	if (!gather(p, &d)) {
		refuse(p, "From has too many addresses for");
		return true;
	}
	p->asking = p->authors;
	if (p->asking == NULL)
		return false;
	if (p->asking->other)
		author_is(p, OWNER_OTHER);
	else
		ask_next(p);
	return true;
}

/* The field with the user's own address in the place of others'. */
static struct bytes
owned_field(struct passage *p, struct bytes field, struct bytes user)
{
	struct arena *life = p->letter->life;
	struct bytes  now = field;
	struct buffer next = { 0 };

	for (const struct author *a = p->authors; a != NULL; a = a->next) {
		if (!a->other || a->address.len == 0)
			continue;
		buffer_reset(&next);
		rewrite_address_in(now, a->address, user, &next);
		now = arena_keep(life, buffer_bytes(&next));
	}
	buffer_free(&next);
	if (bytes_equal(now, field))
		now = bytes_of(arena_printf(life, "From: <%.*s>\r\n", (int)user.len, user.at));
	return now;
}

/* A field none of whose addresses is another's stays as it is. */
static bool
has_other(const struct passage *p, struct bytes field)
{
	for (const struct author *a = p->authors; a != NULL; a = a->next)
		if (a->other &&
		    (a->address.len == 0 || bytes_search_nocase(field, a->address) >= 0))
			return true;
	return false;
}

static bool
rewrite(struct passage *p)
{
	struct arena *life = p->letter->life;
	struct bytes  user = p->letter->user;
	struct edits *edits = arena_take(life, sizeof *edits);
	struct digest d;

	if (bytes_find(user, '@') < 0)
		user = bytes_of(arena_printf(life, "%.*s@%s", (int)user.len, user.at,
		                             p->letter->config->myorigin));
	if (!digest_view(p->digest, &d))
		return false;
	*edits = edits_in(life);
	for (uint32_t i = 0; i < d.fields; i++) {
		struct digest_field f = digest_field_at(&d, i);
		struct bytes field = is_from(p, &f) ? piece(p, f.at, (size_t)f.len) : BYTES("");

		if (field.len == 0 || !has_other(p, field))
			continue;
		if (!edits_add(edits, &(struct edit){ .at = f.at,
		                                      .len = f.len,
		                                      .instead = owned_field(p, field, user) }))
			return false;
	}
	if (edits->count == 0)
		return false;
	p->step = PASSAGE_CHECKS;
	letter_edit(p, edits, -1, 0, passage_edited);
	return true;
}

/* All authors are asked about. */
static void
conclude(struct passage *p)
{
	const struct author *a = p->authors;

	while (a != NULL && !a->other)
		a = a->next;
	if (a == NULL)
		passage_finish(p);
	else if (p->letter->config->set.from_check != FROM_REWRITTEN || !rewrite(p))
		refuse(p, "the address in From is not owned by");
}

static void
author_is(struct passage *p, enum owner o)
{
	if (o == OWNER_LATER) {
		passage_refuse(p, VERDICT_LATER, "451 4.3.0 Temporary lookup failure");
		return;
	}
	p->asking->other = o != OWNER_SELF;
	p->asking = p->asking->next;
	if (p->asking == NULL)
		conclude(p);
	else
		ask_next(p);
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
