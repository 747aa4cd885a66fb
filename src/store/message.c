/* message.c -- reading messages: the row, and the pieces in the letter log (store.h) */
#include "store/foreign.h"

#include "base/checksum.h"
#include "base/clock.h"
#include "base/journal.h"
#include "message/envelope.h"
#include "spool/disk.h"
#include "store/digests.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void
read_place(sqlite3_stmt *s, uint64_t id, struct letter_place *p)
{
	p->content_len = (uint64_t)sqlite3_column_int64(s, 0);
	p->envelope_at = (uint64_t)sqlite3_column_int64(s, 7);
	p->envelope_segment = letter_segment(id);
	p->content_segment = letter_segment(id);
	p->content_at = letter_offset(id) + RECORD_HEADER;
	if (sqlite3_column_type(s, 8) != SQLITE_NULL)
		p->envelope_segment = (uint32_t)sqlite3_column_int64(s, 8);
	if (sqlite3_column_type(s, 9) != SQLITE_NULL) {
		p->content_segment = (uint32_t)sqlite3_column_int64(s, 9);
		p->content_at = (uint64_t)sqlite3_column_int64(s, 10);
	}
}

static int
read_email(struct account *a, struct message *m)
{
	sqlite3_stmt *s = index_ready(a->index, FILE_GET);
	int           more;

	if (s == NULL)
		return index_why(a->index);
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	if ((more = index_row(a->index, s)) == 1)
		m->email = (uint64_t)sqlite3_column_int64(s, 2);
	(void)sqlite3_reset(s);
	return more < 0 ? index_why(a->index) : 0;
}

int
message_read(struct account *a, uint64_t id, struct arena *arena, struct message *out)
{
	sqlite3_stmt *s;
	int           more, why;

	if (a->refused != 0)
		return a->refused;
	if ((s = index_ready(a->index, MESSAGE_GET)) == NULL)
		return index_why(a->index);
	(void)sqlite3_bind_int64(s, 1, (int64_t)id);
	if ((more = index_row(a->index, s)) != 1)
		return more < 0 ? index_why(a->index) : ENOENT;
	*out = (struct message){
		.id = id,
		.email = id,
		.prefix_len = (uint32_t)sqlite3_column_int64(s, 1),
		.size = (uint64_t)sqlite3_column_int64(s, 2),
		.internal_date = sqlite3_column_int64(s, 3),
		.zone = sqlite3_column_int(s, 4),
		.sent_date = sqlite3_column_int64(s, 5),
		.saved = sqlite3_column_int64(s, 6),
		.head = arena_keep(arena, index_blob(s, 11)),
	};
	read_place(s, id, &out->place);
	if (sqlite3_column_type(s, 12) != SQLITE_NULL)
		out->email = (uint64_t)sqlite3_column_int64(s, 12);
	if (sqlite3_column_type(s, 13) != SQLITE_NULL)
		out->mark = (uint32_t)sqlite3_column_int64(s, 13);
	else if (out->head.len > 0)
		out->mark = checksum_of(out->head);
	(void)sqlite3_reset(s);
	if (is_foreign(id) && (why = read_email(a, out)) != 0)
		return why;
	if (out->size == out->head.len + (uint64_t)out->prefix_len + out->place.content_len)
		return 0;
	warn_("account %" PRIu64 ": the row of message %010" PRIX64 " is damaged", a->id, id);
	return EBADMSG;
}

static int
damaged(const struct account *a, const struct message *m, const char *what, int why)
{
	warn_("account %" PRIu64 ": letter %010" PRIX64 ": %s in segment %08x at offset %" PRIu64
	      ": %s",
	      a->id, m->id, what, m->place.envelope_segment, m->place.envelope_at, strerror(why));
	return EBADMSG;
}

struct bytes
message_packed(struct account *a, const struct message *m, struct arena *arena,
               struct bytes *prefix)
{
	struct bytes    packed;
	struct envelope e = { 0 };

	if (letters_envelope(a->store->letters, m->place.envelope_segment, m->place.envelope_at,
	                     m->id, arena, &packed) != 0 ||
	    !envelope_unpack(packed, arena, &e))
		e.digest = (struct bytes){ NULL, 0 };
	*prefix = e.prefix;
	return e.digest;
}

struct bytes
message_packed_digest(struct account *a, const struct message *m, struct arena *arena)
{
	struct bytes  packed = { NULL, 0 };
	sqlite3_stmt *s;

	if (!is_foreign(m->id))
		return message_packed(a, m, arena, &packed);
	if ((s = index_ready(a->index, FILE_GET)) == NULL)
		return packed;
	(void)sqlite3_bind_int64(s, 1, (int64_t)m->id);
	if (index_row(a->index, s) == 1)
		packed = arena_keep(arena, index_blob(s, 1));
	(void)sqlite3_reset(s);
	return packed;
}

/* Of a letter outside the digest is kept in the index, and what we put before it lies before it. */
static int
foreign_digest(struct account *a, const struct message *m, struct arena *arena,
               struct digest *digest, struct bytes *prefix)
{
	struct bytes packed = message_packed_digest(a, m, arena);
	char        *own;

	/* Its file never came to its place, since a keeper died; the mailbox loses it at its next look (folder.c).  Or it was
	   removed, and its digest with it. */
	if (packed.len == 0)
		return ENOENT;
	if (!digest_view(packed, digest) || digest->content_size != m->place.content_len) {
		warn_("account %" PRIu64 ": message %" PRIu64 " has no digest", a->id, m->id);
		return EBADMSG;
	}
	own = arena_take(arena, (size_t)m->prefix_len + 1);
	*prefix = (struct bytes){ own, m->prefix_len };
	return m->prefix_len == 0 ? 0 : message_bytes(a, m, *prefix, 0, own, m->prefix_len);
}

static int
foreign_bytes(struct account *a, const struct message *m, uint64_t at, void *out, size_t len)
{
	uint64_t place;
	int      fd = content_open(a, m->id, m->size, &place);

	return fd < 0 ? errno : disk_read(fd, out, len, place + at);
}

/* Where it stands among others of its kind. */
static bool
gathered_digest(struct account *a, const struct message *m, struct arena *arena,
                struct digest *digest, struct bytes *prefix)
{
	struct bytes packed;

	return digests_find(a, m, arena, &packed, prefix) && digest_view(packed, digest) &&
	       digest->content_size == m->place.content_len && digest->sent == m->sent_date;
}

int
message_digest(struct account *a, const struct message *m, struct arena *arena,
               struct digest *digest, struct bytes *prefix)
{
	struct envelope e;
	struct bytes    packed;
	int             why;

	if (is_foreign(m->id))
		return foreign_digest(a, m, arena, digest, prefix);
	if (gathered_digest(a, m, arena, digest, prefix))
		return 0;
	why = letters_envelope(a->store->letters, m->place.envelope_segment, m->place.envelope_at,
	                       m->id, arena, &packed);
	if (why != 0)
		return damaged(a, m, "its envelope cannot be read", why);
	if (!envelope_unpack(packed, arena, &e) || e.prefix.len != m->prefix_len)
		return damaged(a, m, "its envelope is broken", EBADMSG);
	if (!digest_view(e.digest, digest) || digest->content_size != m->place.content_len)
		return damaged(a, m, "its digest is broken", EBADMSG);
	*prefix = e.prefix;
	return 0;
}

/* What of one piece falls into at..at+len; `start` is where the piece begins in the letter. */
static void
copy_piece(struct bytes piece, uint64_t start, uint64_t at, char *out, size_t len)
{
	uint64_t from = at > start ? at - start : 0;
	uint64_t to = start > at ? start - at : 0;

	if (from >= piece.len || to >= len)
		return;
	if (piece.len - from < len - to)
		len = (size_t)(to + piece.len - from);
	memcpy(out + to, piece.at + from, (size_t)(len - to));
}

int
message_bytes(struct account *a, const struct message *m, struct bytes prefix, uint64_t at,
              void *out, size_t len)
{
	uint64_t content = m->head.len + (uint64_t)m->prefix_len, end = at + len;
	int      why;

	if (prefix.len != m->prefix_len || end < at || end > content + m->place.content_len)
		return EINVAL;
	if (is_foreign(m->id))
		return foreign_bytes(a, m, at, out, len);
	copy_piece(m->head, 0, at, out, len);
	copy_piece(prefix, m->head.len, at, out, len);
	if (end <= content)
		return 0;
	if (at < content) {
		out = (char *)out + (content - at);
		len -= (size_t)(content - at);
		at = content;
	}
	why = letters_read(a->store->letters, &m->place, at - content, out, len);
	if (why != 0)
		warn_("account %" PRIu64 ": letter %010" PRIX64
		      ": its content cannot be read in segment %08x at offset %" PRIu64 ": %s",
		      a->id, m->id, m->place.content_segment, m->place.content_at, strerror(why));
	return why;
}

int
message_content_fd(struct account *a, const struct message *m, off_t *at)
{
	if (is_foreign(m->id)) {
		uint64_t place;
		int      fd = content_open(a, m->id, m->size, &place);
		*at = (off_t)(place + m->prefix_len);
		return fd;
	}
	*at = (off_t)m->place.content_at;
	return letters_fd(a->store->letters, m->place.content_segment);
}

int
message_put(struct index *x, const struct arrival *v, bool copied)
{
	const struct letter_place *p = &v->place;
	sqlite3_stmt              *s = index_ready(x, MESSAGE_PUT);

	if (s == NULL)
		return index_why(x);
	(void)sqlite3_bind_int64(s, 1, (int64_t)v->letter);
	(void)sqlite3_bind_int64(s, 2, (int64_t)p->content_len);
	(void)sqlite3_bind_int64(s, 3, v->prefix_len);
	(void)sqlite3_bind_int64(s, 4, (int64_t)v->size);
	(void)sqlite3_bind_int64(s, 5, v->internal_date);
	(void)sqlite3_bind_int(s, 6, v->zone);
	(void)sqlite3_bind_int64(s, 7, v->sent_date);
	(void)sqlite3_bind_int64(s, 8, v->saved != 0 ? v->saved : clock_wall());
	(void)sqlite3_bind_int64(s, 9, (int64_t)p->envelope_at);
	if (p->envelope_segment != letter_segment(v->letter))
		(void)sqlite3_bind_int64(s, 10, p->envelope_segment);
	if (p->content_segment != letter_segment(v->letter) ||
	    p->content_at != letter_offset(v->letter) + RECORD_HEADER) {
		(void)sqlite3_bind_int64(s, 11, p->content_segment);
		(void)sqlite3_bind_int64(s, 12, (int64_t)p->content_at);
	}
	if (v->head.len > 0)
		(void)sqlite3_bind_blob64(s, 13, v->head.at, v->head.len, SQLITE_STATIC);
	(void)sqlite3_bind_int(s, 14, copied);
	if (v->email != 0 && v->email != v->letter)
		(void)sqlite3_bind_int64(s, 15, (int64_t)v->email);
	if (v->mark != 0 && v->head.len == 0)
		(void)sqlite3_bind_int64(s, 16, v->mark);
	return index_do(x, s);
}
