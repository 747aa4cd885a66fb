/*
 * receiver-scan -- a letter is scanned for viruses (policy/clamd.h) before it is taken, and what follows from that
 */
#include "role/receiver.h"

#include <string.h>

#include "message/envelope.h"

void
scan_settings_read(struct receiver *r)
{
	const struct listeners *all = &r->house->listeners;

	for (size_t i = 0; i < all->count; i++)
		if (!house_settings(r->house, &scan_setting_table, all->one[i].name, &r->scan[i]))
			r->scan[i] = (struct scan_settings){ .socket = "" };
}

void
scan_hides(struct house *h, const char *listener, struct arena *life, struct setting_list *list)
{
	static const char *const ours[] = { "X-Virus-Scanned", "X-Virus-Status" };
	const char         **item = arena_take_array(life, list->count + COUNT(ours), sizeof *item);
	struct scan_settings set;

	if (!house_settings(h, &scan_setting_table, listener, &set) || *set.socket == '\0' ||
	    set.header != SCAN_HEADER_REPLACE)
		return;
	for (size_t i = 0; i < list->count; i++)
		item[i] = list->item[i];
	for (size_t i = 0; i < COUNT(ours); i++)
		item[list->count + i] = ours[i];
	*list = (struct setting_list){ item, list->count + COUNT(ours) };
}

static bool
is_excepted(const struct scan_settings *set, const struct letter *l)
{
	struct network net;
	const char    *wrong = "";

	if (set->size_most > 0 && l->len > (uint64_t)set->size_most)
		return true;
	for (size_t i = 0; i < set->networks.count; i++)
		if (network_parse(bytes_of(set->networks.item[i]), &net, &wrong) &&
		    network_holds(&net, &l->peer))
			return true;
	for (size_t i = 0; l->user.len > 0 && i < set->logins.count; i++)
		if (strcmp(set->logins.item[i], "*") == 0 || bytes_is(l->user, set->logins.item[i]))
			return true;
	return false;
}

static struct bytes
ticket_key(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

bool
scan_ask(struct passage *p)
{
	struct receiver            *r = receiver_of(p->house);
	const struct scan_settings *set = &r->scan[receiver_place(p->house, p->letter->config)];
	struct link                *link = house_link(p->house, POLICY, 0);
	struct word_scan            w = { .listener = p->letter->config->listener };
	int                         fd;

	if (*set->socket == '\0' || is_excepted(set, p->letter))
		return false;
	p->scan = ++r->next_ticket;
	if (link == NULL) {
		scan_answered(p, CLAMD_FAILED, BYTES("role policy is being started"));
		return true;
	}
	(void)map_put(r->scanning, ticket_key(&p->scan), p);
	fd = passage_content(p, &w.content, &w.at, &w.len);
	w.inside = fd < 0;
	word_pack_scan(link_begin(link, WORD_SCAN, p->scan), &w);
	if (fd >= 0)
		link_end_fd(link, fd);
	else
		link_end(link);
	return true;
}

/* What the log is to tell besides what checks had to say. */
static void
tell(struct passage *p, const char *what, struct bytes name, const char *text)
{
	struct arena *life = p->letter->life;

	if (p->said == NULL) {
		p->said = arena_take(life, sizeof *p->said);
		p->said->note = arena_take(life, sizeof *p->said->note);
	}
	p->said->note[p->said->notes++] = (struct check_note){
		bytes_of(arena_printf(life, "%s: %.*s", what, (int)name.len, name.at)),
		bytes_of(arena_copy(life, bytes_of(text))),
	};
}

static void
add_fields(struct passage *p, const struct scan_settings *set, const char *status,
           struct bytes name)
{
	struct buffer fields = { 0 };

	if (set->header == SCAN_HEADER_NO)
		return;
	clamd_fields(p->letter->config->mail_name, set->hostname, status, name, &fields);
	buffer_add(&fields, p->prefix);
	p->prefix = arena_keep(p->letter->life, buffer_bytes(&fields));
	buffer_free(&fields);
}

static void
infected(struct passage *p, const struct scan_settings *set, struct bytes name)
{
	static const char *const actions[] = { "accept", "reject",    "quarantine",
		                               "defer",  "blackhole", "mailbox" };
	struct arena            *life = p->letter->life;

	p->letter->refused_by = BYTES("clamd_socket");
	tell(p, "virus", name, arena_printf(life, "action=%s", actions[set->infected]));
	switch ((enum scan_infected)set->infected) {
	case INFECTED_REJECT:
		passage_refuse(p, VERDICT_REFUSE,
		               arena_printf(life, "550 5.7.1 Error: the letter has a virus: %.*s",
		                            (int)name.len, name.at));
		return;
	case INFECTED_DEFER:
		passage_refuse(p, VERDICT_LATER,
		               arena_printf(life, "451 4.7.1 Error: the letter has a virus: %.*s",
		                            (int)name.len, name.at));
		return;
	case INFECTED_BLACKHOLE: passage_discard(p); return;
	case INFECTED_QUARANTINE:
		p->letter->handling.hold =
			bytes_of(arena_printf(life, "virus: %.*s", (int)name.len, name.at));
		break;
	case INFECTED_MAILBOX:
		p->letter->handling.hold = bytes_of(
			arena_printf(life, "%cvirus: %.*s", HOLD_ASIDE, (int)name.len, name.at));
		break;
	case INFECTED_ACCEPT: break;
	}
	add_fields(p, set, "Infected", name);
	passage_go_on(p);
}

static void
failed(struct passage *p, const struct scan_settings *set, struct bytes why)
{
	static const char *const actions[] = { "defer", "accept", "reject" };

	tell(p, "not scanned for viruses", why,
	     arena_printf(p->letter->life, "action=%s", actions[set->failed]));
	if (set->failed == SCAN_FAILED_DEFER)
		passage_refuse(p, VERDICT_LATER,
		               "451 4.7.1 Error: the letter cannot be scanned for viruses now");
	else if (set->failed == SCAN_FAILED_REJECT)
		passage_refuse(p, VERDICT_REFUSE,
		               "550 5.7.1 Error: the letter cannot be scanned for viruses");
	else
		passage_go_on(p);
}

void
scan_answered(struct passage *p, enum clamd_answer answer, struct bytes name)
{
	const struct scan_settings *set =
		&receiver_of(p->house)->scan[receiver_place(p->house, p->letter->config)];

	name = clamd_harmless(name, p->letter->life);
	if (answer == CLAMD_INFECTED)
		infected(p, set, name);
	else if (answer == CLAMD_FAILED)
		failed(p, set, name);
	else {
		add_fields(p, set, "Clean", BYTES(""));
		passage_go_on(p);
	}
}

bool
hear_scanned(struct house *h, uint32_t ticket, struct bytes body)
{
	struct receiver    *r = receiver_of(h);
	struct arena       *scratch = arena_open(NULL);
	struct passage     *p;
	struct word_scanned w;
	bool good = word_unpack_scanned(body, scratch, &w) && w.answer != CLAMD_SHORT;

	p = good ? map_drop(r->scanning, ticket_key(&ticket)) : NULL;
	if (p != NULL)
		scan_answered(p, (enum clamd_answer)w.answer, w.name);
	arena_close(&scratch);
	return good;
}

void
scan_drop(struct passage *p)
{
	if (p->scan != 0)
		(void)map_drop(receiver_of(p->house)->scanning, ticket_key(&p->scan));
	p->scan = 0;
}

/* Role policy died: nobody knows what it would have said. */
void
scans_lost(struct receiver *r)
{
	struct map *lost = r->scanning;

	r->scanning = map_open();
	for (struct map_place place = { 0 }; map_next(lost, &place);)
		scan_answered(place.value, CLAMD_FAILED, BYTES("role policy has ended"));
	map_close(&lost);
}
