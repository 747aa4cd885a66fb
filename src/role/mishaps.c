#include "role/mishaps.h"

#include <string.h>

#include "base/clock.h"

enum { HOUR_MS = 3600 * 1000 };

#define AT(f) offsetof(struct mishap_settings, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "notify_classes", SETTING_LIST, AT(classes), "resource, software", "Of what the postmaster gets a letter: bounce (each notice of failure, with the header alone, and sessions in which unknown recipients or letters that come back were refused), 2bounce (notices that cannot be delivered), delay (each warning); and with what was said in them sessions in which something went wrong: policy (a rule refused), protocol (a client or host does not speak SMTP), resource (no room), software, data (a table cannot be asked). Of sessions at most 30 an hour from each process.", .since = "0.3" },
	{ "error_notice_recipient", SETTING_WORD, AT(error_to), "postmaster", "Who gets what notify_classes says of policy, protocol, resource, software and data.", .since = "0.4" },
	{ "bounce_notice_recipient", SETTING_WORD, AT(bounce_to), "postmaster", "Who gets what notify_classes says of bounce.", .since = "0.3" },
};
/* clang-format on */
#undef AT
const struct setting_table mishap_setting_table = { "What the postmaster hears of", rows,
	                                            COUNT(rows) };

static bool
is_of_letters(const char *word)
{
	return strcmp(word, "2bounce") == 0 || strcmp(word, "delay") == 0;
}

const char *
mishap_class_wrong(const struct setting_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (fault_class_named(bytes_of(list->item[i])) == 0 &&
		    !is_of_letters(list->item[i]))
			return list->item[i];
	return NULL;
}

unsigned
mishap_classes(struct house *h, const char *listener)
{
	struct mishap_settings set;
	unsigned               bits = 0;

	if (!house_settings(h, &mishap_setting_table, listener, &set))
		return 0;
	for (size_t i = 0; i < set.classes.count; i++)
		bits |= fault_class_named(bytes_of(set.classes.item[i]));
	return bits;
}

/* Whether one more may be said now. */
static bool
within_hour(struct mishaps *c)
{
	int64_t now = clock_patient_ms();

	if (c->since_ms == 0 || now - c->since_ms >= HOUR_MS) {
		c->since_ms = now;
		c->said = 0;
	}
	if (c->said < MISHAPS_MOST) {
		c->said++;
		return true;
	}
	c->unsaid++;
	return false;
}

void
mishap_say(struct house *h, struct mishaps *all, const struct mishap_from *from,
           const struct history *history)
{
	struct link           *l = house_link(h, QUEUE, 0);
	unsigned               faults = history->faults & history->wanted;
	struct mishap_settings set;

	if (l == NULL || !house_settings(h, &mishap_setting_table, from->listener, &set) ||
	    !within_hour(all))
		return;
	word_pack_mishap(link_begin(l, WORD_MISHAP, 0),
	                 &(struct word_mishap){ .to = (faults & FAULT_BOUNCE) != 0 ? set.bounce_to
	                                                                           : set.error_to,
	                                        .what = from->what,
	                                        .who = from->who,
	                                        .text = history_text(history),
	                                        .left_out = history->left_out,
	                                        .unsaid = all->unsaid });
	link_end(l);
	all->unsaid = 0;
}

void
mishap_alert(struct house *h, const char *subject, const char *text)
{
	struct link           *l = house_link(h, QUEUE, 0);
	struct mishap_settings set;

	if (l == NULL || (mishap_classes(h, NULL) & (FAULT_SOFTWARE | FAULT_RESOURCE)) == 0 ||
	    !house_settings(h, &mishap_setting_table, NULL, &set))
		return;
	word_pack_alert(link_begin(l, WORD_ALERT, 0),
	                &(struct word_alert){ set.error_to, subject, text });
	link_end(l);
}
