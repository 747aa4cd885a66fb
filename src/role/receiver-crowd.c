/* receiver-crowd -- who has how many connections of this process, and who gives way when there is no room for one more */

#include "role/receiver.h"

#include <string.h>

#include "base/clock.h"

/* Where all have the same share, who has been silent for less keeps its place. */
enum { SILENT_MS = 5000 };

/* A network, while it has connections. */
struct comer {
	size_t now;
	char   network[64];
};

void
crowd_come(struct receiver *r, struct visit *v)
{
	struct bytes  name = bytes_of(v->network);
	struct comer *c = map_get(r->comers, name);

	if (c == NULL) {
		c = memory_take(sizeof *c);
		memcpy(c->network, v->network, sizeof c->network);
		(void)map_put(r->comers, bytes_of(c->network), c);
	}
	c->now++;
	v->comer = c;
}

void
crowd_go(struct receiver *r, struct visit *v)
{
	struct comer *c = v->comer;

	v->comer = NULL;
	if (c == NULL || --c->now > 0)
		return;
	(void)map_drop(r->comers, bytes_of(c->network));
	memory_free(c);
}

/* Who might give way to a newcomer whose network has so many already. */
struct choice {
	int64_t         now_ms, silent;
	size_t          has, most;
	struct session *best;
};

/* More of the busiest network, then the longest silence.  Whoever gives way has still as many as the newcomer then, or had nothing to say. */
static void
weigh(void *ctx, struct session *s)
{
	struct choice      *choice = ctx;
	struct visit       *v = *session_held(s);
	const struct comer *c = v != NULL ? v->comer : NULL;
	int64_t             silent = session_silence(s, choice->now_ms);

	if (c == NULL || silent < 0 || crowd_is_excepted(s) || c->now <= choice->has)
		return;
	if (c->now == choice->has + 1 && silent < SILENT_MS)
		return;
	if (choice->best != NULL &&
	    (c->now < choice->most || (c->now == choice->most && silent <= choice->silent)))
		return;
	choice->best = s;
	choice->most = c->now;
	choice->silent = silent;
}

bool
crowd_make_way(struct receiver *r, const struct receiver_config *config, const struct peer *peer)
{
	struct visit        v = { 0 };
	const struct comer *c;
	struct choice       choice = { .now_ms = clock_patient_ms() };

	visit_name_network(&v, config, peer);
	c = map_get(r->comers, bytes_of(v.network));
	choice.has = c != NULL ? c->now : 0;
	connections_each(weigh, &choice);
	if (choice.best == NULL)
		return false;
	session_give_way(choice.best);
	return true;
}
