/*
 * queue-events -- what the chronicle hears of the queue
 */
#include "role/events.h"
#include "role/queue.h"
#include <stdio.h>
#include <string.h>

/* In the order in which they were named: a letter has its last one first. */
static void
put_recipients(const struct letter *l, struct buffer *out)
{
	const struct recipient **all;
	size_t                   n = 0;

	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		n++;
	all = memory_take((n + 1) * sizeof *all);
	n = 0;
	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		all[n++] = r;
	/* The rest is found by what becomes of it. */
	while (n-- > 0 && out->len + strlen(all[n]->original) + 1 <= EVENT_TEXT_MOST) {
		if (out->len > 0)
			buffer_add_char(out, '\0');
		buffer_add_string(out, all[n]->original);
	}
	memory_free(all);
}

void
queue_tell_entered(struct house *h, const struct letter *l)
{
	struct event  e = { .kind = LIFE_ENTERED, .letter = l->id, .number = l->content_len };
	struct buffer to = { 0 };

	if (!event_is_told(h))
		return;
	put_recipients(l, &to);
	e.text[TEXT_SENDER] = bytes_of(l->sender);
	e.text[TEXT_RECIPIENT] = buffer_bytes(&to);
	if (l->first != NULL && l->first->state == RECIPIENT_HELD) {
		e.text[TEXT_HOW] = BYTES("hold");
		e.text[TEXT_REPLY] = bytes_of(l->first->text);
	}
	event_say(h, &e);
	buffer_free(&to);
}

void
queue_tell_attempt(struct house *h, const struct recipient *r, const char *how,
                   const struct queue_attempt *by)
{
	struct event  e = { .kind = LIFE_ATTEMPT, .letter = r->letter->id, .number = r->tries };
	char          times[64] = "";
	struct arena *a = NULL;

	if (!event_is_told(h))
		return;
	e.text[TEXT_RECIPIENT] = bytes_of(r->address);
	if (strcmp(r->original, r->address) != 0)
		e.text[TEXT_ORIGINAL] = bytes_of(r->original);
	e.text[TEXT_STATUS] = bytes_of(r->status);
	e.text[TEXT_HOW] = bytes_of(how);
	e.text[TEXT_REPLY] = bytes_of(r->text);
	/* delivery/deliver.h: what is for an account of ours is in its inbox. */
	if (r->account != 0 && !is_system_account(r->account) && strcmp(how, "sent") == 0)
		e.text[TEXT_MAILBOX] = BYTES("INBOX");
	if (by != NULL) {
		e.text[TEXT_RELAY] = bytes_of(by->relay);
		e.text[TEXT_SERVICE] = bytes_of(by->service);
		e.text[TEXT_TLS] = bytes_of(by->tls);
		(void)snprintf(times, sizeof times, "%.2f s to connect, %.2f s to transfer",
		               (double)by->connect_us / 1e6, (double)by->transfer_us / 1e6);
		e.text[TEXT_DELAYS] = bytes_of(by->connect_us + by->transfer_us > 0 ? times : "");
	}
	/* Of eva+news@ it is told to whoever asks for eva@. */
	if (r->account != 0 && *r->detail != '\0')
		e.text[TEXT_USER] = house_plain_address(h, a = arena_open(NULL),
		                                        bytes_of(r->address), bytes_of(r->detail));
	event_say(h, &e);
	arena_close(&a);
}

void
queue_tell_removed(struct house *h, const struct letter *l)
{
	event_say(h, &(struct event){ .kind = LIFE_REMOVED, .letter = l->id });
}

void
queue_tell_notice(struct house *h, uint64_t of, uint64_t notice, const char *to, const char *what)
{
	struct event e = { .kind = LIFE_NOTICE, .letter = of, .other = notice };

	e.text[TEXT_RECIPIENT] = bytes_of(to);
	e.text[TEXT_HOW] = bytes_of(what);
	event_say(h, &e);
}

void
queue_tell_order(struct house *h, const struct letter *l, const struct recipient *r,
                 const char *what)
{
	struct event e = { .kind = LIFE_ORDER, .letter = l->id };

	e.text[TEXT_RECIPIENT] = bytes_of(r->address);
	e.text[TEXT_HOW] = bytes_of(what);
	event_say(h, &e);
}
