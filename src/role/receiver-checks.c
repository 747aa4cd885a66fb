/*
 * receiver-checks -- what header and body checks said about a letter (policy/checks.h) is done and told
 */
#include "role/receiver.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "message/envelope.h"
#include "policy/checks.h"
#include "policy/settings.h"

void
checks_settings(struct receiver *r)
{
	const struct listeners *all = &r->house->listeners;
	struct checks_settings  set;
	struct policy_settings  policy;
	const char             *wrong;
	char                    own[128];

	for (size_t i = 0; i < all->count; i++) {
		const char *name = all->one[i].name;

		r->overrides[i] = house_settings(r->house, &policy_setting_table, name, &policy)
		                          ? receive_overrides(&policy.overrides, &wrong)
		                          : 0;
		/* What comes in there comes from a filter, and has been where it was to go. */
		(void)snprintf(own, sizeof own, "%s/content_filter", name);
		r->unfiltered[i] = (r->overrides[i] & OVERRIDE_UNKNOWN) != 0 ||
		                   (settings_line(r->house->settings, own) > 0 &&
		                    *settings_value(r->house->settings, own) == '\0');
		r->checks[i] = (r->overrides[i] & OVERRIDE_CHECKS) == 0 &&
		               house_settings(r->house, &checks_setting_table, name, &set) &&
		               checks_wanted(&set);
	}
}

/* Whether there is anything to be asked of this letter; then what stands for its id until it has one is chosen. */
bool
checks_hold(struct passage *p)
{
	if (!receiver_of(p->house)->checks[receiver_place(p->house, p->letter->config)])
		return false;
	if (p->no_id[0] == '\0')
		(void)snprintf(p->no_id, sizeof p->no_id, "%016" PRIX64, random_number());
	return true;
}

static void
add_copies(struct letter *l, const struct checks_said *s)
{
	struct bytes *copy = arena_take_array(l->life, l->copies + (size_t)s->copies, sizeof *copy);

	if (l->copies > 0)
		memcpy(copy, l->copy, l->copies * sizeof *copy);
	l->copy = copy;
	for (uint32_t i = 0; i < s->copies; i++)
		if (l->rcpts + l->copies < ENVELOPE_RECIPIENTS_MOST)
			l->copy[l->copies++] = s->copy[i];
}

/* False: not what it should be.  `packed` lives as long as the letter. */
bool
checks_obey(struct passage *p, struct bytes packed)
{
	struct letter      *l = p->letter;
	struct checks_said *s = arena_take(l->life, sizeof *s);

	if (!checks_unpack(packed, l->life, s))
		return false;
	p->said = s;
	if (s->verdict != CHECKS_PASS)
		return true;
	if (s->hold.len > 0)
		l->handling.hold = s->hold;
	if (s->filter.len > 0)
		l->handling.filter = s->filter;
	if (s->redirect.len > 0)
		l->handling.redirect = s->redirect;
	if (s->copies > 0)
		add_copies(l, s);
	return true;
}

/* What is said of fields that filters made comes to what was said before.  *reply: the letter is refused. */
bool
checks_add(struct passage *p, struct bytes packed, const char **reply, bool *discard)
{
	struct letter      *l = p->letter;
	struct checks_said *before = p->said, *now;
	struct check_note  *note;

	if (!checks_obey(p, arena_keep(l->life, packed)))
		return false;
	now = p->said;
	if (before != NULL) {
		note = arena_take_array(l->life, before->notes + (size_t)now->notes + 1,
		                        sizeof *note);
		if (before->notes > 0)
			memcpy(note, before->note, before->notes * sizeof *note);
		if (now->notes > 0)
			memcpy(note + before->notes, now->note, now->notes * sizeof *note);
		now->note = note;
		now->notes += before->notes;
		now->traced = before->traced;
		now->trace = before->trace;
	}
	*discard = now->discard;
	*reply = now->verdict != CHECKS_PASS ? arena_copy(l->life, now->reply) : NULL;
	return true;
}

/* "mansio/submission/cleanup", for who looks in the log for what Postfix's cleanup(8) would say. */
static const char *
service_of(const struct letter *l)
{
	const char *slash = strrchr(l->config->service, '/');
	int         len = slash == NULL ? 0 : (int)(slash + 1 - l->config->service);

	return arena_printf(l->life, "%.*scleanup", len, l->config->service);
}

static void
tell_note(struct passage *p, const char *id, const struct check_note *n, const char *refusal)
{
	struct letter *l = p->letter;
	struct bytes   from = l->origin.len > 0 ? l->origin : l->client;
	struct bytes   to = l->rcpts > 0 ? l->rcpt[0].address : BYTES("");

	note_as(service_of(l),
	        "%s: %.*s from %.*s; from=<%.*s> to=<%.*s> proto=%s helo=<%.*s>%s%.*s%s%.*s%s%s",
	        id, (int)n->what.len, n->what.at, (int)from.len, from.at, (int)l->sender.len,
	        l->sender.at, (int)to.len, to.at, l->protocol, (int)l->helo.len, l->helo.at,
	        n->text.len > 0 ? ": " : "", (int)n->text.len, n->text.at,
	        *refusal != '\0' && l->refused_by.len > 0 ? " rule=" : "",
	        *refusal != '\0' ? (int)l->refused_by.len : 0, l->refused_by.at,
	        *refusal != '\0' ? " id=" : "", refusal);
}

static bool
is_reject(const struct check_note *n)
{
	return bytes_starts(n->what, BYTES("reject:"));
}

void
checks_tell(struct passage *p, const char *id)
{
	const struct checks_said *s = p->said;
	uint64_t                  letter = 0;

	(void)letter_id_parse(bytes_of(id), &letter);
	for (uint32_t i = 0; s != NULL && i < s->notes; i++) {
		tell_note(p, id, &s->note[i], is_reject(&s->note[i]) ? p->refusal : "");
		tell_checked(p, letter, s->note[i].what, s->note[i].text);
	}
}

/* The log hears of it from checks_tell(), as from Postfix's cleanup, and no second time. */
const char *
checks_refused(struct passage *p, const char *reply)
{
	struct letter            *l = p->letter;
	const struct checks_said *s = p->said;
	struct session_refusal    r = { .verb = "END-OF-MESSAGE", .reply = bytes_of(reply) };
	const struct check_note  *n = NULL;

	for (uint32_t i = 0; s != NULL && i < s->notes; i++)
		if (is_reject(&s->note[i]))
			n = &s->note[i];
	if (n == NULL || reply == NULL || reply[0] != '5' || l->session == NULL || l->explained)
		return reply;
	r.by = l->refused_by.len > 0 ? l->refused_by : n->what;
	(void)bytes_string(need_remember(p->house, l->session, &r), p->refusal, sizeof p->refusal);
	need_told(p->house, l->session,
	          &(struct session_told){ .verb = r.verb,
	                                  .reply = r.reply,
	                                  .rule = n->what,
	                                  .id = bytes_of(p->refusal),
	                                  .letter = l });
	l->told = l->explained = true;
	return *p->refusal == '\0' ? reply : arena_printf(l->life, "%s (%s)", reply, p->refusal);
}

/* Our trace: the Received field, as checks have left it, with the letter's id in it; and what is missing. */
void
checks_trace(struct passage *p, const char *id, struct buffer *out)
{
	struct bytes rest, no_id = bytes_of(p->no_id);
	ptrdiff_t    at;

	if (p->said == NULL || !p->said->traced) {
		letter_received(p->letter, id, out);
	} else {
		rest = p->said->trace;
		while ((at = bytes_search(rest, no_id)) >= 0) {
			buffer_add(out, bytes_cut(rest, 0, (size_t)at));
			buffer_add_string(out, id);
			rest = bytes_cut(rest, (size_t)at + no_id.len, rest.len);
		}
		buffer_add(out, rest);
	}
	letter_missing(p->letter, id, out);
}
