#include "access/imap/sources.h"

#include <stdlib.h>
#include <string.h>

#include "access/imap/reach.h"

enum { NAMES_MOST = 1000 };
enum scope { SELECTED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE, SUBTREE_ONE, MAILBOXES };
struct source {
	enum scope     scope;
	const char    *name; /* of the last three; each has a row of its own    */
	struct source *next;
};

/* clang-format off */
static const struct { const char *word; enum scope scope; bool names; } scopes[] = {
	{ "SELECTED",    SELECTED,    false },
	{ "INBOXES",     INBOXES,     false },
	{ "PERSONAL",    PERSONAL,    false },
	{ "SUBSCRIBED",  SUBSCRIBED,  false },
	{ "SUBTREE",     SUBTREE,     true  },
	{ "SUBTREE-ONE", SUBTREE_ONE, true  },
	{ "MAILBOXES",   MAILBOXES,   true  },
};
/* clang-format on */

static void
source_add(struct imap *s, struct scan *r, struct sources *all, enum scope scope, const char *name)
{
	struct source *one;

	if (all->names++ == NAMES_MOST)
		scan_fail(r, "fewer mailboxes");
	if (!scan_ok(r))
		return;
	one = arena_take(s->scratch, sizeof *one);
	one->scope = scope;
	one->name = name;
	*all->last = one;
	all->last = &one->next;
}

/* filter-mailboxes   rfc5465:8, rfc7377:4; one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")" */
static void
read_source(struct imap *s, struct scan *r, struct sources *all)
{
	struct bytes word = read_atom(r);
	size_t       i = 0;
	bool         many;

	while (i < COUNT(scopes) && !bytes_is(word, scopes[i].word))
		i++;
	if (i == COUNT(scopes)) {
		scan_fail(r, "which mailboxes");
		return;
	}
	all->others |= scopes[i].scope != SELECTED;
	if (scopes[i].scope == SELECTED && s->view == NULL)
		scan_fail(r, "a selected mailbox");
	if (!scopes[i].names) {
		source_add(s, r, all, scopes[i].scope, NULL);
		return;
	}
	read_space(r);
	many = scan_skip(r, '(');
	do
		source_add(s, r, all, scopes[i].scope, imap_read_mailbox(s, r));
	while (many && scan_ok(r) && scan_skip(r, ' '));
	if (many)
		scan_expect(r, ")");
}

/* esearch-source-opts = "IN" SP "(" source-mbox [SP "(" scope-options ")"] ")"; no scope option is known to anybody */
void
sources_read(struct imap *s, struct scan *r, struct sources *all)
{
	*all = (struct sources){ 0 };
	all->last = &all->first;
	if (!scan_skip_word(r, "IN (")) {
		if (s->view == NULL)
			scan_fail(r, "IN, or a selected mailbox");
		source_add(s, r, all, SELECTED, NULL);
		return;
	}
	do
		read_source(s, r, all);
	while (scan_ok(r) && scan_skip(r, ' '));
	scan_expect(r, ")");
	read_space(r);
}

const char *
selected_name(struct imap *s)
{
	const char *name = mailbox_name(s->view->mailbox);

	return s->view->before == NULL ? name
	                               : arena_printf(s->scratch, "%s%s", s->view->before, name);
}

/* ---- what there is ------------------------------------------------------------------ */

static bool
source_holds(struct imap *s, const struct source *one, const struct mailbox_info *m)
{
	size_t n = one->name != NULL ? strlen(one->name) : 0;

	switch (one->scope) {
	case SELECTED:
	case MAILBOXES: return false; /* named already */
	case INBOXES:                 /* filters may put letters anywhere (rfc5465:6.3) */
	case PERSONAL: return account_find(s->account, m->name) != 0;
	case SUBSCRIBED: return m->subscribed;
	case SUBTREE:
	case SUBTREE_ONE:
		if (strncmp(m->name, one->name, n) != 0)
			return false;
		return m->name[n] == '\0' ||
		       (m->name[n] == '/' &&
		        (one->scope == SUBTREE || strchr(m->name + n + 1, '/') == NULL));
	}
	return false;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t
sources_list(struct imap *s, const struct sources *all, const char ***out)
{
	struct mailbox_info *info = NULL;
	size_t               there = 0, count = 0, n = 0;
	const char         **name;

	if (all->others)
		there = reach_list(s, &info);
	*out = name = arena_take_array(s->scratch, all->names + there + 1, sizeof *name);
	for (const struct source *one = all->first; one != NULL; one = one->next)
		if (one->scope == SELECTED || one->scope == MAILBOXES)
			name[count++] = one->scope == SELECTED ? selected_name(s) : one->name;
	for (size_t i = 0; i < there; i++) {
		const struct source *one = all->first;

		while (one != NULL && !source_holds(s, one, &info[i]))
			one = one->next;
		if (one != NULL && info[i].exists)
			name[count++] = info[i].name;
	}
	qsort(name, count, sizeof *name, by_name);
	for (size_t i = 0; i < count; i++)
		if (n == 0 || strcmp(name[n - 1], name[i]) != 0)
			name[n++] = name[i];
	return n;
}
