/* GETMETADATA, SETMETADATA: notes on mailboxes and on the server (rfc5464:4) */
#include "store/metadata.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "access/imap/notes.h"
#include "access/imap/reach.h"
#include "access/imap/write.h"

struct metadata_work {
	const char        *name;
	struct notes_asked asked;
	struct metadata    set[NOTES_MOST];
	size_t             sets;
	struct reach       at;
};

/* ---- grammar ---- */

/* Slash-separated, of visible ASCII without "*" and "%", under /private or /shared (rfc5464:3.2). */
static bool
entry_right(struct bytes e)
{
	if (e.len > METADATA_ENTRY_MOST || e.len == 0 || e.at[e.len - 1] == '/' ||
	    !(bytes_starts(e, BYTES("/private")) || bytes_starts(e, BYTES("/shared"))))
		return false;
	for (size_t i = 0; i < e.len; i++)
		if (e.at[i] < ' ' || e.at[i] > '~' || e.at[i] == '*' || e.at[i] == '%' ||
		    (e.at[i] == '/' && e.at[i + 1] == '/'))
			return false;
	e = bytes_cut(e, e.at[1] == 'p' ? 8 : 7, SIZE_MAX);
	return e.len == 0 || e.at[0] == '/';
}

static struct bytes
read_entry(struct scan *r, struct arena *arena)
{
	struct bytes e = arena_lower(arena, read_astring(r, arena));

	if (scan_ok(r) && !entry_right(e))
		scan_fail(r, "an entry name below /private or /shared");
	return e;
}

/* entries = entry / "(" entry *(SP entry) ")" */
void
notes_read_entries(struct scan *r, struct arena *arena, struct notes_asked *asked)
{
	if (!scan_skip(r, '(')) {
		asked->entry[asked->count++] = read_entry(r, arena);
		return;
	}
	do
		asked->entry[asked->count++] = read_entry(r, arena);
	while (scan_ok(r) && asked->count < NOTES_MOST && scan_skip(r, ' '));
	scan_expect(r, ")");
}

/* getmetadata-options = "(" "MAXSIZE" SP number / "DEPTH" SP ("0" / "1" / "infinity") ... ")" */
static void
read_notes_options(struct scan *r, struct notes_asked *asked)
{
	scan_expect(r, "(");
	do {
		if (scan_skip_word(r, "MAXSIZE ")) {
			asked->most = scan_number(r, UINT32_MAX);
		} else if (scan_skip_word(r, "DEPTH ")) {
			if (scan_skip_word(r, "INFINITY"))
				asked->depth = UINT_MAX;
			else
				asked->depth = (unsigned)scan_number(r, 1);
		} else {
			scan_fail(r, "MAXSIZE or DEPTH");
		}
	} while (scan_ok(r) && scan_skip(r, ' '));
	scan_expect(r, ")");
}

static bool
options_follow(const struct scan *r)
{
	return scan_next_is(r, '(') && r->rest.len > 1 &&
	       (bytes_starts_nocase(bytes_cut(r->rest, 1, SIZE_MAX), BYTES("MAXSIZE")) ||
	        bytes_starts_nocase(bytes_cut(r->rest, 1, SIZE_MAX), BYTES("DEPTH")));
}

/* getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries; the RFC's own examples have
   the options behind the mailbox, and so do clients. */
static void
getmetadata_parse(struct imap *s, struct scan *r)
{
	struct metadata_work *w = s->work = arena_take(s->scratch, sizeof *w);

	w->asked.most = UINT64_MAX;
	read_space(r);
	if (scan_next_is(r, '(')) {
		read_notes_options(r, &w->asked);
		read_space(r);
	}
	w->name = imap_read_mailbox(s, r);
	read_space(r);
	if (options_follow(r)) {
		read_notes_options(r, &w->asked);
		read_space(r);
	}
	notes_read_entries(r, s->scratch, &w->asked);
	/* GETMETADATA "INBOX" /private/comment /shared/comment stands in the RFC, too (4.4.1). */
	while (scan_ok(r) && w->asked.count < NOTES_MOST && scan_skip(r, ' '))
		w->asked.entry[w->asked.count++] = read_entry(r, s->scratch);
}

/* value = nstring / literal8: any bytes, or NIL */
static struct bytes
read_value(struct scan *r, struct arena *arena)
{
	struct bytes value;
	bool         nil = false;
	uint64_t     size;

	if (scan_skip(r, '~')) {
		scan_expect(r, "{");
		size = scan_number(r, UINT32_MAX);
		(void)scan_skip(r, '+');
		scan_expect(r, "}\r\n");
		value = scan_take(r, size);
	} else {
		value = read_nstring(r, arena, &nil);
	}
	if (nil || !scan_ok(r))
		return (struct bytes){ NULL, 0 };
	return value.len > 0 ? value : BYTES("");
}

/* setmetadata = "SETMETADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")" */
static void
setmetadata_parse(struct imap *s, struct scan *r)
{
	struct metadata_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	w->name = imap_read_mailbox(s, r);
	read_space(r);
	scan_expect(r, "(");
	do {
		struct metadata *m = &w->set[w->sets++];
		m->entry = read_entry(r, s->scratch);
		read_space(r);
		m->value = read_value(r, s->scratch);
	} while (scan_ok(r) && w->sets < NOTES_MOST && scan_skip(r, ' '));
	scan_expect(r, ")");
}

/* ---- where ---- */

/* "l" and one of "rswip" (rfc5464:3.3); the empty name is the server, whose notes everybody may read. */
static int
notes_reach(struct imap *s, const char *name, struct reach *at)
{
	enum { SOME = RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_POST };
	int why;

	if (name[0] == '\0') {
		why = reach_name(s, "INBOX", at);
		at->mailbox = 0;
		return why;
	}
	if ((why = reach_name(s, name, at)) != 0)
		return why;
	if (at->mailbox == 0 || !(at->rights & RIGHT_LOOKUP))
		return ENOENT;
	return at->rights & SOME ? 0 : EACCES;
}

/* ---- reading ---- */

struct notes_writing {
	struct imap        *session;
	struct notes_asked *asked;
	bool                given[NOTES_MOST]; /* asked by its own name */
	bool                any;
	const char         *name;
};

static void
write_value(struct buffer *out, struct bytes value)
{
	if (bytes_find(value, '\0') >= 0) {
		buffer_printf(out, "~{%zu}\r\n", value.len);
		buffer_add(out, value);
	} else {
		write_string(out, value);
	}
}

static void
write_begin(struct notes_writing *w)
{
	struct buffer *out = imap_out(w->session);

	if (w->any) {
		buffer_add_char(out, ' ');
		return;
	}
	w->any = true;
	buffer_add_string(out, "* METADATA ");
	if (w->name[0] == '\0')
		buffer_add_string(out, "\"\"");
	else
		imap_write_mailbox(w->session, w->name);
	buffer_add_string(out, " (");
}

/* How many levels the entry lies below the one that is asked for; -1: elsewhere. */
static int
levels_below(struct bytes entry, struct bytes asked)
{
	int levels = 0;

	if (!bytes_starts(entry, asked))
		return -1;
	if (entry.len == asked.len)
		return 0;
	if (entry.at[asked.len] != '/')
		return -1;
	for (size_t i = asked.len; i < entry.len; i++)
		levels += entry.at[i] == '/';
	return levels;
}

static void
write_note(void *ctx, const struct metadata *m)
{
	struct notes_writing *w = ctx;
	bool                  wanted = false;

	for (size_t i = 0; i < w->asked->count; i++) {
		int below = levels_below(m->entry, w->asked->entry[i]);
		if (below < 0 || (unsigned)below > w->asked->depth)
			continue;
		wanted = true;
		w->given[i] |= below == 0;
	}
	if (!wanted)
		return;
	if (m->value.len > w->asked->most) {
		if (m->value.len > w->asked->longest)
			w->asked->longest = m->value.len;
		return;
	}
	write_begin(w);
	write_astring(imap_out(w->session), m->entry);
	buffer_add_char(imap_out(w->session), ' ');
	write_value(imap_out(w->session), m->value);
}

/* What the house itself says: whom to ask (rfc5464:3.2.1.1), what a mailbox is for (rfc6154:4). */
static void
write_computed(struct imap *s, const struct reach *at, struct notes_writing *w)
{
	const struct imap_settings *rows = &imap_config_of(s)->rows;
	enum mailbox_use            use;

	if (at->mailbox == 0) {
		if (rows->admin[0] != '\0')
			write_note(w, &(struct metadata){ BYTES("/shared/admin"),
			                                  bytes_of(rows->admin) });
		if (rows->comment[0] != '\0')
			write_note(w, &(struct metadata){ BYTES("/shared/comment"),
			                                  bytes_of(rows->comment) });
		return;
	}
	if (at->whose.account != 0)
		return;
	use = account_use_of(at->account, at->name);
	if (use != USE_NONE)
		write_note(w, &(struct metadata){ BYTES("/private/specialuse"),
		                                  bytes_of(use_word(use)) });
}

int
notes_write(struct imap *s, const char *name, struct notes_asked *asked, bool nil)
{
	struct notes_writing w = { .session = s, .asked = asked, .name = name };
	struct reach         at;
	int                  why = notes_reach(s, name, &at);

	if (why == 0) {
		write_computed(s, &at, &w);
		why = metadata_each(at.account, at.mailbox, s->facts.account, write_note, &w);
		for (size_t i = 0; why == 0 && nil && i < asked->count; i++) {
			if (w.given[i])
				continue;
			write_begin(&w);
			write_astring(imap_out(s), asked->entry[i]);
			buffer_add_string(imap_out(s), " NIL");
		}
		if (w.any)
			buffer_add_string(imap_out(s), ")\r\n");
	}
	reach_drop(&at);
	return why;
}

static enum imap_step
getmetadata_run(struct imap *s)
{
	struct metadata_work *w = s->work;
	int                   why = notes_write(s, w->name, &w->asked, false);

	if (why != 0)
		return imap_no_errno(s, why);
	if (w->asked.longest > 0)
		return imap_ok(s, "[METADATA LONGENTRIES %llu] Getmetadata completed.",
		               (unsigned long long)w->asked.longest);
	return imap_ok(s, "Getmetadata completed.");
}

const struct imap_command imap_getmetadata = {
	.name = "GETMETADATA",
	.rfc = "rfc5464:4.2",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = getmetadata_parse,
	.run = getmetadata_run,
};

/* ---- writing ---- */

static bool
is_private(const struct metadata *m)
{
	return bytes_starts(m->entry, BYTES("/private"));
}

/* Why this one cannot be set; NULL: it can. */
static const char *
forbidden(struct imap *s, const struct metadata_work *w, const struct metadata *m)
{
	if (w->at.mailbox == 0 && !is_private(m))
		return "[NOPERM] Notes on the server that are for all are the administrator's.";
	if (!is_private(m) && !(w->at.rights & RIGHT_WRITE))
		return "[NOPERM] You may not write notes for all here.";
	if (!bytes_is(m->entry, "/private/specialuse"))
		return NULL;
	if (w->at.mailbox == 0 || w->at.whose.account != 0)
		return "[CANNOT] A special use is given to mailboxes of one's own.";
	if (m->value.at != NULL && (use_of(m->value) == USE_NONE || use_of(m->value) == USE_ALL ||
	                            use_of(m->value) == USE_FLAGGED))
		return "[USEATTR] This special use is not supported.";
	(void)s;
	return NULL;
}

static int
set_all(struct imap *s, struct metadata_work *w, size_t most)
{
	struct metadata        shared[NOTES_MOST], own[NOTES_MOST];
	const struct metadata *use = NULL;
	size_t                 shareds = 0, owns = 0;
	int                    why = 0;

	for (size_t i = 0; i < w->sets; i++) {
		if (w->set[i].value.at != NULL && w->set[i].value.len > most)
			return EMSGSIZE;
		if (bytes_is(w->set[i].entry, "/private/specialuse"))
			use = &w->set[i];
		else if (is_private(&w->set[i]))
			own[owns++] = w->set[i];
		else
			shared[shareds++] = w->set[i];
	}
	/* All or none (rfc5464:4.3): what can fail for its number is asked first. */
	if ((why = metadata_room(w->at.account, w->at.mailbox, s->facts.account, own, owns)) != 0 ||
	    (why = metadata_room(w->at.account, w->at.mailbox, 0, shared, shareds)) != 0)
		return why;
	if (owns > 0)
		why = metadata_set(w->at.account, w->at.mailbox, s->facts.account, own, owns, most);
	if (why == 0 && shareds > 0)
		why = metadata_set(w->at.account, w->at.mailbox, 0, shared, shareds, most);
	if (why == 0 && use != NULL)
		why = account_use(w->at.account, w->at.mailbox,
		                  use->value.at == NULL ? USE_NONE : use_of(use->value));
	return why;
}

static enum imap_step
setmetadata_run(struct imap *s)
{
	struct metadata_work *w = s->work;
	size_t                most = (size_t)imap_config_of(s)->rows.metadata_most;
	const char           *wrong;
	int                   why = notes_reach(s, w->name, &w->at);

	if (why != 0)
		return imap_no_errno(s, why);
	for (size_t i = 0; i < w->sets; i++)
		if ((wrong = forbidden(s, w, &w->set[i])) != NULL)
			return imap_no(s, "%s", wrong);
	switch (why = set_all(s, w, most)) {
	case 0: return STEP_BARRIER;
	case EMSGSIZE: return imap_no(s, "[METADATA MAXSIZE %zu] The value is too large.", most);
	case EDQUOT: return imap_no(s, "[METADATA TOOMANY] There are too many notes already.");
	default: return imap_no_errno(s, why);
	}
}

static void
setmetadata_safe(struct imap *s)
{
	(void)imap_ok(s, "Setmetadata completed.");
}

static void
setmetadata_drop(struct imap *s)
{
	reach_drop(&((struct metadata_work *)s->work)->at);
}

const struct imap_command imap_setmetadata = {
	.name = "SETMETADATA",
	.rfc = "rfc5464:4.3",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = setmetadata_parse,
	.run = setmetadata_run,
	.safe = setmetadata_safe,
	.drop = setmetadata_drop,
};
