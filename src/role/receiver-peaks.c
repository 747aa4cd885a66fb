/* receiver-peaks.c -- what clients asked most of this receiver, told in the log as Postfix's anvil does */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/journal.h"
#include "role/receiver.h"

static const char *const peak_names[PEAKS] = {
	[PEAK_CONNECTION_RATE] = "connection rate",
	[PEAK_CONNECTIONS] = "connection count",
	[PEAK_MESSAGES] = "message rate",
	[PEAK_RECIPIENTS] = "recipient rate",
	[PEAK_TLS] = "newtls rate",
	[PEAK_AUTHS] = "auth rate",
};

void
peak_count(struct receiver *r, struct session *s, const char *network, enum peak_kind kind,
           uint32_t now)
{
	const struct receiver_config *c = session_config(s);
	struct peak                  *p = &r->peak[kind];
	char                         *blank;

	if (now <= p->most)
		return;
	if (!r->peaks_wait)
		timer_set(r->peaks, c->set.status_update);
	r->peaks_wait = true;
	p->most = now;
	p->at = clock_wall();
	p->unit_s = kind == PEAK_CONNECTIONS ? 0 : c->set.rate_unit / 1000;
	/* "smtp 192.0.2.1": what is counted is of a listener. */
	(void)snprintf(p->who, sizeof p->who, "%.*s", (int)sizeof p->who - 1, network);
	if ((blank = strchr(p->who, ' ')) != NULL)
		*blank = ':';
	(void)snprintf(p->service, sizeof p->service, "%.*s/anvil", (int)strcspn(c->service, "/"),
	               c->service);
}

void
peaks_tell(void *receiver)
{
	struct receiver *r = receiver;
	char             when[32], unit[24];

	for (size_t i = 0; i < PEAKS; i++) {
		struct peak *p = &r->peak[i];
		time_t       at = (time_t)p->at;
		struct tm    local;

		if (p->most == 0)
			continue;
		unit[0] = '\0';
		if (p->unit_s > 0)
			(void)snprintf(unit, sizeof unit, "/%llds", (long long)p->unit_s);
		(void)strftime(when, sizeof when, "%b %e %H:%M:%S", localtime_r(&at, &local));
		note_as(p->service, "statistics: max %s %u%s for (%s) at %s", peak_names[i],
		        p->most, unit, p->who, when);
		p->most = 0;
	}
	r->peaks_wait = false;
}
