/*
 * queue-quarantine -- of the letters that are to lie aside (message/envelope.h): which users find in their quarantine
 * mailbox, and may take from there, and which wait in the queue for an administrator
 */
#include <fnmatch.h>
#include <string.h>

#include "message/envelope.h"
#include "role/queue.h"

/* "user@domain", "domain" or "*". */
static bool
is_of(const char *item, const char *address)
{
	const char *at = strrchr(address, '@');

	return strcmp(item, "*") == 0 ||
	       strcasecmp(item, strchr(item, '@') == NULL && at != NULL ? at + 1 : address) == 0;
}

/* The first that fits decides. */
static bool
has_user(const struct setting_list *list, const char *address)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->item[i];
		bool not = item[0] == '!';

		if (is_of(item + not, address))
			return !not ;
	}
	return false;
}

/* "virus: Eicar-Signature" is looked up without what stands before the name. */
static bool
has_finding(const struct setting_list *list, const char *why)
{
	static const char before[] = "virus: ";
	const char       *name =
                strncmp(why, before, sizeof before - 1) == 0 ? why + sizeof before - 1 : why;

	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->item[i];
		bool not = item[0] == '!';

		if (fnmatch(item + not, name, FNM_NOESCAPE | FNM_CASEFOLD) == 0)
			return !not ;
	}
	return false;
}

static void
hold(struct house *h, struct recipient *r, const char *why)
{
	struct queue *q = queue_of(h)->queue;

	queue_event(q, r, EVENT_LOST, "4.7.0", why, queue_now_ms());
	queue_event(q, r, EVENT_HOLD, NULL, NULL, queue_now_ms());
}

/* What a user has told to be done with their letters is done by a program: it is no mailbox. */
static bool
has_mailbox(const struct recipient *r)
{
	return r->account != 0 &&
	       (!is_system_account(r->account) || system_kind_of(r->account) == SYSTEM_MAILBOX ||
	        system_kind_of(r->account) == SYSTEM_OWN_MAILBOX);
}

bool
queue_holds_back(struct house *h, struct recipient *r)
{
	const struct queue_settings *set = &queue_of(h)->rows;
	struct arena                *a;
	const char                  *why;
	struct bytes                 own;
	bool                         held;

	if (!handling_is_aside(&r->letter->handling))
		return false;
	a = arena_open(NULL);
	why = arena_copy(a, handling_why(&r->letter->handling));
	own = house_plain_address(h, a, bytes_of(r->address), bytes_of(r->detail));
	held = !has_mailbox(r) || !has_user(&set->quarantine_users, arena_copy(a, own)) ||
	       !has_finding(&set->quarantine_released, why);
	if (held)
		hold(h, r, why);
	arena_close(&a);
	return held;
}
