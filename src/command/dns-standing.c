/* dns-standing -- how the world looks on our addresses: lists that name them, how new they are, and one number for all */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "command/dns.h"
#include "command/inquiry.h"
#include "policy/dnsbl.h"

enum { LISTS_MOST = 16, NEW_DAYS = 30, DAY_S = 86400 };

/*
 * Lists
 */

/* rfc5782:5  Each list has 127.0.0.2; one that has not is none, or is not there any more. */
static bool
list_works(struct facts *f, struct inquiry *ask, const struct dnsbl *list, struct findings *out)
{
	const char *name =
		arena_printf(f->life, "2.0.0.127.%.*s", (int)list->domain.len, list->domain.at);
	const struct answer *a = inquiry_ask(ask, bytes_of(name), DNS_A);
	const char          *says = NULL;

	for (size_t i = 0; i < a->records && says == NULL; i++)
		if (dnsbl_refused(a->record[i].data))
			says = "This list does not answer to our resolver: ask through one of your own.";
	if (a->status == ANSWER_LATER)
		says = arena_printf(f->life, "The list does not answer: %s.", a->why);
	else if (a->records == 0)
		says = "It has not the entry that each list has (rfc5782:5): there is no such list, or no more.";
	if (says != NULL)
		finding_new(out, FOUND_UNKNOWN, list->domain, "list")->says = says;
	return says == NULL;
}

static const char *
reason_of(struct facts *f, struct inquiry *ask, struct bytes name)
{
	const struct answer *a = inquiry_ask(ask, name, DNS_TXT);
	struct buffer        b = { 0 };
	const char          *kept;

	if (a->records > 0)
		answer_text(DNS_TXT, &a->record[0], &b);
	kept = arena_copy(f->life, buffer_bytes(&b));
	buffer_free(&b);
	return kept;
}

static bool
is_on(struct facts *f, struct inquiry *ask, const struct dnsbl *list, const struct peer *p,
      struct findings *out)
{
	struct bytes         name = dnsbl_address(f->life, list, p);
	const struct answer *a = inquiry_ask(ask, name, DNS_A);
	struct finding      *one;

	for (size_t i = 0; i < a->records; i++) {
		if (!dnsbl_counts(list, a->record[i].data))
			continue;
		one = finding_new(out, FOUND_WRONG, bytes_of(p->text), "list");
		one->says =
			arena_printf(f->life,
		                     "It is on %.*s: hosts that ask this list refuse our letters.",
		                     (int)list->domain.len, list->domain.at);
		one->there = reason_of(f, ask, name);
		one->act =
			"end the cause (mansio queue summary, mansio trace of who sends much), then ask the list to take the address off";
		return true;
	}
	return false;
}

void
dns_judge_lists(struct facts *f, struct inquiry *ask, struct findings *out)
{
	const struct setting_list *words = &f->common.dns_check_lists;
	struct dnsbl               list[LISTS_MOST];
	size_t                     lists = 0;
	const char                *wrong;

	if (*f->relayhost != '\0' || f->froms == 0)
		return; /* it is the relay that others see */
	for (size_t i = 0; i < words->count && lists < LISTS_MOST; i++)
		if (!dnsbl_parse(bytes_of(words->item[i]), &list[lists], &wrong))
			finding_new(out, FOUND_UNKNOWN, bytes_of(words->item[i]), "list")->says =
				arena_printf(f->life, "In dns_check_lists: %s.", wrong);
		else if (list_works(f, ask, &list[lists], out))
			lists++;
	for (size_t k = 0; k < f->froms && lists > 0; k++) {
		bool on = false;

		for (size_t i = 0; i < lists; i++)
			on = is_on(f, ask, &list[i], &f->from[k], out) || on;
		if (!on)
			finding_new(out, FOUND_RIGHT, bytes_of(f->from[k].text), "list")->says =
				arena_printf(f->life, "It is on none of %zu list%s.", lists,
			                     lists == 1 ? "" : "s");
	}
}

/*
 * A new address
 */

void
dns_judge_age(struct facts *f, struct findings *out)
{
	struct statx    st;
	int64_t         days;
	struct finding *one;

	if (*f->relayhost != '\0' || f->froms == 0 ||
	    statx(AT_FDCWD, f->common.mail_directory, 0, STATX_BTIME, &st) != 0 ||
	    (st.stx_mask & STATX_BTIME) == 0)
		return;
	days = (clock_wall() - st.stx_btime.tv_sec) / DAY_S;
	if (days < 0 || days >= NEW_DAYS)
		return;
	one = finding_new(out, FOUND_ADVICE, bytes_of(f->host), "warm-up");
	one->says = arena_printf(
		f->life,
		"This server is here for %lld day%s. Who knows no address yet puts much mail from it into Junk: begin with 50 letters a day to "
		"each large provider, to people who answer, and double that every third day; lists last.",
		(long long)days, days == 1 ? "" : "s");
	one->act =
		"default_destination_rate_delay = 10s for the first weeks slows down all that goes to one destination";
}

/*
 * The number
 */

static const struct weight {
	const char *type;
	unsigned    points;
} weights[] = {
	{ "MX", 10 },    { "A", 10 },    { "AAAA", 5 }, { "PTR", 20 },    { "SPF", 20 },
	{ "DMARC", 10 }, { "list", 25 }, { "TLSA", 5 }, { "MTA-STS", 5 }, { "DNSSEC", 5 },
};

/* Of each kind the worst counts: half of its points where there is advice; what could not be asked counts nothing. */
static bool
worst_of(const struct findings *all, const char *type, enum finding_state *worst)
{
	bool any = false;

	for (size_t i = 0; i < all->count; i++) {
		const struct finding *one = &all->one[i];

		if (strcmp(one->type, type) != 0 || one->state == FOUND_UNKNOWN)
			continue;
		*worst = !any || one->state > *worst ? one->state : *worst;
		any = true;
	}
	return any;
}

unsigned
dns_score(const struct findings *all, struct buffer *parts)
{
	unsigned has = 0, of = 0;

	for (size_t i = 0; i < COUNT(weights); i++) {
		enum finding_state worst = FOUND_RIGHT;
		unsigned           got;

		if (!worst_of(all, weights[i].type, &worst))
			continue;
		got = worst == FOUND_RIGHT    ? weights[i].points
		      : worst == FOUND_ADVICE ? weights[i].points / 2
		                              : 0;
		has += got;
		of += weights[i].points;
		buffer_printf(parts, "%s%s %u of %u", parts->len > 0 ? ", " : "", weights[i].type,
		              got, weights[i].points);
	}
	return of > 0 ? has * 100 / of : 0;
}
