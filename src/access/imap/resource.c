#include "access/imap/resource.h"

#include <errno.h>
#include <string.h>

#include "access/imap/grammar.h"

static int
find_message(struct resource *r, const struct imap_url *url)
{
	struct mailbox_status status;
	int64_t               index = mailbox_find(r->mailbox, url->uid);

	mailbox_facts(r->mailbox, &status);
	if (index < 0 || (url->uidvalidity != 0 && url->uidvalidity != status.uidvalidity))
		return ENOENT;
	letter_begin(&r->letter, mailbox_entry(r->mailbox, (uint32_t)index).message);
	return letter_digest(&r->letter);
}

/* Chosen fields are no range of the letter: they are gathered. */
static int
gather_fields(struct resource *r, const struct section_span *span)
{
	struct letter     *l = &r->letter;
	struct digest_part part = digest_part_at(&l->digest, span->part);
	struct bytes header = { letter_take(l, letter_own_len(l) + part.header_at, part.header_len),
		                part.header_len };

	/* Some fields a verifier would have to look for. */
	if (l->digest.flags & DIGEST_CUT_SHORT)
		return EOPNOTSUPP;
	if (header.at == NULL)
		return errno;
	section_fields(&r->section, &l->digest, span->part,
	               span->part == 0 ? letter_own(l) : (struct bytes){ 0 }, header,
	               part.header_at, &r->fields);
	r->gathered = true;
	r->len = r->fields.len;
	return 0;
}

static int
find_section(struct resource *r, const struct imap_url *url, struct arena *arena)
{
	const char         *text = arena_printf(arena, "%.*s]", (int)url->section.len,
                                        url->section.len > 0 ? url->section.at : "");
	struct scan         scan = scan_of(bytes_of(text));
	struct section_span span;

	section_read(&scan, arena, &r->section);
	scan_end(&scan);
	if (!scan_ok(&scan))
		return EINVAL;
	if (!section_find(&r->section, &r->letter.digest, letter_own_len(&r->letter), &span))
		return ENOENT;
	if (r->section.fields > 0)
		return gather_fields(r, &span);
	r->span = span;
	r->at = span.at;
	r->len = span.len;
	return 0;
}

static void
clip(struct resource *r, const struct imap_url *url)
{
	uint64_t from = url->from < r->len ? url->from : r->len;

	r->at += from;
	r->len -= from;
	if (url->most > 0 && url->most < r->len)
		r->len = url->most;
}

int
resource_open(struct resource *r, struct mailbox *mailbox, const struct imap_url *url,
              struct arena *arena)
{
	int why;

	*r = (struct resource){ .mailbox = mailbox };
	letter_read_open(&r->letter, mailbox_account(mailbox), arena);
	if (url->uid == 0)
		return EINVAL;
	why = find_message(r, url);
	if (why == 0)
		why = find_section(r, url, arena);
	if (why == 0 && url->partial)
		clip(r, url);
	return why;
}

int
resource_again(struct resource *r)
{
	return letter_again(&r->letter);
}

ssize_t
resource_read(struct resource *r, char *to, size_t room)
{
	size_t n = r->len < room ? (size_t)r->len : room;
	int    why = 0;

	if (n == 0)
		return 0;
	if (r->gathered)
		memcpy(to, r->fields.at + r->at, n);
	else
		why = message_bytes(r->letter.account, &r->letter.message, r->letter.prefix, r->at,
		                    to, n);
	if (why != 0) {
		errno = why;
		return -1;
	}
	r->at += n;
	r->len -= n;
	return (ssize_t)n;
}

void
resource_close(struct resource *r)
{
	buffer_free(&r->fields);
	if (r->letter.arena != NULL)
		letter_close(&r->letter);
	mailbox_drop(&r->mailbox);
}
