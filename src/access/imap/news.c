/* news.c -- what others did, told when the protocol lets us (session.h) */
#include "access/imap/contexts.h"
#include "access/imap/notify.h"
#include "access/imap/reach.h"
#include "access/imap/service.h"
#include "access/imap/write.h"

/* message-data = nz-number SP "FETCH" / uidfetch-resp = uniqueid SP "UIDFETCH"   rfc9586:4 */
void
imap_fetch_begin(struct imap *s, struct buffer *out, uint32_t uid)
{
	buffer_add(out, BYTES("* "));
	buffer_add_number(out, s->uidonly ? uid : view_number(s->view, uid));
	buffer_add(out, s->uidonly ? BYTES(" UIDFETCH (") : BYTES(" FETCH ("));
}

/* message-data = nz-number SP "FETCH" SP msg-att: flags somebody changed. */
static void
tell_message(struct imap *s, uint32_t uid, bool flags)
{
	struct buffer *out = imap_out(s);
	struct entry   e;

	if (!view_find(s->view, uid, &e))
		return;
	imap_fetch_begin(s, out, uid);
	/* rfc7162:3.2.4, rfc9051:7.5.2, rfc5465:5.1 */
	if ((s->uid || s->qresync || s->rev2 || s->notify != NULL) && !s->uidonly)
		buffer_printf(out, "UID %u ", uid);
	if (s->condstore)
		buffer_printf(out, "MODSEQ (%llu)%s", (unsigned long long)e.modseq,
		              flags ? " " : "");
	if (flags) {
		buffer_add_string(out, "FLAGS ");
		write_flags(out, s->view->mailbox, e.flags, uid >= s->view->recent);
	}
	buffer_add_string(out, ")\r\n");
}

void
imap_tell_flags(struct imap *s, uint32_t uid)
{
	tell_message(s, uid, true);
}

/* Tell the set from its front, forgetting what is told. */
static bool
tell_set(struct imap *s, struct ranges *set, bool flags)
{
	while (set->count > 0) {
		struct uid_range *front = &set->at[0];
		uint32_t          uid = view_next(s->view, front->first);

		if (uid == 0 || uid > front->last) {
			ranges_drop_first(set);
			continue;
		}
		tell_message(s, uid, flags);
		if (uid == front->last)
			ranges_drop_first(set);
		else
			front->first = uid + 1;
		if (imap_full(s))
			return false;
	}
	ranges_free(set);
	return true;
}

void
imap_tell_keywords(struct imap *s)
{
	struct buffer *out = imap_out(s);
	uint8_t        known = keywords_known(s->view->mailbox);

	if (known == s->view->keywords)
		return;
	s->view->keywords = known;
	buffer_add_string(out, "* FLAGS ");
	write_flags_known(out, s->view->mailbox);
	buffer_add_string(out, "\r\n");
	/* Of EXAMINE it stays () as it was told. */
	if (s->view->read_only)
		return;
	buffer_add_string(out, "* OK [PERMANENTFLAGS ");
	write_flags_may(out, s->view->mailbox, reach_flags(reach_rights(s, s->view->mailbox)));
	buffer_add_string(out, "] Flags permitted.\r\n");
}

/* EXPUNGE for each, or VANISHED for all where the client enabled that (rfc7162:3.2.10, rfc9586:3). */
static bool
tell_expunges(struct imap *s)
{
	struct ranges  gone = { 0 };
	struct uid_set set;
	uint32_t       number;
	bool           vanish = s->qresync || s->uidonly;

	contexts_expunge(s); /* rfc5267:4.3.4 */
	while (vanish && view_vanish(s->view, &gone)) {
		set = ranges_set(&gone);
		buffer_add_string(imap_out(s), "* VANISHED ");
		uid_set_text(&set, imap_out(s));
		buffer_add_string(imap_out(s), "\r\n");
		ranges_free(&gone);
		if (imap_full(s))
			return false;
	}
	while (!vanish && (number = view_expunge_next(s->view)) != 0) {
		buffer_printf(imap_out(s), "* %u EXPUNGE\r\n", number);
		if (imap_full(s))
			return false;
	}
	return true;
}

/* EXISTS, and what NOTIFY wants to know of the new ones (rfc5465:5.2). */
static void
tell_arrived(struct imap *s)
{
	struct view *v = s->view;
	uint32_t     from = v->limit;

	if (!view_arrive(v))
		return;
	buffer_printf(imap_out(s), "* %u EXISTS\r\n", v->count);
	if (!s->rev2)
		buffer_printf(imap_out(s), "* %u RECENT\r\n", view_recent_count(v));
	notify_arrived(s, from);
}

/* Is an expunge to be told, where one may be?  NOTIFY can ask for none, but not to hear of one's own. */
static bool
wants_expunges(const struct imap *s)
{
	const unsigned own = MAY_EXPUNGE | WRITES_MAILBOX;

	return (notify_wants(s) & EVENT_EXPUNGE) ||
	       (s->command != NULL && (s->command->effect & own) == own);
}

bool
imap_lost(struct imap *s)
{
	imap_bye(s, "[UNAVAILABLE] The selected mailbox is not what it was; please log in again.",
	         "Mailbox lost");
	return true;
}

static bool
tell_selected(struct imap *s, bool expunges)
{
	struct view *v = s->view;

	expunges = expunges && wants_expunges(s);
	if (v->lost || mailbox_gone(v->mailbox))
		return imap_lost(s);
	if (s->rekeyed && s->facts.tls)
		buffer_add_string(imap_out(s),
		                  "* OK [" URLMECH "] Keys of URLs were made anew.\r\n");
	s->rekeyed = false;
	if (!notify_fetches(s))
		return false;
	if (!view_has_news(v, expunges))
		return true;
	mailbox_look(v->mailbox);
	if (!reach_may_read(s))
		return imap_lost(s);
	if (expunges && !tell_expunges(s))
		return false;
	if (v->arrived && (notify_wants(s) & EVENT_NEW))
		tell_arrived(s);
	if (!notify_fetches(s))
		return false;
	imap_tell_keywords(s);
	return tell_set(s, &v->changed, true) && tell_set(s, &v->stamped, false);
}

bool
imap_tell(struct imap *s, bool expunges)
{
	if (s->end != NULL)
		return true;
	return (s->view == NULL || tell_selected(s, expunges)) &&
	       (s->end != NULL || notify_tell(s));
}

/* NOTIFY tells while nothing runs, too; expunges only to who does without numbers (rfc5465:6.1). */
bool
imap_tell_unasked(struct imap *s)
{
	if (s->notify == NULL)
		return true;
	if (!notify_at_once(s, false))
		return notify_tell(s);
	return imap_tell(s, notify_at_once(s, true));
}
