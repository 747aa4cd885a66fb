/* LIST and LSUB: which mailboxes there are (rfc3501:6.3.8, rfc5258) */
#include "access/imap/list.h"

#include <string.h>

#include "access/imap/notes.h"
#include "access/imap/pattern.h"
#include "access/imap/reach.h"
#include "access/imap/session.h"
#include "access/imap/status.h"
#include "access/imap/write.h"
#include "message/encoding.h"

enum { PATTERNS_MOST = 64 };
enum { /* selection and return options            */
       SUBSCRIBED = 1 << 0,
       REMOTE = 1 << 1,
       RECURSIVEMATCH = 1 << 2,
       SPECIAL_USE = 1 << 3,
       CHILDREN = 1 << 4,
       STATUS = 1 << 5,
       MYRIGHTS = 1 << 6,
       METADATA = 1 << 7,
};
struct list_option {
	const char *word;
	unsigned    bit;
};
struct list_work {
	bool                 lsub;
	unsigned             select, give; /* rfc5258:3.1, 3.2                        */
	unsigned             status;       /* items of RETURN (STATUS (...))          */
	struct notes_asked   notes;        /* entries of RETURN (METADATA (...))      */
	struct bytes         reference;
	struct bytes         pattern[PATTERNS_MOST];
	bool                 coded[PATTERNS_MOST]; /* is of names in modified UTF-7 */
	size_t               patterns;
	bool                 listed;
	struct mailbox_info *info;
	size_t               count, at;
};

/* rfc5258:6, rfc6154:5.2 */
/* clang-format off */
static const struct list_option selects[] = {
	{ "SUBSCRIBED", SUBSCRIBED }, { "REMOTE", REMOTE }, { "RECURSIVEMATCH", RECURSIVEMATCH },
	{ "SPECIAL-USE", SPECIAL_USE }, { NULL, 0 },
};
/* clang-format on */
/* clang-format off */
static const struct list_option gives[] = {
	{ "SUBSCRIBED", SUBSCRIBED }, { "CHILDREN", CHILDREN }, { "SPECIAL-USE", SPECIAL_USE },
	{ "STATUS", STATUS }, { "MYRIGHTS", MYRIGHTS }, { "METADATA", METADATA }, { NULL, 0 },
};
/* clang-format on */

/* "(" [option *(SP option)] ")" */
static unsigned
read_options(struct scan *r, const struct list_option *known, struct arena *arena,
             struct list_work *w)
{
	unsigned bits = 0;

	scan_expect(r, "(");
	if (scan_skip(r, ')'))
		return 0;
	do {
		struct bytes              word = read_atom(r);
		const struct list_option *o = known;
		while (o->word != NULL && !bytes_is(word, o->word))
			o++;
		if (o->word == NULL)
			scan_fail(r, "a LIST option");
		bits |= o->bit;
		if (scan_ok(r) && o->bit == STATUS) {
			read_space(r);
			w->status = status_items(r);
		}
		if (scan_ok(r) && o->bit == METADATA) {
			read_space(r);
			if (!scan_next_is(r, '('))
				scan_fail(r, "entries in parentheses");
			else
				notes_read_entries(r, arena, &w->notes);
		}
	} while (scan_ok(r) && scan_skip(r, ' '));
	scan_expect(r, ")");
	return bits;
}

/* mbox-or-pat = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")" */
static void
read_patterns(struct scan *r, struct arena *arena, struct list_work *w)
{
	bool many = scan_skip(r, '(');

	do
		w->pattern[w->patterns++] = read_list_mailbox(r, arena);
	while (many && scan_ok(r) && w->patterns < PATTERNS_MOST && scan_skip(r, ' '));
	if (many) {
		if (w->patterns == PATTERNS_MOST && scan_next_is(r, ' '))
			scan_fail(r, "fewer patterns");
		scan_expect(r, ")");
		w->give |= CHILDREN;
	}
}

/* list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]   rfc5258:6 */
static void
list_parse(struct imap *s, struct scan *r)
{
	struct list_work *w = s->work = arena_take(s->scratch, sizeof *w);

	read_space(r);
	if (scan_next_is(r, '(')) {
		w->select = read_options(r, selects, s->scratch, w);
		read_space(r);
	}
	/* rfc5258:3.1: RECURSIVEMATCH stands not alone, nor with REMOTE only. */
	if ((w->select & RECURSIVEMATCH) && !(w->select & (SUBSCRIBED | SPECIAL_USE)))
		scan_fail(r, "another option beside RECURSIVEMATCH");
	w->reference = read_astring(r, s->scratch);
	read_space(r);
	read_patterns(r, s->scratch, w);
	if (scan_skip(r, ' ')) {
		scan_expect(r, "RETURN ");
		w->give |= read_options(r, gives, s->scratch, w);
	}
	w->give |= w->select & (SUBSCRIBED | SPECIAL_USE);
}

/* lsub = "LSUB" SP mailbox SP list-mailbox */
static void
lsub_parse(struct imap *s, struct scan *r)
{
	struct list_work *w = s->work = arena_take(s->scratch, sizeof *w);

	w->lsub = true;
	w->select = SUBSCRIBED;
	read_space(r);
	w->reference = read_astring(r, s->scratch);
	read_space(r);
	w->pattern[w->patterns++] = read_list_mailbox(r, s->scratch);
}

/* The pattern as one of UTF-8 names, with the reference before it (rfc9051:6.3.9); *coded: a wildcard stands
   within what would be decoded, so it is one of names as this client knows them (rfc3501:5.1.3). */
static struct bytes
pattern_whole(struct imap *s, struct bytes reference, struct bytes pattern, bool *coded)
{
	struct buffer whole = { 0 }, name = { 0 };
	bool          plain = imap_speaks_utf8(s);
	struct bytes  result;

	if (pattern.len == 0 || pattern.at[0] != '/')
		buffer_add(&whole, reference);
	buffer_add(&whole, pattern);
	*coded = !plain && !utf7_to_utf8(buffer_bytes(&whole), &name);
	result = arena_keep(s->scratch,
	                    plain || *coded ? buffer_bytes(&whole) : buffer_bytes(&name));
	buffer_free(&whole);
	buffer_free(&name);
	return result;
}

static bool
name_matches(const struct list_work *w, const char *name, size_t len)
{
	struct buffer coded = { 0 };
	struct bytes  as_it_is = { name, len };
	bool          matches = false;

	for (size_t i = 0; i < w->patterns && !matches; i++) {
		if (w->coded[i] && coded.len == 0)
			utf8_to_utf7(as_it_is, &coded);
		matches = pattern_matches(w->pattern[i],
		                          w->coded[i] ? buffer_bytes(&coded) : as_it_is);
	}
	buffer_free(&coded);
	return matches;
}

static bool
is_selected(const struct list_work *w, const struct mailbox_info *m)
{
	return (!(w->select & SUBSCRIBED) || m->subscribed) &&
	       (!(w->select & SPECIAL_USE) || m->use != USE_NONE);
}

/* Is there below this name one that the selection options take, though the pattern
   does not?  The list is sorted, so children follow. */
static bool
child_selected(const struct list_work *w, size_t at, bool beyond_pattern)
{
	const char *name = w->info[at].name;
	size_t      len = strlen(name);

	for (size_t i = 0; i < w->count; i++) {
		const struct mailbox_info *m = &w->info[i];
		if (strncmp(m->name, name, len) != 0 || m->name[len] != '/' || !is_selected(w, m))
			continue;
		if (!beyond_pattern || !name_matches(w, m->name, strlen(m->name)))
			return true;
	}
	return false;
}

static void
add_word(struct buffer *out, bool *any, const char *word)
{
	if (*any)
		buffer_add_char(out, ' ');
	*any = true;
	buffer_add_string(out, word);
}

/* \NoInferiors says that there are no children, too (rfc5258:4). */
static const char *
children_word(const struct mailbox_info *m)
{
	return m->has_children   ? "\\HasChildren"
	       : m->no_inferiors ? "\\NoInferiors"
	                         : "\\HasNoChildren";
}

static void
write_attributes(struct buffer *out, const struct mailbox_info *m, bool *any)
{
	add_word(out, any, children_word(m));
	if (m->use != USE_NONE)
		add_word(out, any, use_word(m->use));
}

void
list_tell(struct imap *s, const char *name, struct bytes given)
{
	struct buffer      *out = imap_out(s);
	struct mailbox_info info;
	bool                any = false;

	buffer_add_string(out, "* LIST (");
	if (!reach_list_one(s, name, &info))
		add_word(out, &any, "\\NonExistent");
	else {
		if (!info.exists)
			add_word(out, &any, "\\NonExistent");
		write_attributes(out, &info, &any);
		if (info.subscribed)
			add_word(out, &any, "\\Subscribed");
	}
	buffer_add_string(out, ") \"/\" ");
	imap_write_mailbox(s, name);
	if (!bytes_equal(given, bytes_of(name))) {
		buffer_add_string(out, " (\"OLDNAME\" (");
		write_text(out, given, imap_speaks_utf8(s));
		buffer_add_string(out, "))");
	}
	buffer_add_string(out, "\r\n");
}

/* mailbox-list = "(" [mbx-list-flags] ")" SP DQUOTE "/" DQUOTE SP mailbox [SP mbox-list-extended] */
static void
write_entry(struct imap *s, const struct list_work *w, const struct mailbox_info *m, bool selected,
            bool child)
{
	struct buffer *out = imap_out(s);
	bool           any = false;

	buffer_printf(out, "* %s (", w->lsub ? "LSUB" : "LIST");
	if (w->lsub && !selected)
		add_word(out, &any, "\\Noselect");
	else if (!m->exists && (w->select | w->give) != 0 && !w->lsub)
		add_word(out, &any, "\\NonExistent");
	else if (!m->exists)
		add_word(out, &any, "\\Noselect");
	if (!w->lsub || (w->give & CHILDREN))
		add_word(out, &any, children_word(m));
	if (m->subscribed && (w->give & SUBSCRIBED))
		add_word(out, &any, "\\Subscribed");
	if (m->use != USE_NONE && !w->lsub)
		add_word(out, &any, use_word(m->use));
	buffer_add_string(out, ") \"/\" ");
	imap_write_mailbox(s, m->name);
	if (child)
		buffer_printf(out, " (CHILDINFO (%s))",
		              (w->select & SUBSCRIBED) && (w->select & SPECIAL_USE)
		                      ? "\"SUBSCRIBED\" \"SPECIAL-USE\""
		              : w->select & SUBSCRIBED ? "\"SUBSCRIBED\""
		                                       : "\"SPECIAL-USE\"");
	buffer_add_string(out, "\r\n");
	if (w->status != 0 && selected && m->exists)
		(void)status_write(s, m->name, w->status);
	/* rfc8440:3, rfc9590:3: behind their LIST; nothing where nothing can be said. */
	if ((w->give & MYRIGHTS) && m->exists)
		(void)myrights_write(s, m->name);
	if ((w->give & METADATA) && m->exists) {
		struct notes_asked asked = w->notes;
		asked.most = UINT64_MAX;
		(void)notes_write(s, m->name, &asked, true);
	}
}

static void
list_one(struct imap *s, struct list_work *w, size_t at)
{
	const struct mailbox_info *m = &w->info[at];
	bool                       selected = is_selected(w, m), child = false;

	if (!name_matches(w, m->name, strlen(m->name)))
		return;
	/* Without options a name that is only subscribed is no mailbox. */
	if (!m->exists && !m->has_children && !(w->select & SUBSCRIBED))
		return;
	if (w->select & RECURSIVEMATCH)
		child = child_selected(w, at, false);
	/* rfc3501:6.3.9: LSUB "%" names the level above what is subscribed below. */
	if (w->lsub && !selected && child_selected(w, at, true))
		write_entry(s, w, m, false, false);
	else if (selected || child)
		write_entry(s, w, m, selected, child);
}

static enum imap_step
list_run(struct imap *s)
{
	struct list_work *w = s->work;

	/* LIST "" "" asks for the delimiter and the root (rfc3501:6.3.8). */
	if (w->patterns == 1 && w->pattern[0].len == 0 && w->select == 0) {
		buffer_add_string(imap_out(s), "* LIST (\\Noselect) \"/\" \"\"\r\n");
		return imap_ok(s, "List completed.");
	}
	if (!w->listed) {
		for (size_t i = 0; i < w->patterns; i++)
			w->pattern[i] = pattern_whole(s, w->reference, w->pattern[i], &w->coded[i]);
		w->count = reach_list(s, &w->info);
		w->listed = true;
	}
	for (; w->at < w->count; w->at++) {
		if (imap_full(s) || imap_turn_over(s))
			return STEP_AGAIN;
		list_one(s, w, w->at);
	}
	return imap_ok(s, "%s completed.", w->lsub ? "Lsub" : "List");
}

const struct imap_command imap_list = {
	.name = "LIST",
	.rfc = "rfc9051:6.3.9",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE | NEEDS_NO_MESSAGE,
	.parse = list_parse,
	.run = list_run,
};

const struct imap_command imap_lsub = {
	.name = "LSUB",
	.rfc = "rfc3501:6.3.9",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE | NEEDS_NO_MESSAGE,
	.parse = lsub_parse,
	.run = list_run,
};
