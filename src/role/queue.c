/*
 * queue -- owns every accepted letter until it is delivered or returned
 */
#include "role/queue.h"
#include "base/clock.h"
#include "base/random.h"
#include "directory/srs.h"
#include "message/envelope.h"
#include "message/verp.h"
#include "queue/through.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	RESOLVING_MOST = 4096,
	DELIVERING_MOST = 4096,
	PUMP_MOST = 1000,
	SLOW_MOST = 200,
	SLOW_MS = 20,
	LEAP_MS = 60000,
	CHECKPOINT_SOON_MS = 250,
	LOAD_FIRST = 20000,
	CHECKPOINT_MS = 1000,
	CHECKPOINT_CHANGES = 5000
};

/* rfc2852:4.1.5.1, rfc3463:3.5 X.4.7 */
#define OVERDUE "the time its sender gave for the delivery is over"

#define AT(f) offsetof(struct queue_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "minimal_backoff_time", SETTING_TIME, AT(least_ms), "300s", "The shortest wait between two tries of a recipient.", .since = "0.1" },
	{ "maximal_backoff_time", SETTING_TIME, AT(most_ms), "4000s", "The longest wait between two tries of a recipient.", .since = "0.1" },
	{ "maximal_queue_lifetime", SETTING_TIME, AT(lifetime_ms), "5d", "How long a letter is tried before it is returned to its sender.", .since = "0.1" },
	{ "bounce_queue_lifetime", SETTING_TIME, AT(notice_lifetime_ms), "5d", "The same for letters from nobody, notices of other servers and of our own; nobody hears of their end. At most maximal_queue_lifetime counts.", .since = "0.3" },
	{ "delay_warning_time", SETTING_TIME, AT(warning_ms), "4h", "After how long the sender of a letter that still waits is told so, once; 0 never.", .since = "0.3" },
	{ "smtp_tlsrpt_enable", SETTING_BOOL, AT(tlsrpt), "no", "Whether domains that ask for it (rfc8460) are told once a day how TLS with their hosts came about, by mail or HTTPS.", .since = "0.3" },
	{ "smtp_tlsrpt_contact", SETTING_WORD, AT(tlsrpt_contact), "postmaster@$myhostname", "Whom these reports come from.", .since = "0.3" },
	{ "postmaster_address", SETTING_TEXT, AT(postmaster), "", "Whom notices are from, as postmaster@example.com or Post office <postmaster@example.com>; empty: MAILER-DAEMON@$myhostname. A bounce template that has a From of its own keeps it.", NULL, 0, 0, "0.4" },
	{ "2bounce_notice_recipient", SETTING_WORD, AT(second_bounce_to), "postmaster", "Who gets what notify_classes says of 2bounce.", .since = "0.3" },
	{ "delay_notice_recipient", SETTING_WORD, AT(delay_to), "postmaster", "Who gets what notify_classes says of delay.", .since = "0.3" },
	{ "bounce_template_file", SETTING_MATCHES, AT(template_file), "", "A /file with texts for notices, in the grammar of Postfix's bounce(5): failure_template, delay_template, success_template; failure_template.zh is for one language. Empty: our own texts.", .since = "0.3" },
	{ "bounce_language", SETTING_LIST, AT(languages), "en", "The languages notices are written in, at most two, one behind the other: en, zh.", .since = "0.3" },
	{ "bounce_language_maps", SETTING_TABLES, AT(language_maps), "", "Tables, in files here since a notice waits for no other server, of addresses and domains and the languages of notices: that of who gets it first, then those of whom it could not reach, then bounce_language.", .since = "0.3" },
	{ "disable_verp_bounces", SETTING_BOOL, AT(no_verp_bounces), "no", "Whether one notice for all recipients of a letter with VERP goes to its sender, instead of one for each to the sender made for it.", .since = "0.3" },
	{ "confirm_delay_cleared", SETTING_BOOL, AT(confirm_cleared), "no", "Whether who was told that a letter takes long is told when it has arrived after all.", .since = "0.3" },
	{ "bounce_size_limit", SETTING_SIZE, AT(bounce_size), "50000", "The longest letter that is returned whole where its sender wishes so (RET=FULL); of a longer one, and else, its header.", .since = "0.3" },
	{ "enable_original_recipient", SETTING_BOOL, AT(original), "yes", "Whether a delivered letter says in X-Original-To for which address it was accepted.", .since = "0.2" },
	{ "prepend_delivered_header", SETTING_LIST, AT(prepend), "command, file, forward", "Where local delivery puts a Delivered-To field in front: command, file (with it the mailboxes of operating-system users), forward (what a local alias or a ~/.forward sends on). Without forward, mail that comes back in a circle is found by hopcount_limit alone.", .since = "0.4" },
	{ "default_process_limit", SETTING_NUMBER, AT(processes), "100", "How many deliveries to other hosts are under way at once for each sender.", NULL, 1, 10000, "0.2" },
	{ "initial_destination_concurrency", SETTING_NUMBER, AT(first_concurrency), "5", "How many deliveries to a destination begin at once when nothing is known of it; more when they succeed, fewer when they fail; smtp_initial_destination_concurrency says it for the transport smtp, and so for any name of one.", NULL, 1, 10000, "0.2" },
	{ "default_destination_concurrency_limit", SETTING_NUMBER, AT(concurrency), "20", "How many deliveries to one destination may be under way at once; smtp_destination_concurrency_limit says it for the transport smtp, and so for any name of one.", NULL, 1, 10000, "0.2" },
	{ "default_destination_recipient_limit", SETTING_NUMBER, AT(recipients), "50", "How many recipients of a letter go to a destination in one transaction, or to a command at once; smtp_destination_recipient_limit says it for the transport smtp, and so for any name of one.", NULL, 1, 10000, "0.2" },
	{ "default_destination_concurrency_positive_feedback", SETTING_WORD, AT(good), "1", "By how much one more delivery may be under way to a destination when one has succeeded: a number from 0 to 1, also as number/concurrency or number/sqrt_concurrency; smtp_destination_concurrency_positive_feedback says it for the transport smtp, and so for any name of one.", .since = "0.3" },
	{ "default_destination_concurrency_negative_feedback", SETTING_WORD, AT(bad), "1", "By how much one less when a host could not be reached; in the same words.", .since = "0.3" },
	{ "default_destination_concurrency_failed_cohort_limit", SETTING_NUMBER, AT(cohorts), "1", "After how many times as many failures one after another as deliveries are allowed at once a destination is left alone for minimal_backoff_time, and then tried by one; 0 never.", NULL, 0, 10000, "0.3" },
	{ "default_destination_rate_delay", SETTING_TIME, AT(rate_ms), "0s", "How long is waited between two deliveries to one destination, which then is one at a time; maildrop_destination_rate_delay says it for the transport maildrop.", NULL, 0, 86400000, "0.3" },
	{ "default_transport_rate_delay", SETTING_TIME, AT(spacing_ms), "0s", "How long is waited between two deliveries by one transport, to whatever destinations; slow_transport_rate_delay says it for the transport slow.", NULL, 0, 86400000, "0.3" },
	{ "defer_transports", SETTING_LIST, AT(deferred), "", "Names of transports that deliver only what somebody asks for: by mansio queue retry, sendmail -q, postqueue, or a client's ETRN. Else letters for them wait.", .since = "0.3" },
	{ "qmgr_message_active_limit", SETTING_NUMBER, AT(active), "20000", "When so many recipients stand in line for their destinations, what else is due comes more slowly (some ten thousand in a second), and after a start the rest of the queue is read more slowly: so what goes out does not wait for what cannot go yet.", NULL, 1, 100000000, "0.7" },
	{ "qmgr_message_recipient_limit", SETTING_NUMBER, AT(in_memory), "20000", "How many recipients of letters to many are in memory at once, of all letters together; the others lie in the queue's ledger until there is room. Somewhat more for a moment, when a list is opened.", NULL, 1, 100000000, "0.5" },
	{ "qmgr_message_recipient_minimum", SETTING_NUMBER, AT(minimum), "10", "How many recipients of each letter are in memory whatever qmgr_message_recipient_limit says.", NULL, 1, 100000, "0.5" },
	{ "best_mx_transport", SETTING_WORD, AT(best_mx), "", "Where a letter goes whose domain has this machine as its best exchanger and is in no list of ours: local, to the user of that name as in mydestination, or TRANSPORT or TRANSPORT:NEXTHOP; empty: it comes back, as a loop.", .since = "0.4" },
	{ "quarantine_users", SETTING_LIST, AT(quarantine_users), "*", "Users and domains here whose users have a quarantine_mailbox, the first that fits decides: user@example.com, example.com, *; !item: not these. For others what would lie there is held in the queue.", .since = "0.4" },
	{ "quarantine_releasable", SETTING_LIST, AT(quarantine_released), "*", "What may lie in a quarantine_mailbox, where its user may take it from: patterns with * and ? of the names clamd gives and of the reasons milters give, as Heuristics.* PUA.*; the first that fits decides, !pattern: not these. What may not is held in the queue.", .since = "0.4" },
	{ "spool_compaction_time", SETTING_TIME, AT(compaction_ms), "1h", "How often segments of the letter log are looked at for room to win back; 0 means only on command.", .since = "0.1" },
};
/* clang-format on */
#undef AT
const struct setting_table queue_setting_table = { "The queue", rows, COUNT(rows) };

int64_t
queue_now_ms(void)
{
	return clock_wall_us() / 1000;
}

static void
letter_finished(void *house, struct letter *l)
{
	char id[24];

	letter_id_text(l->id, id);
	note_as(queue_services[SERVICE_QMGR], "%s: removed", id);
	queue_tell_removed(house, l);
	queue_returned_letter_ends(queue_of(house), l);
	queue_notice_letter_ends(queue_of(house), l);
	ledger_finished(queue_of(house)->ledger, l);
	sent_finished(queue_of(house)->sent, l->id);
}

static const struct queue_needs queue_needs = { letter_finished, queue_ended, queue_more };

/* ---- questions that are open ---------------------------------------------------------- */

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

void
queue_asked_add(struct queue_role *k, struct map *open, struct recipient *r)
{
	while (r->ticket = ++k->next_ticket,
	       r->ticket == 0 || map_get(open, ticket_key(&r->ticket)) != NULL)
		continue;
	(void)map_put(open, ticket_key(&r->ticket), r);
}

struct recipient *
queue_asked_drop(struct map *open, uint32_t ticket)
{
	struct recipient *r = map_drop(open, ticket_key(&ticket));

	if (r != NULL)
		r->ticket = 0;
	return r;
}

/* An end or a delay of a recipient: the line of the log first, since the last recipient's event ends the letter. */
void
queue_conclude(struct house *h, struct recipient *r, enum recipient_event e, const char *how,
               const char *status, const char *text)
{
	queue_conclude_by(h, r, e, how, status, text, NULL);
}

/* Who will be told of a delivery hears which host took it, in the words in which they would hear of a refusal. */
static bool
host_said(const struct recipient *r, const char *relay, const char *text, struct buffer *out)
{
	struct bytes host = bytes_of(relay != NULL ? relay : "");
	ptrdiff_t    port = bytes_find_last(host, ':');

	if (((r->notify & NOTIFY_SUCCESS) == 0 && !queue_wants_report(r->letter)) ||
	    bytes_find(host, '[') <= 0 || text == NULL || text[0] != '2')
		return false;
	if (port > bytes_find_last(host, ']'))
		host = bytes_cut(host, 0, (size_t)port);
	buffer_printf(out, "host %.*s said: %s", (int)host.len, host.at, text);
	buffer_add_char(out, '\0');
	return true;
}

void
queue_conclude_by(struct house *h, struct recipient *r, enum recipient_event e, const char *how,
                  const char *status, const char *text, const struct queue_attempt *by)
{
	const char   *before[] = { r->status, r->text };
	char          soft[16];
	struct buffer said = { 0 };

	if (is_verified_only(r->letter)) {
		how = e == EVENT_DELIVERED ? "deliverable" : "undeliverable";
		e = e == EVENT_LATER ? EVENT_REFUSED : e;
	}
	/* soft_bounce; but a time that is over stays over. */
	if (e == EVENT_REFUSED && queue_of(h)->rows.soft_bounce && !is_verified_only(r->letter) &&
	    strcmp(status, "5.4.7") != 0) {
		(void)snprintf(soft, sizeof soft, "4%s", status[0] != '\0' ? status + 1 : ".0.0");
		e = EVENT_LATER;
		how = "SOFTBOUNCE";
		status = soft;
	}

	r->status = status;
	r->text = text;
	queue_note(r, how, by);
	queue_tell_attempt(h, r, how, by);
	r->status = before[0];
	r->text = before[1];
	if (e == EVENT_DELIVERED && by != NULL && host_said(r, by->relay, text, &said))
		text = said.at;
	queue_event(queue_of(h)->queue, r, e, status, text, queue_now_ms());
	buffer_free(&said);
	if (e == EVENT_LATER && r->state != RECIPIENT_DONE)
		queue_put_off(h, r);
}

/* ---- delivery -------------------------------------------------------------------------------- */

/* `segment`: where the letter lies, in the log, or in what goes along as `fd`. */
void
queue_say_deliver(struct house *h, const struct recipient *r, uint32_t segment, uint64_t at, int fd)
{
	struct link *l = house_link(h, KEEPER, house_keeper_of(h, r->account));
	struct bytes original = bytes_of(queue_of(h)->rows.original ? r->original : "");

	word_pack_deliver(link_begin(l, WORD_DELIVER, r->ticket),
	                  &(struct word_deliver){
				  .letter = r->letter->id,
				  .envelope_segment = segment,
				  .envelope_at = at,
				  .account = r->account,
				  .address = bytes_of(r->address),
				  .original = original,
				  .detail = bytes_of(r->detail),
				  .sender = bytes_of(*r->sender != '\0' ? r->sender
	                                                                : r->letter->sender),
				  .entered = through_entered(r->through),
				  .passed = through_passed(r->through),
				  .aside = handling_is_aside(&r->letter->handling),
			  });
	link_end_fd(l, fd);
}

/* As Postfix says it of those who are asked about. */
static const char *
delivers_to(const struct recipient *r)
{
	static const char *const to[SYSTEM_KINDS] = { "delivers to mailbox", "delivers to mailbox",
		                                      "delivers to command", "delivers to file" };

	return to[is_system_account(r->account) ? system_kind_of(r->account) : SYSTEM_MAILBOX];
}

void
queue_try(struct house *h, struct recipient *r)
{
	struct queue_role *k = queue_of(h);

	if (is_verified_only(r->letter) && r->account != 0) {
		queue_conclude(h, r, EVENT_DELIVERED, "deliverable", "2.0.0", delivers_to(r));
		return;
	}
	if (queue_holds_back(h, r) || (*r->through != '\0' && queue_goes_in_circles(h, r)))
		return;
	if (r->account == 0)
		queue_send(h, r);
	else if ((house_keeper_of(h, r->account) & KEEPER_OF_USER) != 0) {
		queue_asked_add(k, k->for_users, r);
		queue_deliver_to_user(h, r);
	} else if (house_link(h, KEEPER, house_keeper_of(h, r->account)) == NULL)
		queue_event(k->queue, r, EVENT_LOST, NULL, NULL, queue_now_ms());
	else {
		queue_asked_add(k, k->delivering, r);
		queue_say_deliver(h, r, r->letter->envelope_segment, r->letter->envelope_at, -1);
	}
}

static bool
hear_delivered(struct house *h, uint32_t index, uint32_t ticket, struct bytes body)
{
	/* clang-format off */
	static const struct { enum recipient_event event; const char *how; } means[] = {
		[DELIVER_DONE] = { EVENT_DELIVERED, "sent" },
		[DELIVER_LATER] = { EVENT_LATER, "deferred" },
		[DELIVER_REFUSED] = { EVENT_REFUSED, "bounced" },
		[DELIVER_FORWARDED] = { EVENT_DELIVERED, "sent" },
	};
	/* clang-format on */
	struct queue_role    *k = queue_of(h);
	struct word_delivered w;
	struct recipient     *r;
	struct map           *at;

	arena_clear(k->scratch);
	if (!word_unpack_delivered(body, k->scratch, &w) || w.result >= COUNT(means) ||
	    !word_delivered_fits(&w, index))
		return false;
	at = (index & KEEPER_OF_USER) != 0 ? k->for_users : k->delivering;
	r = map_get(at, ticket_key(&ticket));
	if (r != NULL && house_keeper_of(h, r->account) != index)
		return false; /* another keeper was asked */
	(void)queue_asked_drop(at, ticket);
	if (r != NULL && at == k->for_users)
		queue_user_had(h, r);
	if (r != NULL && w.result == DELIVER_FORWARDED)
		queue_forward(h, r, &w);
	if (r != NULL)
		queue_conclude(h, r, means[w.result].event, means[w.result].how, w.status, w.text);
	queue_pump(h);
	return true;
}

static bool
hands_full(const struct queue_role *k)
{
	return map_count(k->resolving) >= RESOLVING_MOST ||
	       map_count(k->delivering) >= DELIVERING_MOST;
}

/* What a user, or an alias, has said is to be done with it: nobody is asked again. */
static bool
is_handed(const struct recipient *r)
{
	return is_system_account(r->account) && system_kind_of(r->account) != SYSTEM_MAILBOX;
}

/* The time its sender gave is over: true if that is the end. */
static bool
overdue(struct house *h, struct recipient *r)
{
	if (r->letter->handling.by_mode == 'R') {
		queue_conclude(h, r, EVENT_REFUSED, "bounced", "5.4.7", OVERDUE);
		return true;
	}
	/* Before the first try nobody can say that it takes long. */
	if (!r->warned && r->tries > 1)
		queue_delayed(h, r);
	return false;
}

/* A content filter gets it as it was accepted, and brings it back. */
static void
filtered(struct house *h, struct recipient *r)
{
	if (r->state == RECIPIENT_NEW)
		queue_event(queue_of(h)->queue, r, EVENT_RESOLVED, NULL, NULL, queue_now_ms());
	else
		queue_send(h, r);
}

/* Somebody has set the clock by more than a minute: what waits must not all be due, nor none of it, nor too old. */
static void
look_at_clock(struct house *h)
{
	struct queue_role *k = queue_of(h);
	int64_t apart = queue_now_ms() - clock_patient_ms(), leap = apart - k->clocks_apart;

	if (k->clocks_apart == 0 || leap > LEAP_MS || leap < -LEAP_MS) {
		if (k->clocks_apart != 0) {
			note("the clock was set by %" PRId64
			     " s: what waits goes on waiting as long as before",
			     leap / 1000);
			queue_leap(k->queue, leap);
			(void)ledger_leap(k->ledger, k->queue, leap);
			queue_destinations_leap(h, leap);
		}
		k->clocks_apart = apart;
	}
}

/* Its time has come. */
static void
begin(struct house *h, struct recipient *r)
{
	if (queue_past_its_time(r, queue_now_ms()) && overdue(h, r))
		return;
	if (queue_is_filtered(r))
		filtered(h, r);
	else if (r->state == RECIPIENT_NEW || (r->tries > 1 && !is_handed(r)))
		queue_resolve(h, r);
	else
		queue_try(h, r);
}

/* How many may be begun now.  While very many stand in line already, no more than some in a while: they could not go yet, but some
   of them may be for others than those the line is for. */
static int
pump_most(struct queue_role *k)
{
	int64_t now = clock_patient_ms();

	if (!queue_has_enough(k))
		return PUMP_MOST;
	if (now < k->slow_until_ms) {
		timer_set(k->due, k->slow_until_ms - now);
		return 0;
	}
	k->slow_until_ms = now + SLOW_MS;
	return SLOW_MOST;
}

/* Everything whose time has come is begun, some at a time; then the timer is set for the next.  Before it is tried
   again a recipient is looked up again: it may have gone meanwhile. */
void
queue_pump(struct house *h)
{
	struct queue_role *k = queue_of(h);
	struct recipient  *r;
	int64_t            wait = -1;
	int                begun = 0, most;

	if (k->pumping || h->leaving || (most = pump_most(k)) == 0)
		return;
	k->pumping = true;
	look_at_clock(h);
	for (; begun < most && !hands_full(k); begun++) {
		if ((r = queue_next(k->queue, queue_now_ms(), &wait)) == NULL)
			break;
		begin(h, r);
	}
	if (begun == most)
		wait = most < PUMP_MOST ? SLOW_MS : 0; /* others have a turn */
	k->pumping = false;
	if (wait >= 0 && !hands_full(k))
		timer_set(k->due, wait);
}

static void
due(void *house)
{
	queue_pump(house);
}

/* ---- letters come ---------------------------------------------------------------------------------- */

/* One that a rule or a check holds begins its life so (an administrator says when it goes on); of one that is
   led elsewhere nobody else gets it. */
static void
add_recipients(struct queue *q, struct letter *l, const struct word_letter *w)
{
	const struct letter_recipient  instead = { .address = w->handling.redirect };
	const struct letter_recipient *list = instead.address.len > 0 ? &instead : w->recipient;
	uint32_t                       count = instead.address.len > 0 ? 1 : w->recipients;

	for (uint32_t i = 0; i < count; i++) {
		struct recipient *r = letter_recipient(q, l, list[i].address);

		if (list[i].orcpt.len > 0)
			r->orcpt = arena_copy(r->life, list[i].orcpt);
		r->notify = list[i].notify;
		if (w->handling.verp.len > 0)
			r->sender =
				verp_make(r->life, w->sender, list[i].address, w->handling.verp);
		if (w->handling.hold.len == 0 || handling_is_aside(&w->handling))
			continue;
		r->state = RECIPIENT_HELD;
		r->status = "4.7.0";
		r->text = queue_text(q, w->handling.hold);
	}
}

/* What the strings of so many take in an arena. */
static size_t
strings_of(const struct word_letter *w, uint32_t count)
{
	size_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		n += w->recipient[i].address.len / 16 * 16 + 16 +
		     (w->recipient[i].orcpt.len > 0 ? w->recipient[i].orcpt.len / 16 * 16 + 16 : 0);
	return n;
}

bool
queue_letter_enter(struct house *h, const struct word_letter *w)
{
	struct queue_role *k = queue_of(h);
	uint32_t few = w->recipients < k->rows.minimum ? w->recipients : (uint32_t)k->rows.minimum;
	struct letter *l = queue_add_for(k->queue, w->letter, few, strings_of(w, few));
	char           id[24];

	if (l == NULL)
		return false;
	l->envelope_segment = w->envelope_segment;
	l->envelope_at = w->envelope_at;
	l->content_segment = letter_segment(w->letter);
	l->content_at = letter_offset(w->letter) + RECORD_HEADER;
	l->content_len = w->content_len;
	l->arrived_us = w->arrived_us;
	l->flags = w->flags;
	l->sender = queue_text(k->queue, w->sender);
	l->handling = handling_keep(l->life, &w->handling);
	add_recipients(k->queue, l, w);
	letter_id_text(l->id, id);
	note_as(queue_services[SERVICE_QMGR],
	        "%s: from=<%s>, size=%" PRIu64 ", nrcpt=%" PRIu32 " (queue active)", id, l->sender,
	        l->content_len, l->recipients);
	queue_tell_entered(h, l);
	if (w->flags & ENVELOPE_ALARM && l->first != NULL && l->first->state == RECIPIENT_HELD)
		queue_alarm(h, l);
	queue_enter(k->queue, l);
	return true;
}

static bool
hear_letter(struct house *h, enum role from, uint32_t index, struct bytes body)
{
	struct queue_role *k = queue_of(h);
	struct word_letter w;

	look_at_clock(h);
	arena_clear(k->scratch);
	if (!word_unpack_letter(body, k->scratch, &w) || w.recipients == 0)
		return false;
	/* Of a segment that is sealed meanwhile every letter was found. */
	if (queue_spool_lent_to(h, w.envelope_segment, from, index)) {
		(void)queue_letter_enter(h, &w);
		ledger_mark_set(k->ledger, w.envelope_segment, w.envelope_at);
	}
	queue_pump(h);
	return true;
}

int
queue_save(struct house *h)
{
	return ledger_checkpoint(queue_of(h)->ledger, queue_of(h)->queue, CHECKPOINT_CHANGES);
}

static void
checkpoint(void *house)
{
	struct queue_role *k = queue_of(house);
	int                more = queue_save(house);

	if (more == 0)
		sent_clear(k->sent);
	timer_set(k->checkpoint,
	          more == 1 || crowd_hungry(k->queue) ? CHECKPOINT_SOON_MS : CHECKPOINT_MS);
	queue_pump(house);
}

static void
compact_due(void *house)
{
	if (queue_of(house)->loading)
		return;
	ledger_shrink(queue_of(house)->ledger);
	queue_compact_start(house, INT64_C(60) * 1000);
}

/* ---- the card -------------------------------------------------------------------------------------------- */

/* As Postfix: what goes back to somebody who may be nowhere is not tried for longer than what goes out. */
static void
lifetimes_fit(struct queue_settings *set)
{
	if (set->notice_lifetime_ms <= set->lifetime_ms)
		return;
	warn_("bounce_queue_lifetime is longer than maximal_queue_lifetime: that counts");
	set->notice_lifetime_ms = set->lifetime_ms;
}

static void
queue_reload(struct house *h)
{
	struct queue_role  *k = queue_of(h);
	struct srs_settings srs;

	(void)house_settings(h, &queue_setting_table, NULL, &k->rows);
	(void)house_settings(h, &mishap_setting_table, NULL, &k->notify);
	(void)house_settings(h, &common_setting_table, NULL, &k->common);
	lifetimes_fit(&k->rows);
	queue_transports_read(h);
	k->rows.soft_bounce = strcmp(settings_value(h->settings, "soft_bounce"), "yes") == 0;
	queue_services_name(k->common.syslog_name);
	k->srs = house_settings(h, &srs_setting_table, NULL, &srs) && *srs.domain != '\0';
	queue_routes_forget(h);
	/* What kept letters from a destination may just have been mended: as with Postfix, whose reload begins a new qmgr. */
	queue_destinations_free(h);
	queue_patience(k->queue, &(struct queue_patience){
					 k->rows.least_ms, k->rows.most_ms, k->rows.lifetime_ms,
					 k->rows.notice_lifetime_ms, k->rows.confirm_cleared });
	queue_limits(k->queue, &(struct queue_limits){ (size_t)k->rows.in_memory,
	                                               (uint32_t)k->rows.minimum });
	queue_speech_reload(h);
	if (k->compact != NULL)
		timer_clear(k->compact);
	if (k->compact != NULL && k->rows.compaction_ms > 0)
		timer_set(k->compact, k->rows.compaction_ms);
}

/* The queue goes when every segment has come back: keepers stop with it. */
static void
leave_when_free(void *ctx)
{
	struct house      *h = ctx;
	struct queue_role *k = queue_of(h);

	if (!h->leaving || k->left || map_count(k->lent) > 0)
		return;
	k->left = true;
	(void)ledger_checkpoint(k->ledger, k->queue, SIZE_MAX);
	if (!k->preparing)
		spool_close(&k->spool); /* the spare segment goes */
	house_leave(h);
}

static bool
queue_start(struct house *h)
{
	long               loaded;
	struct queue_role *k = memory_take(sizeof *k);
	struct buffer      errors = { 0 };

	h->mine = k;
	k->scratch = arena_open(NULL);
	k->life = arena_open(NULL);
	queue_pipe_open(h);
	k->resolving = map_open();
	k->delivering = map_open();
	k->for_users = map_open();
	k->lines = map_open();
	k->next_ticket =
		(uint32_t)random_number(); /* an answer to a queue before us is none to us */
	k->known = map_open();
	k->lent = map_open();
	k->sealed = map_open();
	k->queue = queue_open(&queue_needs, h);
	questions_open(&k->questions, h);
	queue_send_open(h);
	queue_reload(h);
	k->ledger = ledger_open(house_path(h, "spool/queue.db"), &errors);
	k->sent = sent_open(house_path(h, "spool/sent"), &errors);
	if (k->ledger == NULL || k->sent == NULL)
		fault("%.*s", (int)errors.len, errors.at);
	buffer_free(&errors);
	if (k->ledger == NULL || k->sent == NULL || !queue_spool_open(h) ||
	    (loaded = ledger_load(k->ledger, k->queue, LOAD_FIRST)) < 0)
		return false;
	queue_tls_open(h);
	k->loading = loaded == LOAD_FIRST;
	k->due = timer_open(h->loop, due, h);
	k->orphans = timer_open(h->loop, queue_orphans_look, h);
	k->checkpoint = timer_open(h->loop, checkpoint, h);
	k->compact = timer_open(h->loop, compact_due, h);
	queue_notice_open(h);
	queue_speech_open(h);
	loop_at_rest(h->loop, leave_when_free, h);
	queue_spool_recover(h);
	k->loads = timer_open(h->loop, queue_load_more, h);
	if (!k->loading)
		queue_loaded(h);
	return true;
}

static void
queue_work(struct house *h)
{
	struct queue_role *k = queue_of(h);
	int                fd = house_resource(h, "control/queue");

	if (fd >= 0)
		house_commands(h, fd, queue_command);
	timer_set(k->checkpoint, CHECKPOINT_MS);
	if (k->rows.compaction_ms > 0)
		timer_set(k->compact, k->rows.compaction_ms);
	if (k->loading)
		timer_set(k->loads, 0);
	queue_prepare(h);
	queue_pump(h);
}

static bool
queue_hear(struct house *h, enum role from, uint32_t index, enum word word, uint32_t ticket,
           struct bytes body, int fd)
{
	if (fd >= 0)
		close(fd);
	switch (word) {
	case WORD_LETTER: return hear_letter(h, from, index, body);
	case WORD_FLUSH: return hear_flush(h, index, ticket, body);
	case WORD_DELIVERED: return hear_delivered(h, index, ticket, body);
	case WORD_RESOLVED: return hear_resolved(h, ticket, body);
	case WORD_DIRECTORY_NEW:
		queue_known_forget(queue_of(h));
		queue_routes_forget(h);
		return true;
	case WORD_ROUTED: return hear_routed(h, ticket, body);
	case WORD_MISHAP: return hear_mishap(h, body);
	case WORD_ALERT: return hear_alert(h, body);
	case WORD_TLSRPT_SAID: return hear_tlsrpt_said(h, index, ticket, body);
	case WORD_SENT: return hear_sent(h, index, ticket, body);
	case WORD_PIPED: return hear_piped(h, index, ticket, body);
	case WORD_SEGMENT_WANT: return hear_segment_want(h, from, index, body);
	case WORD_SEGMENT_DONE: return hear_segment_done(h, from, index, body);
	case WORD_JUDGED: return question_heard(&queue_of(h)->questions, ticket, body);
	case WORD_REFERRED: return hear_referred(h, index, ticket, body);
	case WORD_KEEPER_NOT: return hear_keeper_not(h, body);
	case WORD_KEEPER_REST: return hear_keeper_rest(h, index);
	case WORD_MOVED_DONE: return hear_moved_done(h, index, ticket, body);
	default: return false;
	}
}

/* A peer came (again): what was asked of the one before is asked of it. */
static void
queue_peer(struct house *h, enum role role, uint32_t index)
{
	struct queue_role *k = queue_of(h);
	(void)index;

	if (role == VERIFIER)
		questions_wait_over(&k->questions);
	if (role == KEEPER)
		queue_user_keeper_came(h, index);
	if (role == KEEPER)
		queue_pipes_keeper(h, index);
	if (role == SENDER)
		errand_set(h->loop, &k->send);
	if (role != CLERK)
		return;
	queue_known_forget(k);
	queue_routes_forget(h);
	queue_resolve_again(h);
	queue_routes_ask(h);
}

/* What that keeper had in hand is tried again soon; exactly once is the index's work. */
static void
keeper_lost(struct house *h, uint32_t index)
{
	struct queue_role *k = queue_of(h);

	struct map *at = (index & KEEPER_OF_USER) != 0 ? k->for_users : k->delivering;

	if (at == k->for_users) {
		queue_user_line_end(h, index);
		queue_pipes_lost(h, index);
	}
	for (struct map_place p = { 0 }; map_next(at, &p);) {
		struct recipient *r = p.value;

		if (house_keeper_of(h, r->account) != index)
			continue;
		(void)queue_asked_drop(at, r->ticket);
		queue_event(k->queue, r, EVENT_LOST, NULL, NULL, queue_now_ms());
	}
	queue_pump(h);
}

static void
queue_lost(struct house *h, enum role role, uint32_t index)
{
	if (role == VERIFIER)
		questions_lost(&queue_of(h)->questions, index);
	if (role == SENDER)
		queue_sender_lost(h, index);
	/* A user's keeper has nothing of the log. */
	if (role == KEEPER && (index & KEEPER_OF_USER) == 0)
		queue_compact_lost(h);
	if (role == KEEPER)
		keeper_lost(h, index);
	if ((role == KEEPER && (index & KEEPER_OF_USER) == 0) || role == RECEIVER)
		queue_spool_lost(h, role, index);
}

static void
queue_stop(struct house *h)
{
	struct queue_role *k = queue_of(h);

	queue_tls_keep(h);
	(void)ledger_checkpoint(k->ledger, k->queue, SIZE_MAX);
	writer_release(k->writer);
	loop_again(h->loop);
}

static void
queue_status(struct house *h, uint32_t *connections, struct buffer *text)
{
	struct queue_role *k = queue_of(h);

	*connections = 0;
	buffer_printf(text, "letters=%zu delivering=%zu", queue_count(k->queue),
	              map_count(k->delivering) + map_count(k->for_users));
	queue_send_status(h, text);
	buffer_printf(text, " absent=%zu", crowd_all(k->queue));
}

const struct role_card queue_card = {
	.name = "queue",
	.start = queue_start,
	.work = queue_work,
	.hear = queue_hear,
	.peer = queue_peer,
	.lost = queue_lost,
	.reload = queue_reload,
	.tables = queue_speech_reload,
	.stop = queue_stop,
	.status = queue_status,
};
