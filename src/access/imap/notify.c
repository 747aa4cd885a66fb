/* NOTIFY: news without asking (rfc5465) */
#include "access/imap/notify.h"

#include <string.h>

#include "access/imap/fetch.h"
#include "access/imap/list.h"
#include "access/imap/reach.h"
#include "access/imap/service.h"
#include "access/imap/status.h"
#include "access/imap/write.h"
#include "base/map.h"

enum { GROUPS_MOST = 64, NAMES_MOST = 1000, NOTICES_MOST = 500, SHARES_MOST = 200 };
enum scope { SELECTED, SELECTED_DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE, MAILBOXES };
struct group {
	enum scope   scope;
	const char **name;
	size_t       names;
	unsigned     events;
};
/* What is still to be told, in the order it happened; of messages once for each mailbox. */
struct notice {
	unsigned       event;
	char          *name, *more; /* the name before, or the entry            */
	struct notice *next;
};
/* An account that shows something to the reader. */
struct notify_share {
	struct notify        *notify;
	struct account       *account; /* held                                    */
	struct account_watch *watch;
	const char           *root; /* "Other Users/jill@example.com/"          */
};
struct notify {
	struct imap          *session;
	struct arena         *life;
	struct account_watch *watch;
	struct group          group[GROUPS_MOST];
	size_t                groups, names;
	unsigned              selected; /* message events                          */
	bool                  delayed, status;
	struct fetch_list    *fetch;
	uint32_t              fetch_next, fetch_end;
	struct notice        *first, **last;
	size_t                count;
	bool                  overflow;
	struct shares_watch  *sharing;
	struct notify_share  *share;
	size_t                shares;
	struct map           *shown; /* names of others' mailboxes the reader may see */
};

/* clang-format off */
static const struct { const char *word; unsigned event; } events[] = {
	{ "MessageNew",            EVENT_NEW          },
	{ "MessageExpunge",        EVENT_EXPUNGE      },
	{ "FlagChange",            EVENT_FLAGS        },
	{ "MailboxName",           EVENT_NAME         },
	{ "SubscriptionChange",    EVENT_SUBSCRIPTION },
	{ "MailboxMetadataChange", EVENT_METADATA     },
	{ "ServerMetadataChange",  EVENT_SERVER       },
};
static const struct { const char *word; enum scope scope; } scopes[] = {
	{ "SELECTED",         SELECTED         },
	{ "SELECTED-DELAYED", SELECTED_DELAYED },
	{ "INBOXES",          INBOXES          },
	{ "PERSONAL",         PERSONAL         },
	{ "SUBSCRIBED",       SUBSCRIBED       },
	{ "SUBTREE",          SUBTREE          },
	{ "MAILBOXES",        MAILBOXES        },
};
/* clang-format on */

/* ---- what is wanted ------------------------------------------------------------ */

unsigned
notify_wants(const struct imap *s)
{
	return s->notify == NULL ? EVENT_MESSAGES : s->notify->selected;
}

bool
notify_at_once(const struct imap *s, bool expunges)
{
	return s->notify != NULL && s->notify->selected != 0 && !(expunges && s->notify->delayed);
}

static bool
is_or_under(const char *name, const char *level)
{
	size_t n = strlen(level);

	return strncmp(name, level, n) == 0 && (name[n] == '\0' || name[n] == '/');
}

static bool
group_holds(const struct notify *n, const struct group *g, const char *name)
{
	switch (g->scope) {
	case SELECTED:
	case SELECTED_DELAYED: return false;
	case INBOXES: /* filters may put letters anywhere (rfc5465:6.3) */
	case PERSONAL: return !reach_is_others(n->session, name);
	case SUBSCRIBED: return account_subscribes(n->session->account, name);
	case SUBTREE:
		for (size_t i = 0; i < g->names; i++)
			if (is_or_under(name, g->name[i]))
				return true;
		return false;
	case MAILBOXES:
		for (size_t i = 0; i < g->names; i++)
			if (strcmp(name, g->name[i]) == 0)
				return true;
		return false;
	}
	return false;
}

static unsigned
events_of(const struct notify *n, const char *name)
{
	unsigned all = 0;

	for (size_t i = 0; i < n->groups; i++)
		if (group_holds(n, &n->group[i], name))
			all |= n->group[i].events;
	return all;
}

/* ---- what happens ------------------------------------------------------------------ */

static char *
copied(struct bytes text)
{
	char *copy = memory_take(text.len + 1);

	if (text.len > 0)
		memcpy(copy, text.at, text.len);
	return copy;
}

static void
notice_drop(struct notify *n)
{
	struct notice *one = n->first;

	n->first = one->next;
	if (n->first == NULL)
		n->last = &n->first;
	n->count--;
	memory_free(one->name);
	memory_free(one->more);
	memory_free(one);
}

static void
notice_add(struct notify *n, unsigned event, const char *name, struct bytes more)
{
	struct notice *one;

	for (one = n->first; one != NULL; one = one->next)
		if ((event & EVENT_MESSAGES) && (one->event & EVENT_MESSAGES) &&
		    strcmp(one->name, name) == 0) {
			one->event |= event;
			return;
		}
	if (n->count == NOTICES_MOST) {
		n->overflow = true;
		return;
	}
	one = memory_take(sizeof *one);
	one->event = event;
	one->name = copied(bytes_of(name));
	one->more = copied(more);
	*n->last = one;
	n->last = &one->next;
	n->count++;
}

/* The level above hears of children that come and go (rfc5465:5.4). */
static void
notice_parent(struct notify *n, const char *name)
{
	const char *slash = strrchr(name, '/');
	char       *parent;

	if (slash == NULL)
		return;
	parent = copied((struct bytes){ name, (size_t)(slash - name) });
	if (events_of(n, parent) & EVENT_NAME)
		notice_add(n, EVENT_NAME, parent, (struct bytes){ 0 });
	memory_free(parent);
}

static bool
is_selected(const struct imap *s, const char *name)
{
	return s->view != NULL && mailbox_account(s->view->mailbox) == s->account &&
	       strcmp(mailbox_name(s->view->mailbox), name) == 0;
}

static unsigned
event_of(const struct account_event *e)
{
	switch (e->what) {
	case ACCOUNT_ARRIVED: return EVENT_NEW;
	case ACCOUNT_EXPUNGED: return EVENT_EXPUNGE;
	case ACCOUNT_FLAGS: return EVENT_FLAGS;
	case ACCOUNT_MADE:
	case ACCOUNT_DELETED:
	case ACCOUNT_RENAMED: return EVENT_NAME;
	case ACCOUNT_SUBSCRIBED: return EVENT_SUBSCRIPTION;
	case ACCOUNT_RIGHTS: return 0;
	case ACCOUNT_METADATA: return e->name[0] == '\0' ? EVENT_SERVER : EVENT_METADATA;
	}
	return 0;
}

static void
notify_news(void *ctx, const struct account_event *e)
{
	struct notify *n = ctx;
	struct imap   *s = n->session;
	unsigned       event = event_of(e), wanted = 0;

	if (s->acting || n->overflow) /* what we did ourselves is no news (rfc5465:5) */
		return;
	if (e->what == ACCOUNT_METADATA && e->reader != 0 && e->reader != s->facts.account)
		return;
	if ((event & EVENT_MESSAGES) && is_selected(s, e->name))
		return;
	if (event == EVENT_SERVER)
		for (size_t i = 0; i < n->groups; i++)
			wanted |= n->group[i].events;
	else
		wanted = events_of(n, e->name) |
		         (e->what == ACCOUNT_RENAMED ? events_of(n, e->before) : 0);
	if (e->what == ACCOUNT_MADE || e->what == ACCOUNT_DELETED)
		notice_parent(n, e->name);
	if (wanted & event)
		notice_add(n, event, e->name,
		           e->what == ACCOUNT_RENAMED ? bytes_of(e->before) : e->entry);
	if (s->command == NULL)
		imap_queue(s);
	else if (s->command->effect & PATIENT)
		imap_wake(s);
}

/* ---- what happens in mailboxes of others ---- */

static char shown_mark;

static unsigned
rights_in(struct imap *s, const char *name)
{
	struct reach r;
	unsigned     rights;

	if (reach_name(s, name, &r) != 0)
		return 0;
	rights = r.mailbox != 0 ? r.rights : 0;
	reach_drop(&r);
	return rights;
}

/* A name that comes into sight, goes out of it, or is another now; no name is told that was never in sight. */
static void
share_named(struct notify *n, const char *name, const char *before, bool shown)
{
	bool was = map_drop(n->shown, bytes_of(name)) != NULL;
	bool had = before != NULL && map_drop(n->shown, bytes_of(before)) != NULL;

	if (shown)
		(void)map_put(n->shown, bytes_of(name), &shown_mark);
	if (had && !shown && (events_of(n, before) & EVENT_NAME))
		notice_add(n, EVENT_NAME, before, (struct bytes){ 0 });
	else if (shown && had && ((events_of(n, name) | events_of(n, before)) & EVENT_NAME))
		notice_add(n, EVENT_NAME, name, bytes_of(before));
	else if (shown != was && (events_of(n, name) & EVENT_NAME))
		notice_add(n, EVENT_NAME, name, (struct bytes){ 0 });
}

static void
share_heard(struct notify_share *h, const struct account_event *e)
{
	struct notify *n = h->notify;
	struct imap   *s = n->session;
	const char    *name = arena_printf(s->scratch, "%s%s", h->root, e->name);
	const char    *before = e->what != ACCOUNT_RENAMED
	                                ? NULL
	                                : arena_printf(s->scratch, "%s%s", h->root, e->before);
	unsigned       event = event_of(e), rights = rights_in(s, name);

	if (event == EVENT_NAME || e->what == ACCOUNT_RIGHTS)
		share_named(n, name, before, e->what != ACCOUNT_DELETED && (rights & RIGHT_LOOKUP));
	else if ((rights & RIGHT_READ) && (events_of(n, name) & event))
		notice_add(n, event, name, e->entry);
}

static void
share_news(void *ctx, const struct account_event *e)
{
	struct notify_share *h = ctx;
	struct notify       *n = h->notify;
	struct imap         *s = n->session;
	struct view         *v = s->view;
	struct arena        *own = NULL;

	if (s->acting || n->overflow || n->groups == 0 || e->name[0] == '\0' ||
	    e->what == ACCOUNT_SUBSCRIBED)
		return;
	if (e->what == ACCOUNT_METADATA && e->reader != 0 && e->reader != s->facts.account)
		return;
	if ((event_of(e) & EVENT_MESSAGES) && v != NULL &&
	    mailbox_account(v->mailbox) == h->account &&
	    strcmp(mailbox_name(v->mailbox), e->name) == 0)
		return;
	if (s->scratch == NULL)
		s->scratch = own = arena_open(NULL);
	share_heard(h, e);
	if (own != NULL) {
		s->scratch = NULL;
		arena_close(&own);
	}
	if (s->command == NULL)
		imap_queue(s);
	else if (s->command->effect & PATIENT)
		imap_wake(s);
}

static bool
is_watched(const struct notify *n, uint64_t account)
{
	for (size_t i = 0; i < n->shares; i++)
		if (account_id(n->share[i].account) == account)
			return true;
	return false;
}

/* Every account that shows something, and is not watched yet. */
static void
watch_more(struct notify *n)
{
	struct imap  *s = n->session;
	struct share *share;
	size_t        count = reach_shares(s, &share);
	int           why;

	for (size_t i = 0; i < count && n->shares < SHARES_MOST; i++) {
		struct notify_share *h = &n->share[n->shares];
		if (is_watched(n, share[i].account) ||
		    (h->account = account_take(s->service->store, share[i].account, &why)) == NULL)
			continue;
		h->notify = n;
		h->root = arena_printf(n->life, "%s%s/", share[i].group ? GROUPS : OTHERS,
		                       share[i].address);
		h->watch = account_watch(h->account, share_news, h);
		n->shares++;
	}
}

/* An account may show its first mailbox: what it shows is told by its own news, which follow. */
static void
sharing_news(void *ctx)
{
	struct notify *n = ctx;
	struct imap   *s = n->session;
	struct arena  *own = NULL;

	if (n->groups == 0)
		return;
	if (s->scratch == NULL)
		s->scratch = own = arena_open(NULL);
	watch_more(n);
	if (own != NULL) {
		s->scratch = NULL;
		arena_close(&own);
	}
}

static void
watch_others(struct notify *n)
{
	struct imap         *s = n->session;
	struct mailbox_info *info;
	size_t               count;
	bool                 wanted = false;

	for (size_t i = 0; i < n->groups; i++)
		wanted |= n->group[i].scope == SUBSCRIBED || n->group[i].scope == SUBTREE ||
		          n->group[i].scope == MAILBOXES;
	n->shown = map_open();
	n->share = arena_take_array(n->life, SHARES_MOST, sizeof *n->share);
	if (wanted) {
		watch_more(n);
		n->sharing = shares_watch(s->service->store, sharing_news, n);
	}
	count = n->shares > 0 ? reach_list(s, &info) : 0;
	for (size_t i = 0; i < count; i++)
		if (info[i].exists && reach_is_others(s, info[i].name))
			(void)map_put(n->shown, bytes_of(info[i].name), &shown_mark);
}

static void
unwatch_others(struct notify *n)
{
	shares_unwatch(n->session->service->store, &n->sharing);
	for (size_t i = 0; i < n->shares; i++) {
		account_unwatch(&n->share[i].watch);
		account_drop(&n->share[i].account);
	}
	n->shares = 0;
	map_close(&n->shown);
}

/* ---- what is told -------------------------------------------------------------------- */

/* `first`: what NOTIFY itself tells.  Who asked for flags is told their modseq then, whether it has said CONDSTORE or not
   (rfc5465:3.1). */
static unsigned
status_for(const struct imap *s, unsigned event, bool first)
{
	bool        messages = event & (EVENT_NEW | EVENT_EXPUNGE);
	const char *words = !messages             ? "(UIDVALIDITY UNSEEN)"
	                    : event & EVENT_FLAGS ? "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"
	                                          : "(MESSAGES UIDNEXT UIDVALIDITY)";
	struct scan r = scan_of(bytes_of(words)), more = scan_of(BYTES("(HIGHESTMODSEQ)"));

	return status_items(&r) |
	       (s->condstore || (first && (event & EVENT_FLAGS)) ? status_items(&more) : 0);
}

static void
tell_metadata(struct imap *s, const struct notice *one)
{
	struct buffer *out = imap_out(s);

	buffer_add_string(out, "* METADATA ");
	if (one->name[0] == '\0')
		buffer_add_string(out, "\"\"");
	else
		imap_write_mailbox(s, one->name);
	buffer_add_char(out, ' ');
	write_astring(out, bytes_of(one->more));
	buffer_add_string(out, "\r\n");
}

/* "\NoAccess": the reader saw it, and may not any more (rfc5465:5.9). */
static bool
tell_no_access(struct imap *s, const char *name)
{
	struct reach r;
	bool         hidden;

	if (!reach_is_others(s, name) || reach_name(s, name, &r) != 0)
		return false;
	hidden = r.mailbox != 0 && !(r.rights & RIGHT_LOOKUP);
	reach_drop(&r);
	if (!hidden)
		return false;
	buffer_add_string(imap_out(s), "* LIST (\\NoAccess) \"/\" ");
	imap_write_mailbox(s, name);
	buffer_add_string(imap_out(s), "\r\n");
	return true;
}

static void
notice_tell(struct imap *s, const struct notice *one)
{
	if (one->event == EVENT_NAME && tell_no_access(s, one->name))
		return;
	if (one->event & EVENT_MESSAGES)
		(void)status_write(s, one->name, status_for(s, one->event, false));
	else if (one->event & (EVENT_METADATA | EVENT_SERVER))
		tell_metadata(s, one);
	else
		list_tell(s, one->name,
		          one->event == EVENT_NAME && one->more[0] != '\0' ? bytes_of(one->more)
		                                                           : bytes_of(one->name));
}

bool
notify_tell(struct imap *s)
{
	struct notify *n = s->notify;
	struct arena  *own = NULL;

	if (n == NULL || (n->first == NULL && !n->overflow))
		return true;
	if (s->scratch == NULL)
		s->scratch = own = arena_open(NULL);
	while (n->first != NULL && !n->overflow && !imap_full(s)) {
		notice_tell(s, n->first);
		notice_drop(n);
	}
	if (own != NULL) {
		s->scratch = NULL;
		arena_close(&own);
	}
	if (!n->overflow)
		return n->first == NULL;
	buffer_add_string(imap_out(s),
	                  "* OK [NOTIFICATIONOVERFLOW] Too much happens; NOTIFY is over.\r\n");
	while (n->first != NULL)
		notice_drop(n);
	n->groups = 0;
	n->selected = 0;
	n->overflow = false;
	if (s->view != NULL)
		s->view->deaf = true;
	return true;
}

void
notify_arrived(struct imap *s, uint32_t from)
{
	struct notify *n = s->notify;

	if (n == NULL || n->fetch == NULL)
		return;
	if (n->fetch_next == 0)
		n->fetch_next = from;
	n->fetch_end = s->view->limit;
}

bool
notify_fetches(struct imap *s)
{
	struct notify *n = s->notify;
	struct arena  *own = NULL;
	uint32_t       uid;

	if (n == NULL || n->fetch_next == 0)
		return true;
	if (s->scratch == NULL)
		s->scratch = own = arena_open(NULL);
	while ((uid = view_next(s->view, n->fetch_next)) != 0 && uid < n->fetch_end &&
	       !imap_full(s)) {
		fetch_list_say(s, n->fetch, uid);
		n->fetch_next = uid + 1;
	}
	if (uid == 0 || uid >= n->fetch_end)
		n->fetch_next = 0;
	if (own != NULL) {
		s->scratch = NULL;
		arena_close(&own);
	}
	return n->fetch_next == 0;
}

void
notify_left(struct imap *s)
{
	if (s->notify != NULL)
		s->notify->fetch_next = 0;
}

void
notify_close(struct notify **np)
{
	struct notify *n = *np;
	struct arena  *life;

	*np = NULL;
	if (n == NULL)
		return;
	while (n->first != NULL)
		notice_drop(n);
	account_unwatch(&n->watch);
	unwatch_others(n);
	life = n->life;
	arena_close(&life);
}

/* ---- the command ------------------------------------------------------------------------ */

struct notify_work {
	struct notify       *fresh;
	bool                 bad_event;
	struct mailbox_info *info; /* of those whose STATUS is asked          */
	size_t               count, at;
	bool                 begun;
};

/* one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")" */
static void
read_names(struct imap *s, struct scan *r, struct notify *n, struct group *g)
{
	const char **kept = arena_take_array(n->life, NAMES_MOST, sizeof *kept);
	bool         many = scan_skip(r, '(');

	g->name = kept;
	do {
		const char *name = imap_read_mailbox(s, r);
		if (n->names++ >= NAMES_MOST)
			scan_fail(r, "fewer mailboxes");
		if (scan_ok(r))
			kept[g->names++] = arena_copy(n->life, bytes_of(reach_full_name(s, name)));
	} while (many && scan_ok(r) && scan_skip(r, ' '));
	if (many)
		scan_expect(r, ")");
}

/* event = message-event / mailbox-event / user-event / event-ext */
static void
read_event(struct imap *s, struct scan *r, struct notify_work *w, struct group *g)
{
	struct notify *n = w->fresh;
	struct bytes   word = read_atom(r);
	unsigned       event = 0;

	for (size_t i = 0; i < COUNT(events); i++)
		if (bytes_is(word, events[i].word))
			event = events[i].event;
	w->bad_event |= event == 0;
	g->events |= event;
	if (event != EVENT_NEW || r->rest.len < 2 || r->rest.at[0] != ' ' || r->rest.at[1] != '(')
		return;
	read_space(r);
	if (g->scope != SELECTED && g->scope != SELECTED_DELAYED)
		scan_fail(r, "items with SELECTED alone");
	n->fetch = fetch_list_read(s, r, n->life);
}

/* What goes with what: rfc5465:5 and 6.1 */
static void
check_group(struct scan *r, struct notify *n, const struct group *g)
{
	unsigned both = g->events & (EVENT_NEW | EVENT_EXPUNGE);

	if (both != 0 && both != (EVENT_NEW | EVENT_EXPUNGE))
		scan_fail(r, "MessageNew and MessageExpunge together");
	if ((g->events & EVENT_FLAGS) && both == 0)
		scan_fail(r, "MessageNew and MessageExpunge with FlagChange");
	if (g->scope != SELECTED && g->scope != SELECTED_DELAYED)
		return;
	if (g->events & ~(unsigned)EVENT_MESSAGES)
		scan_fail(r, "message events with SELECTED");
	for (size_t i = 0; i + 1 < n->groups; i++)
		if (n->group[i].scope == SELECTED || n->group[i].scope == SELECTED_DELAYED)
			scan_fail(r, "SELECTED once");
	n->selected = g->events;
	n->delayed = g->scope == SELECTED_DELAYED;
}

/* event-group = "(" filter-mailboxes SP events ")"   rfc5465:8 */
static void
read_group(struct imap *s, struct scan *r, struct notify_work *w)
{
	struct notify *n = w->fresh;
	struct group  *g = &n->group[n->groups];
	struct bytes   word;
	size_t         i = 0;

	scan_expect(r, "(");
	word = read_atom(r);
	while (i < COUNT(scopes) && !bytes_is(word, scopes[i].word))
		i++;
	if (i == COUNT(scopes) || n->groups == GROUPS_MOST) {
		scan_fail(r, i == COUNT(scopes) ? "which mailboxes" : "fewer groups");
		return;
	}
	n->groups++;
	g->scope = scopes[i].scope;
	read_space(r);
	if (g->scope == SUBTREE || g->scope == MAILBOXES) {
		read_names(s, r, n, g);
		read_space(r);
	}
	if (!scan_skip_word(r, "NONE")) {
		/* The examples of the RFC leave the parentheses out where they can be understood. */
		scan_expect(r, "(");
		do
			read_event(s, r, w, g);
		while (scan_ok(r) && scan_skip(r, ' '));
		scan_expect(r, ")");
	}
	scan_expect(r, ")");
	if (!w->bad_event)
		check_group(r, n, g);
}

/* notify = "NOTIFY" SP ("SET" [SP "STATUS"] SP event-group *(SP event-group) / "NONE")   rfc5465:8 */
static void
notify_parse(struct imap *s, struct scan *r)
{
	struct notify_work *w = s->work = arena_take(s->scratch, sizeof *w);
	struct arena       *life = arena_open(NULL);
	struct notify      *n = w->fresh = arena_take(life, sizeof *n);

	n->life = life;
	n->session = s;
	n->last = &n->first;
	read_space(r);
	if (!scan_skip_word(r, "NONE")) {
		scan_expect(r, "SET ");
		n->status = scan_skip_word(r, "STATUS ");
		do
			read_group(s, r, w);
		while (scan_ok(r) && scan_skip(r, ' '));
	}
	scan_end(r);
	if (!scan_ok(r))
		notify_close(&w->fresh);
}

static void
notify_begin(struct imap *s, struct notify_work *w)
{
	bool status = w->fresh->status;

	notify_close(&s->notify);
	s->notify = w->fresh;
	w->fresh = NULL;
	s->notify->watch = account_watch(s->account, notify_news, s->notify);
	watch_others(s->notify);
	if (s->view != NULL)
		s->view->deaf = !(s->notify->selected & EVENT_FLAGS);
	if (status)
		w->count = reach_list(s, &w->info);
	w->begun = true;
}

static enum imap_step
notify_run(struct imap *s)
{
	struct notify_work *w = s->work;

	if (w->bad_event)
		return imap_no(s, "[BADEVENT (MessageNew MessageExpunge FlagChange MailboxName "
		                  "SubscriptionChange MailboxMetadataChange "
		                  "ServerMetadataChange)] There are no other events.");
	if (!w->begun)
		notify_begin(s, w);
	for (; w->at < w->count; w->at++) {
		const struct mailbox_info *m = &w->info[w->at];
		unsigned event = m->exists ? events_of(s->notify, m->name) & EVENT_MESSAGES : 0;
		if (imap_full(s) || imap_turn_over(s))
			return STEP_AGAIN;
		if (event != 0 && !is_selected(s, m->name))
			(void)status_write(s, m->name, status_for(s, event, true));
	}
	return imap_ok(s, "Notify completed.");
}

static void
notify_drop(struct imap *s)
{
	notify_close(&((struct notify_work *)s->work)->fresh);
}

const struct imap_command imap_notify = {
	.name = "NOTIFY",
	.rfc = "rfc5465:3.1",
	.in = ANYWHERE,
	.effect = MAY_EXPUNGE,
	.parse = notify_parse,
	.run = notify_run,
	.drop = notify_drop,
};
